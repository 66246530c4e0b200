//! Which copies of a letter are a sender's to take back, where others have sent it too.
//!
//! Whoever received a letter can send it again, word for word. What another account sent is never
//! touched, and neither is what was here before the account sent it at all: that came from somebody
//! else. The account that sent the letter first is its author, and takes back whatever of it is sent from
//! here later. Anybody else takes back what the very submission brought, and no more: however often they
//! send it. So does whoever sends on what had come in from outside, or inside another message: its author is
//! not them.
//!
//! What a client brings, what comes in from outside and what is inside another message is a copy of what a
//! submission sent where it bears the token that was issued for it, with this very content. Without one it
//! is foreign, and nobody's here to take back: whoever has a letter from elsewhere before others here do can
//! submit it as theirs, and what its sender sends to others, or these had brought along, is no more theirs for
//! that. Only what came in itself, whose recall is for whoever may take back any message, reaches it.
//!
//! What came in itself is covered by that its id says so, however often accounts have sent it: no list of these is
//! needed, which somebody could make too long.
//!
//! What is taken back together is judged together: to send an old letter again makes it no younger and
//! its readers no fewer.

use tern_base::{OriginId, Timestamp};
use tern_mailbox::Origins;
use tern_store::{Range, Read, StoreError};

use crate::submission::{Sent, ids, submission as read};
use crate::{RecallError, Recalls, Submission, limits, tables};

impl Recalls {
    /// Brought by which transactions the copies are that a recall of a submission takes back, as things
    /// are; with no other sending where the message itself set the time when it was sent: what a header
    /// says of its own message holds for no other.
    pub(crate) fn origins(
        &self,
        found: &Submission,
        is_set_when_sent: bool,
    ) -> Result<Origins, RecallError> {
        match is_set_when_sent {
            true => Ok(Origins::Only(vec![found.id])),
            false => Ok(origins(&*self.engine, found)?),
        }
    }
}

/// Brought by which transactions the copies are that the sender of a submission takes back.
fn origins(reader: &dyn Read, submission: &Submission) -> Result<Origins, StoreError> {
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
        return Ok(Origins::AllBut {
            since,
            foreign: submission.submitter().is_none(),
            others,
        });
    }
    // So many would not fit the seal, and somebody may have sent them to that end. What came in needs no list of
    // what accounts sent: their ids say that they did.
    if submission.submitter().is_none() {
        let latest = sent(reader, submission)?.map_or(submission.id, |sent| sent.latest);
        return Ok(Origins::ForeignOrSince(latest.time().plus_millis(1)));
    }
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
    // Of too many the newest: what leaves last is what can still be stopped.
    let mut own = ids(reader, own.reversed(), limits::MAX_ALSO + 1)?;
    own.retain(|id| *id != submission.id && origins.covers(*id));
    own.truncate(limits::MAX_ALSO);
    own.reverse();
    Ok(own)
}

/// When an account began to accept what it sent first of a letter.
fn first(reader: &dyn Read, own: Range, submission: &Submission) -> Result<Timestamp, StoreError> {
    let first = ids(reader, own, 1)?.first().copied();
    Ok(first.unwrap_or(submission.id).time())
}

fn is_author(reader: &dyn Read, submission: &Submission) -> Result<bool, StoreError> {
    Ok(sent(reader, submission)?.is_none_or(|sent| sent.author == submission.account))
}

/// Who has brought the letter of a submission here.
fn sent(reader: &dyn Read, submission: &Submission) -> Result<Option<Sent>, StoreError> {
    let letter = reader.get(&tables::letter(submission.digest))?;
    Ok(letter.map(|row| Sent::decode(&row)).transpose()?)
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
