//! What came in from other servers: on record so that it can be found and taken back, for a time.
//!
//! An arrival is a submission that no account of this server made. Nobody owns it: it gets no report,
//! whoever sends it on later is not its author, and only whoever may take back any message takes it
//! back. It is found by who sent it, which is what its envelope or its `From:` says; neither proves
//! anything, and nothing is allowed by it. How it is forgotten is in `forget.rs`.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{ContentDigest, EmailAddress, OriginId};
use tern_store::{Read, StoreError, Transaction};

use crate::grant::NotSealed;
use crate::{Refusal, Submission, onward, quoted, submission, tables};

/// One message that came in from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// What is on record of it as of any message.
    pub submission: Submission,
    /// The address in its `From:`, as it says.
    pub from: String,
}

impl Arrival {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(1);
        w.bytes(&self.submission.encode()).text(&self.from);
        w.finish()
    }

    pub(crate) fn decode(id: OriginId, row: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(row, 1)?;
        Ok(Self {
            submission: Submission::decode(id, r.bytes()?)?,
            from: r.text()?,
        })
    }

    pub(crate) fn of_row(key: &[u8], row: &[u8]) -> Result<Self, StoreError> {
        let id = key.get(1..).and_then(OriginId::from_slice);
        Ok(Self::decode(id.ok_or(StoreError::Damaged)?, row)?)
    }

    /// Whether it says that this address sent it.
    pub(crate) fn is_from(&self, sender: &EmailAddress) -> bool {
        let reverse_path = self.submission.mail_from.as_ref();
        let is = |text: &str| text.eq_ignore_ascii_case(&sender.to_string());
        reverse_path.is_some_and(|path| is(&path.to_string())) || is(&self.from)
    }
}

/// Records what came in, in the transaction that accepts it.
pub fn record_arrival_in(txn: &mut Transaction<'_>, arrival: &Arrival) -> Result<(), StoreError> {
    let submission = &arrival.submission;
    txn.put(tables::arrival(submission.id), arrival.encode());
    for digest in letters(submission) {
        submission::first_brought_in(txn, digest, submission)?;
    }
    quoted::file_in(txn, submission);
    onward::file_in(txn, submission);
    Ok(())
}

/// The letter that a message is, then those inside it.
pub(crate) fn letters(submission: &Submission) -> impl Iterator<Item = ContentDigest> + '_ {
    std::iter::once(submission.digest).chain(submission.carried.iter().map(|letter| letter.digest))
}

/// The arrival of an id.
pub(crate) fn arrival(reader: &dyn Read, id: OriginId) -> Result<Option<Arrival>, StoreError> {
    let row = reader.get(&tables::arrival(id))?;
    Ok(row.map(|row| Arrival::decode(id, &row)).transpose()?)
}

/// What is on record of a message that was submitted or came in, as a transaction sees it, which does not
/// depend on it: neither ever changes.
pub(crate) fn on_record_in(
    txn: &Transaction<'_>,
    id: OriginId,
) -> Result<Option<Submission>, StoreError> {
    if let Some(row) = txn.peek(&tables::submission(id))? {
        return Ok(Some(Submission::decode(id, &row)?));
    }
    let row = txn.peek(&tables::arrival(id))?;
    let arrival = row.map(|row| Arrival::decode(id, &row)).transpose()?;
    Ok(arrival.map(|arrival| arrival.submission))
}

/// Sees to it that a message which is asked for is remembered for as long as the request is, in the
/// transaction that grants it or lets it wait: what came in is forgotten in time, and may have been by now.
pub(crate) fn remember_in(txn: &mut Transaction<'_>, id: OriginId) -> Result<(), NotSealed> {
    if txn.peek(&tables::submission(id))?.is_some() {
        return Ok(());
    }
    if txn.get(&tables::arrival(id))?.is_none() {
        return Err(NotSealed::Refused(Refusal::NotFound));
    }
    txn.put(tables::spoken_of(id), Vec::new());
    Ok(())
}
