//! What an account answers while its owner is away (RFC 8621 8, RFC 3834).
//!
//! Whether a message is answered is decided, and put on record, in the transaction in which it lands;
//! the answer is written afterwards from that record, which goes with the commit that sends it. So each
//! is answered once, whatever a crash comes between.
//!
//! Invariants:
//! - Nobody gets a second answer from an account within a week, unless what it says was changed.
//! - Only a message that names the account in To or Cc is answered, from somebody else, and by a person
//!   as far as its header tells. An answer has the null sender, and says that it is one.
//!
//! Refuses to answer what is under a seal.

mod answer;
mod compose;
pub(crate) mod rows;

use tern_base::{AccountId, Timestamp};
use tern_store::Verdict;

use crate::{Delivery, DeliveryError, Outbox, limits};

pub(crate) use answer::Answering;

/// What an account answers, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacation {
    /// Whether it answers at all.
    pub is_enabled: bool,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Not at this time or later.
    pub to: Option<Timestamp>,
    /// The subject; `None` is made from that of the message.
    pub subject: Option<String>,
    /// The plain text.
    pub text: Option<String>,
    /// The HTML.
    pub html: Option<String>,
}

impl Vacation {
    fn is_on(&self, now: Timestamp) -> bool {
        let has_begun = self.from.is_none_or(|from| from <= now);
        self.is_enabled && has_begun && self.to.is_none_or(|to| now < to)
    }

    fn fits(&self) -> bool {
        let texts = [&self.text, &self.html];
        let mut texts = texts.into_iter().flatten();
        let subject = self.subject.as_ref().map_or(0, String::len);
        texts.all(|text| text.len() <= limits::MAX_VACATION_TEXT)
            && subject <= limits::MAX_VACATION_SUBJECT
    }
}

impl Outbox {
    /// What an account answers, and the number of the newest change of that.
    pub fn vacation(&self, account: AccountId) -> Result<(u64, Vacation), DeliveryError> {
        let stored = rows::vacation(self.delivery.reader(), account)?;
        Ok((stored.state, stored.vacation))
    }

    /// Changes what an account answers. Whoever had an answer gets the new one.
    pub fn set_vacation(
        &self,
        account: AccountId,
        vacation: &Vacation,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        if !vacation.fits() {
            return Err(DeliveryError::Limit("octets of a vacation response"));
        }
        let mailboxes = &self.delivery.mailboxes;
        mailboxes.transact_unasked(&[], |txn| {
            let stored = rows::vacation_in(txn, account)?;
            if stored.vacation == *vacation {
                return Ok(Verdict::Abandon(()));
            }
            let changed = rows::Stored {
                state: stored.state + 1,
                since: now,
                vacation: vacation.clone(),
            };
            rows::put_vacation(txn, account, &changed);
            Ok(Verdict::Commit(()))
        })
    }
}

impl Delivery {
    /// Removes what an account that is removed answers.
    pub fn remove_vacation(&self, account: AccountId) -> Result<(), DeliveryError> {
        for range in rows::of_account(account) {
            loop {
                let removed = self.mailboxes.transact_unasked(&[], |txn| {
                    let page = txn.scan(&range, 500)?;
                    for (key, value) in &page.rows {
                        rows::forget_in(txn, key, value)?;
                    }
                    Ok::<_, DeliveryError>(Verdict::Commit(page.rows.len()))
                })?;
                if removed == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}
