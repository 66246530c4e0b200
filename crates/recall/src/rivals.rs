//! Which copies of a letter are a sender's to take back, where others have sent it too.
//!
//! Whoever received a letter can send it again, word for word. What another account sent is never
//! touched. The account that sent the letter first is its author, and takes back whatever else
//! turns up on this server: copies that clients put back, or that came in from outside. Anybody
//! else takes back what the very submission brought, and no more: however often they send it.

use tern_mailbox::Origins;
use tern_store::{Read, StoreError};

use crate::submission::{Letter, ids};
use crate::{Submission, limits, tables};

/// Brought by which transactions the copies are that the sender of a submission takes back.
pub(crate) fn origins(reader: &dyn Read, submission: &Submission) -> Result<Origins, StoreError> {
    let (digest, account) = (submission.digest, submission.account);
    let letter = reader.get(&tables::letter(digest))?;
    let letter = letter.map(|row| Letter::decode(&row)).transpose()?;
    if letter.is_some_and(|letter| letter.author != account) {
        return Ok(Origins::Only(vec![submission.id]));
    }
    let mut others = Vec::new();
    for range in tables::of_digest_not_by(digest, account) {
        let room = limits::MAX_RIVALS + 1 - others.len();
        others.extend(ids(reader, range, room)?);
    }
    if others.len() <= limits::MAX_RIVALS {
        return Ok(Origins::AllBut(others));
    }
    // So many would not fit the seal, and somebody may have sent them to that end.
    let own = tables::of_digest_by(digest, account).reversed();
    let mut own = ids(reader, own, limits::MAX_RIVALS)?;
    if !own.contains(&submission.id) {
        own.push(submission.id);
    }
    Ok(Origins::Only(own))
}
