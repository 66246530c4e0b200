//! Which copies of a letter are a sender's to take back, where others have sent it too.
//!
//! Whoever received a letter can send it again, word for word. What another account sent is never
//! touched, and neither is what was here before the account sent it at all: that came from somebody
//! else. The account that sent the letter first is its author, and takes back whatever else has turned
//! up since: copies that clients put back, or that came in from outside. Anybody else takes back what
//! the very submission brought, and no more: however often they send it. So does whoever sends on what
//! had come in from outside, or inside another message: its author is not them, and what comes of it
//! later is not theirs either.
//!
//! What is taken back together is judged together: to send an old letter again makes it no younger and
//! its readers no fewer.

use tern_base::{OriginId, Timestamp};
use tern_mailbox::Origins;
use tern_store::{Range, Read, StoreError};

use crate::submission::{Sent, ids, submission as read};
use crate::{Submission, limits, tables};

/// Brought by which transactions the copies are that the sender of a submission takes back.
pub(crate) fn origins(reader: &dyn Read, submission: &Submission) -> Result<Origins, StoreError> {
    let (digest, account) = (submission.digest, submission.account);
    if !is_author(reader, submission)? {
        return Ok(Origins::Only(vec![submission.id]));
    }
    let mut others = Vec::new();
    for range in tables::of_digest_not_by(digest, account) {
        let room = limits::MAX_RIVALS + 1 - others.len();
        others.extend(ids(reader, range, room)?);
    }
    let own = tables::of_digest_by(digest, account);
    if others.len() <= limits::MAX_RIVALS {
        let since = match submission.submitter() {
            Some(_) => first(reader, own, submission)?,
            None => Timestamp(0),
        };
        return Ok(Origins::AllBut { since, others });
    }
    // So many would not fit the seal, and somebody may have sent them to that end.
    let mut own = ids(reader, own.reversed(), limits::MAX_RIVALS)?;
    if !own.contains(&submission.id) {
        own.push(submission.id);
    }
    Ok(Origins::Only(own))
}

/// What else the account of a submission had sent of the letter, that is taken back with it and has
/// its recipients told one by one. What came in from outside is forgotten in time, each by itself.
pub(crate) fn also(
    reader: &dyn Read,
    submission: &Submission,
    origins: &Origins,
) -> Result<Vec<OriginId>, StoreError> {
    if submission.submitter().is_none() {
        return Ok(Vec::new());
    }
    let own = tables::of_digest_by(submission.digest, submission.account);
    let mut own = ids(reader, own, limits::MAX_ALSO + 1)?;
    own.retain(|id| *id != submission.id && origins.covers(*id));
    own.truncate(limits::MAX_ALSO);
    Ok(own)
}

/// When an account began to accept what it sent first of a letter.
fn first(reader: &dyn Read, own: Range, submission: &Submission) -> Result<Timestamp, StoreError> {
    let first = ids(reader, own, 1)?.first().copied();
    Ok(first.unwrap_or(submission.id).time())
}

fn is_author(reader: &dyn Read, submission: &Submission) -> Result<bool, StoreError> {
    let letter = reader.get(&tables::letter(submission.digest))?;
    let sent = letter.map(|row| Sent::decode(&row)).transpose()?;
    Ok(sent.is_none_or(|sent| sent.author == submission.account))
}

/// What a policy is to judge where a submission is taken back: with all that its account sent of the
/// same letter, as one that is as old as the first of them and has the recipients of all.
pub(crate) fn together(
    reader: &dyn Read,
    submission: &Submission,
) -> Result<Submission, StoreError> {
    let mut all = submission.clone();
    if submission.submitter().is_none() || !is_author(reader, submission)? {
        return Ok(all);
    }
    let own = tables::of_digest_by(submission.digest, submission.account);
    for id in ids(reader, own, limits::MAX_RIVALS)? {
        if id == submission.id {
            continue;
        }
        let Some(other) = read(reader, id)? else {
            continue;
        };
        all.submitted = all.submitted.min(other.submitted);
        all.accounts = all.accounts.saturating_add(other.accounts);
        all.outside = all.outside.saturating_add(other.outside);
    }
    Ok(all)
}
