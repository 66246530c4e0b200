//! What was sent, by whom, to whom: the record that a recall starts from.
//!
//! A submission is written in the transaction that accepts the message, so every accepted message
//! of an authenticated account can be taken back. The submitting account is the proof of
//! ownership; a `From:` header never is.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, EmailAddress, OriginId, Timestamp};
use tern_mailbox::Letter;
use tern_store::{Range, Read, StoreError, Transaction};

use crate::arrival::arrival;
use crate::returned::TextPrint;
use crate::target::{decode_targets, encode_targets};
use crate::{Destination, Target, limits, onward, quoted, tables};

/// One message accepted from one authenticated account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its id: that of the transaction that accepted it.
    pub id: OriginId,
    /// Who sent it; [`Submission::OUTSIDE`] where it came in from another server.
    pub account: AccountId,
    /// The reverse path; `None` is `<>`.
    pub mail_from: Option<EmailAddress>,
    /// Its Message-ID, without angle brackets.
    pub message_id: String,
    /// Its subject as it stands in the header, unfolded.
    pub subject: Vec<u8>,
    /// How confidential it says that it is.
    pub label: Option<String>,
    /// What makes it the same letter as a copy elsewhere.
    pub digest: ContentDigest,
    /// The letters that it carries.
    pub carried: Vec<Letter>,
    /// By which its text is known when it comes back from outside; only of what went there.
    pub text: Option<TextPrint>,
    /// What it answers, by the hashes of Message-IDs, the nearest first.
    pub answers: Vec<[u8; 16]>,
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

impl Submission {
    /// Nobody here: no account has this number.
    pub const OUTSIDE: AccountId = AccountId(0);

    /// The account that sent it, where one did.
    pub fn submitter(&self) -> Option<AccountId> {
        (self.account != Self::OUTSIDE).then_some(self.account)
    }

    /// Its subject, for people.
    pub fn subject_text(&self) -> String {
        tern_mime::shown_header_text(&self.subject)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(6);
        w.number(self.account.0.into());
        w.option(self.mail_from.as_ref(), |w, from| {
            w.text(&from.to_string());
        });
        w.text(&self.message_id)
            .bytes(&self.subject)
            .array(&self.digest.0);
        w.option(self.label.as_ref(), |w, label| {
            w.text(label);
        });
        w.list(&self.carried, |w, letter| letter.write(w));
        w.option(self.text, |w, text| text.write(w));
        w.list(&self.answers, |w, hash| {
            w.array(hash);
        });
        w.number(self.size.into())
            .number(self.submitted.0)
            .number(self.recipients.into());
        w.number(self.accounts.into())
            .number(self.outside.into())
            .finish()
    }

    /// The submission of a row of its table.
    pub(crate) fn of_row(key: &[u8], row: &[u8]) -> Result<Self, StoreError> {
        let id = key.get(1..).and_then(OriginId::from_slice);
        Ok(Self::decode(id.ok_or(StoreError::Damaged)?, row)?)
    }

    pub(crate) fn decode(id: OriginId, bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 6)?;
        Ok(Self {
            id,
            account: AccountId(r.number32()?),
            mail_from: r.option(|r| EmailAddress::parse(&r.text()?).map_err(|_| Damaged))?,
            message_id: r.text()?,
            subject: r.bytes()?.to_vec(),
            digest: ContentDigest(r.array()?),
            label: r.option(Reader::text)?,
            carried: r.list(Letter::read)?,
            text: r.option(TextPrint::read)?,
            answers: r.list(Reader::array)?,
            size: r.number32()?,
            submitted: Timestamp(r.number()?),
            recipients: r.number32()?,
            accounts: r.number32()?,
            outside: r.number32()?,
        })
    }
}

/// The key under which a Message-ID is found: not the text, whose length is the sender's choice.
pub(crate) fn message_id_hash(message_id: &str) -> [u8; 16] {
    // The key need not be secret: the index is of the account's own messages.
    let digest = tern_mime::blob_id(&[0; 32], message_id.as_bytes());
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest.0[..16]);
    hash
}

/// Who has brought a letter here: first, and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The account that sent it before any other, by itself or inside another message;
    /// [`Submission::OUTSIDE`] where it had come in from another server by then.
    pub(crate) author: AccountId,
    /// The submission that was recorded last: another one now means that somebody has sent it
    /// meanwhile.
    pub(crate) latest: OriginId,
}

