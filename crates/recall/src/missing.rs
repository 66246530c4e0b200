//! A message that this store does not have, put on record by what a log that was kept elsewhere says of it, so
//! that it can be taken back before anything brings it here again: a store that was put back from a backup
//! knows nothing of what came later, and a client that was off line may have it.
//!
//! Invariant: it is on record as what it was, under the id that it had, with nobody to whom it led: what a
//! recall of it says is what becomes of the copies that turn up.
//!
//! Refuses to put anything in the place of a message that is on record. Whether the log is to be believed is
//! for whoever hands it over.

use tern_base::{ContentDigest, EmailAddress, OriginId};
use tern_store::Verdict;

use crate::arrival::{Arrival, record_arrival_in};
use crate::submission::record_in;
use crate::{RecallError, Recalls, Submission, tables};

/// What a log says of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The id of its submission.
    pub submission: OriginId,
    /// The letter.
    pub letter: ContentDigest,
    /// Its Message-ID, without angle brackets.
    pub message_id: String,
    /// The address of the account that had sent it; none for what came in from outside.
    pub sender: Option<EmailAddress>,
}

impl Recalls {
    /// Puts such a message on record. Where the account of its sender is not here either, it is nobody's.
    pub fn record_missing(&self, missing: &Missing) -> Result<(), RecallError> {
        let sender = match &missing.sender {
            Some(address) => tern_directory::account_by_address(&*self.engine, address)?,
            None => None,
        };
        let id = missing.submission;
        let submission = Submission {
            id,
            account: sender.map_or(Submission::OUTSIDE, |account| account.id),
            mail_from: missing.sender.clone(),
            message_id: missing.message_id.clone(),
            subject: Vec::new(),
            label: None,
            digest: missing.letter,
            carried: Vec::new(),
            text: None,
            answers: Vec::new(),
            size: 0,
            submitted: id.time(),
            recipients: 0,
            accounts: 0,
            outside: 0,
        };
        tern_store::transact(&*self.engine, |txn| {
            let known = txn.get(&tables::submission(id))?.is_some()
                || txn.get(&tables::arrival(id))?.is_some();
            if known {
                return Ok(Verdict::Abandon(()));
            }
            match submission.submitter() {
                Some(_) => record_in(txn, &submission)?,
                None => record_arrival_in(
                    txn,
                    &Arrival {
                        submission: submission.clone(),
                        from: String::new(),
                    },
                )?,
            }
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }
}
