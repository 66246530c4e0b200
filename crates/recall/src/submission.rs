//! What was sent, by whom, to whom: the record that a recall starts from.
//!
//! A submission is written in the transaction that accepts the message, so every accepted message
//! of an authenticated account can be taken back. The submitting account is the proof of
//! ownership; a `From:` header never is.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, EmailAddress, OriginId, Timestamp};
use tern_queue::QueueId;
use tern_store::{Read, StoreError, Transaction};

use crate::tables;

/// One message accepted from one authenticated account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its id: that of the transaction that accepted it.
    pub id: OriginId,
    /// Who sent it.
    pub account: AccountId,
    /// The reverse path; `None` is `<>`.
    pub mail_from: Option<EmailAddress>,
    /// Its Message-ID, without angle brackets.
    pub message_id: String,
    /// Its subject as it stands in the header, unfolded.
    pub subject: Vec<u8>,
    /// What makes it the same letter as a copy elsewhere.
    pub digest: ContentDigest,
    /// Its octets.
    pub size: u32,
    /// When it was accepted.
    pub submitted: Timestamp,
    /// How many recipients its envelope named.
    pub recipients: u32,
    /// How many accounts of this server they led to.
    pub accounts: u32,
    /// How many addresses outside they led to.
    pub outside: u32,
}

/// Where one recipient of the envelope led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The recipient as the envelope named it.
    pub recipient: String,
    /// The aliases and groups it went through, outermost first.
    pub via: Vec<String>,
    /// Where it ended.
    pub destination: Destination,
}

/// Where a copy was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To an account of this server.
    Account(AccountId),
    /// To another server, by way of the queue.
    Outside {
        /// The address.
        address: String,
        /// The item that carries it.
        item: QueueId,
    },
}

/// How many targets one row holds at the most: a row of ordinary addresses stays far below the
/// limit of a value.
pub const TARGETS_PER_ROW: usize = 200;

impl Submission {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(1);
        w.number(self.account.0.into());
        w.option(self.mail_from.as_ref(), |w, from| {
            w.text(&from.to_string());
        });
        w.text(&self.message_id)
            .bytes(&self.subject)
            .array(&self.digest.0);
        w.number(self.size.into())
            .number(self.submitted.0)
            .number(self.recipients.into());
        w.number(self.accounts.into())
            .number(self.outside.into())
            .finish()
    }

    fn decode(id: OriginId, bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 1)?;
        Ok(Self {
            id,
            account: AccountId(r.number32()?),
            mail_from: r.option(|r| EmailAddress::parse(&r.text()?).map_err(|_| Damaged))?,
            message_id: r.text()?,
            subject: r.bytes()?.to_vec(),
            digest: ContentDigest(r.array()?),
            size: r.number32()?,
            submitted: Timestamp(r.number()?),
            recipients: r.number32()?,
            accounts: r.number32()?,
            outside: r.number32()?,
        })
    }
}

fn encode_targets(targets: &[Target]) -> Vec<u8> {
    let mut w = Writer::versioned(1);
    w.list(targets, |w, target| {
        w.text(&target.recipient).list(&target.via, |w, step| {
            w.text(step);
        });
        match &target.destination {
            Destination::Account(account) => drop(w.byte(0).number(account.0.into())),
            Destination::Outside { address, item } => drop(w.byte(1).text(address).array(&item.0)),
        }
    });
    w.finish()
}

fn decode_targets(bytes: &[u8]) -> Result<Vec<Target>, Damaged> {
    Reader::of_version(bytes, 1)?.list(|r| {
        let (recipient, via) = (r.text()?, r.list(Reader::text)?);
        let destination = match r.byte()? {
            0 => Destination::Account(AccountId(r.number32()?)),
            1 => Destination::Outside {
                address: r.text()?,
                item: QueueId(r.array()?),
            },
            _ => return Err(Damaged),
        };
        Ok(Target {
            recipient,
            via,
            destination,
        })
    })
}

/// The key under which a Message-ID is found: not the text, whose length is the sender's choice.
fn message_id_hash(message_id: &str) -> [u8; 16] {
    // The key need not be secret: the index is of the account's own messages.
    let digest = tern_mime::blob_id(&[0; 32], message_id.as_bytes());
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest.0[..16]);
    hash
}

/// Records a submission, in the transaction that accepts it.
pub fn record_in(txn: &mut Transaction<'_>, submission: &Submission) {
    let id = submission.id;
    txn.put(tables::submission(id), submission.encode());
    txn.put(tables::by_digest(submission.digest, id), Vec::new());
    // Whoever seals the letter at this moment looks again at who has sent it.
    txn.put(tables::latest(submission.digest), id.0.to_vec());
    let hash = message_id_hash(&submission.message_id);
    txn.put(
        tables::by_message_id(submission.account, &hash, id),
        Vec::new(),
    );
}

/// Records where a chunk of a submission's recipients led, at most [`TARGETS_PER_ROW`] of them.
/// Chunks are numbered from 0; writing one again replaces it.
pub fn record_targets_in(txn: &mut Transaction<'_>, id: OriginId, chunk: u32, targets: &[Target]) {
    txn.put(tables::targets(id, chunk), encode_targets(targets));
}

/// The submission of an id.
pub fn submission(reader: &dyn Read, id: OriginId) -> Result<Option<Submission>, StoreError> {
    let row = reader.get(&tables::submission(id))?;
    Ok(row.map(|row| Submission::decode(id, &row)).transpose()?)
}

/// Where every recipient of a submission led, in order.
pub fn targets(reader: &dyn Read, id: OriginId) -> Result<Vec<Target>, StoreError> {
    let mut out = Vec::new();
    let mut next = Some(tables::all_targets(id));
    while let Some(range) = next {
        let page = reader.scan(&range, 100)?;
        for (_, value) in &page.rows {
            out.extend(decode_targets(value)?);
        }
        next = page.next;
    }
    Ok(out)
}

/// The newest submission of an account that has this Message-ID.
pub fn by_message_id(
    reader: &dyn Read,
    account: AccountId,
    message_id: &str,
) -> Result<Option<Submission>, StoreError> {
    let range = tables::of_message_id(account, &message_id_hash(message_id)).reversed();
    newest(reader, &range, |found| found.account == account)
}

/// The newest submission of an account that is this letter.
pub fn by_digest(
    reader: &dyn Read,
    account: AccountId,
    digest: ContentDigest,
) -> Result<Option<Submission>, StoreError> {
    newest(reader, &tables::of_digest(digest).reversed(), |found| {
        found.account == account
    })
}

/// How many submissions of one key are looked at.
const CANDIDATES: usize = 100;

fn newest(
    reader: &dyn Read,
    range: &tern_store::Range,
    fits: impl Fn(&Submission) -> bool,
) -> Result<Option<Submission>, StoreError> {
    for (key, _) in reader.scan(range, CANDIDATES)?.rows {
        let id = OriginId(*key.last_chunk().ok_or(StoreError::Damaged)?);
        let found = submission(reader, id)?;
        if let Some(found) = found.filter(|found| fits(found)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The submissions of a letter by other accounts than this.
pub fn by_others(
    reader: &dyn Read,
    account: AccountId,
    digest: ContentDigest,
) -> Result<Vec<OriginId>, StoreError> {
    let mut others = Vec::new();
    for (key, _) in reader.scan(&tables::of_digest(digest), CANDIDATES)?.rows {
        let id = OriginId(*key.last_chunk().ok_or(StoreError::Damaged)?);
        if submission(reader, id)?.is_some_and(|found| found.account != account) {
            others.push(id);
        }
    }
    Ok(others)
}