impl Sent {
    fn encode(self) -> Vec<u8> {
        let mut w = Writer::versioned(1);
        w.number(self.author.0.into())
            .array(&self.latest.0)
            .finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 1)?;
        Ok(Self {
            author: AccountId(r.number32()?),
            latest: OriginId(r.array()?),
        })
    }
}

/// Records a submission, in the transaction that accepts it.
pub fn record_in(txn: &mut Transaction<'_>, submission: &Submission) -> Result<(), StoreError> {
    let (id, account) = (submission.id, submission.account);
    txn.put(tables::submission(id), submission.encode());
    txn.put(
        tables::by_digest(submission.digest, account, id),
        Vec::new(),
    );
    let key = tables::letter(submission.digest);
    let known = txn.get(&key)?.map(|row| Sent::decode(&row)).transpose()?;
    let author = known.map_or(account, |sent| sent.author);
    txn.put(key, Sent { author, latest: id }.encode());
    for letter in &submission.carried {
        first_brought_in(txn, letter.digest, submission)?;
    }
    let hash = message_id_hash(&submission.message_id);
    txn.put(tables::by_message_id(account, &hash, id), Vec::new());
    quoted::file_in(txn, submission);
    onward::file_in(txn, submission);
    Ok(())
}

/// Notes who has brought a letter, where nobody had before: whoever sends it on later is not its author.
pub(crate) fn first_brought_in(
    txn: &mut Transaction<'_>,
    digest: ContentDigest,
    by: &Submission,
) -> Result<(), StoreError> {
    let key = tables::letter(digest);
    if txn.get(&key)?.is_none() {
        let (author, latest) = (by.account, by.id);
        txn.put(key, Sent { author, latest }.encode());
    }
    Ok(())
}

/// Cuts targets into chunks that fit a row each, every one with the position of its first.
pub fn target_chunks(targets: &[Target]) -> Vec<(u32, &[Target])> {
    let mut chunks = Vec::new();
    let (mut first, mut rest) = (0, targets);
    while !rest.is_empty() {
        let mut size = 0;
        let fitting = rest.iter().take_while(|target| {
            size += target.length();
            size <= limits::TARGET_ROW_BYTES
        });
        let count = fitting.count().max(1);
        let (chunk, more) = rest.split_at(count.min(rest.len()));
        chunks.push((first, chunk));
        first += chunk.len() as u32;
        rest = more;
    }
    chunks
}

/// Records where a chunk of a submission's recipients lead: one of [`target_chunks`]. They are all
/// recorded before the first copy goes anywhere.
pub fn record_targets_in(txn: &mut Transaction<'_>, id: OriginId, first: u32, targets: &[Target]) {
    txn.put(tables::targets(id, first), encode_targets(targets));
}

/// Records how many of a submission's targets its delivery has reached, in the transaction that
/// reaches them.
pub fn reached_in(txn: &mut Transaction<'_>, id: OriginId, reached: u32, of: u32) {
    let key = tables::under_way(id);
    if reached < of {
        let mut w = Writer::versioned(1);
        txn.put(key, w.number(reached.into()).number(of.into()).finish());
    } else {
        txn.delete(key);
    }
}

/// Records that targets at these positions were refused when the delivery reached them.
pub fn refuse_targets_in(
    txn: &mut Transaction<'_>,
    id: OriginId,
    positions: &[u32],
) -> Result<(), StoreError> {
    for position in positions {
        let found = txn.scan(&tables::targets_back_from(id, *position), 1)?;
        let (key, _) = found.rows.into_iter().next().ok_or(StoreError::Damaged)?;
        let first = u32::from_be_bytes(*key.last_chunk().ok_or(StoreError::Damaged)?);
        let row = txn.get(&key)?.ok_or(StoreError::Damaged)?;
        let mut targets = decode_targets(&row)?;
        let target = targets.get_mut((position - first) as usize);
        target.ok_or(StoreError::Damaged)?.destination = Destination::Nowhere;
        txn.put(key, encode_targets(&targets));
    }
    Ok(())
}

/// Removes at most so many rows of the targets of a submission that was never accepted. Answers
/// whether there are more.
pub fn forget_targets_in(
    txn: &mut Transaction<'_>,
    id: OriginId,
    most: usize,
) -> Result<bool, StoreError> {
    let page = txn.scan(&tables::all_targets(id), most)?;
    for (key, _) in page.rows {
        txn.delete(key);
    }
    Ok(page.next.is_some())
}

/// How far the delivery of a submission is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnderWay {
    pub(crate) reached: u32,
    pub(crate) of: u32,
}

impl UnderWay {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 1)?;
        Ok(Self {
            reached: r.number32()?,
            of: r.number32()?,
        })
    }
}

/// How far the delivery of a submission is; `None` when it has reached everybody.
pub(crate) fn under_way(reader: &dyn Read, id: OriginId) -> Result<Option<UnderWay>, StoreError> {
    let row = reader.get(&tables::under_way(id))?;
    Ok(row.map(|row| UnderWay::decode(&row)).transpose()?)
}

/// The same in a transaction, which then depends on it.
pub(crate) fn under_way_in(
    txn: &mut Transaction<'_>,
    id: OriginId,
) -> Result<Option<UnderWay>, StoreError> {
    let row = txn.get(&tables::under_way(id))?;
    Ok(row.map(|row| UnderWay::decode(&row)).transpose()?)
}

/// The submission of an id, or what came in under it.
pub fn submission(reader: &dyn Read, id: OriginId) -> Result<Option<Submission>, StoreError> {
    match reader.get(&tables::submission(id))? {
        Some(row) => Ok(Some(Submission::decode(id, &row)?)),
        None => Ok(arrival(reader, id)?.map(|arrival| arrival.submission)),
    }
}

/// Where every recipient of a submission led, in order.
pub fn targets(reader: &dyn Read, id: OriginId) -> Result<Vec<Target>, StoreError> {
    first_targets(reader, id, usize::MAX)
}

/// Where at least so many of the first recipients of a submission led.
pub(crate) fn first_targets(
    reader: &dyn Read,
    id: OriginId,
    least: usize,
) -> Result<Vec<Target>, StoreError> {
    let mut out = Vec::new();
    let mut next = Some(tables::all_targets(id));
    while let Some(range) = next.filter(|_| out.len() < least) {
        let page = reader.scan(&range, least.min(100))?;
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
    by_message_id_hash(reader, account, &message_id_hash(message_id))
}

/// At most so many submissions of an account that have this Message-ID, the newest first.
pub fn all_by_message_id(
    reader: &dyn Read,
    account: AccountId,
    message_id: &str,
    most: usize,
) -> Result<Vec<OriginId>, StoreError> {
    let hash = message_id_hash(message_id);
    ids(
        reader,
        tables::of_message_id(account, &hash).reversed(),
        most,
    )
}

/// The same, by what [`message_id_hash`] makes of the Message-ID.
pub(crate) fn by_message_id_hash(
    reader: &dyn Read,
    account: AccountId,
    hash: &[u8; 16],
) -> Result<Option<Submission>, StoreError> {
    newest(reader, tables::of_message_id(account, hash))
}

/// The newest submission of an account that is this letter.
pub fn by_digest(
    reader: &dyn Read,
    account: AccountId,
    digest: ContentDigest,
) -> Result<Option<Submission>, StoreError> {
    newest(reader, tables::of_digest_by(digest, account))
}

fn newest(reader: &dyn Read, range: Range) -> Result<Option<Submission>, StoreError> {
    match ids(reader, range.reversed(), 1)?.first() {
        Some(id) => submission(reader, *id),
        None => Ok(None),
    }
}

/// At most so many submissions that the keys of a range end with.
pub(crate) fn ids(
    reader: &dyn Read,
    range: Range,
    most: usize,
) -> Result<Vec<OriginId>, StoreError> {
    let mut ids = Vec::new();
    let mut next = Some(range);
    while let Some(range) = next.filter(|_| ids.len() < most) {
        let page = reader.scan(&range, most - ids.len())?;
        for (key, _) in &page.rows {
            ids.push(OriginId(*key.last_chunk().ok_or(StoreError::Damaged)?));
        }
        next = page.next;
    }
    Ok(ids)
}
