//! The trigger of any IMAP client: a message that is put into the mailbox `Recall`.
//!
//! The trigger is read from the store, not from the command that put the message there, so it is
//! found after a crash too: each account has a cursor over the UIDs of its recall mailbox, and
//! what lies past it has not been looked at.
//!
//! Invariant: what asks is what the account's own client put there while the mailbox was the recall
//! mailbox. What is there in another way asks for nothing: what was in a mailbox that was renamed to be
//! this one, what was delivered there, what a restore brought back.

use tern_base::{AccountId, Fault, MailboxId, MessageId, OriginId, Timestamp, Uid};
use tern_mailbox::{Connection, MailboxError};
use tern_store::{StoreError, Transaction, Verdict};

use crate::{
    Decided, RecallError, RecallId, Recalls, Refusal, Request, Requested, Requester, Selector,
    limits, tables,
};

/// The path of the mailbox that triggers recalls and holds their reports.
pub const RECALL_MAILBOX: &str = "Recall";
/// The keyword of report messages.
pub(crate) const REPORT_KEYWORD: &str = "$RecallReport";

/// By what an account's own client asks, without a word to the server about recalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// What it put into its recall mailbox.
    Mailbox,
    /// The keyword that it set.
    Keyword,
    /// What it submitted.
    Mail,
}

impl Trigger {
    /// Each, in the order in which they are looked at.
    pub const ALL: [Self; 3] = [Self::Mailbox, Self::Keyword, Self::Mail];
}

/// Where the cursor stands: in which life of the mailbox, and at which UID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    uid_validity: u32,
    next: Uid,
}

impl Recalls {
    /// Asks for everything that an account has asked for since the last look, by every
    /// [`Trigger`]. Answers what was asked; the caller goes on with [`Recalls::run`] for each.
    pub fn triggers(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Vec<Requested>, RecallError> {
        let mut answers = Vec::new();
        for trigger in Trigger::ALL {
            answers.extend(self.triggered(account, trigger, now)?);
        }
        Ok(answers)
    }

    /// Asks for what an account has asked for by one trigger since the last look.
    pub fn triggered(
        &self,
        account: AccountId,
        trigger: Trigger,
        now: Timestamp,
    ) -> Result<Vec<Requested>, RecallError> {
        match trigger {
            Trigger::Mailbox => self.mailbox_triggers(account, now),
            Trigger::Keyword => self.keyword_triggers(account, now),
            Trigger::Mail => self.mail_triggers(account, now),
        }
    }

    fn mailbox_triggers(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Vec<Requested>, RecallError> {
        let folder = match self.mailboxes().folder(account, RECALL_MAILBOX) {
            Err(MailboxError::NoMailbox | MailboxError::NoAccount) => return Ok(Vec::new()),
            found => found?,
        };
        let (mailbox, uid_validity) = (folder.id, folder.uid_validity);
        let counters = self.mailboxes().counters(account, mailbox)?;
        let cursor = self
            .cursor(account)?
            .filter(|cursor| cursor.uid_validity == uid_validity);
        let next = cursor.map_or(Uid(1), |cursor| cursor.next);
        if next >= counters.uid_next {
            return Ok(Vec::new());
        }
        let view = self.mailboxes().view(account, mailbox)?;
        let mut answers = Vec::new();
        for (n, entry) in view.iter_from(next).enumerate() {
            if n == limits::TRIGGER_PAGE {
                // The rest has its turn after other accounts.
                let next = entry.uid;
                self.move_cursor(account, mailbox, Cursor { uid_validity, next })?;
                self.mailboxes().wake(account);
                return Ok(answers);
            }
            let brought = match entry.flags.has_keyword(REPORT_KEYWORD) {
                true => None,
                false => self.sealing().brought(account, mailbox, entry.uid)?,
            };
            if let Some(by) = brought {
                let named = format!("imap trigger {uid_validity} {}", entry.uid);
                let id = RecallId::of_text(Some(account), &named);
                let message = (account, entry.message);
                answers.extend(self.trigger_one(message, id, by.connection.as_ref(), now)?);
                let next = Uid(entry.uid.0.saturating_add(1));
                self.move_cursor(account, mailbox, Cursor { uid_validity, next })?;
            }
        }
        let next = view.counters.uid_next;
        self.move_cursor(account, mailbox, Cursor { uid_validity, next })?;
        Ok(answers)
    }

    /// Asks for the recall of a message in one of the account's mailboxes, as the client on this
    /// connection did.
    pub(crate) fn trigger_one(
        &self,
        (account, message): (AccountId, MessageId),
        id: RecallId,
        by: Option<&Connection>,
        now: Timestamp,
    ) -> Result<Option<Requested>, RecallError> {
        let (selector, failure) = match self.letter_at(account, message) {
            Ok(selector) => (selector, None),
            // It was removed again before anybody looked.
            Err(RecallError::Mailbox(MailboxError::NoMessage | MailboxError::Sealed)) => {
                return Ok(None);
            }
            Err(error) if error.fault() == Fault::Ours => {
                (Selector::Submission(OriginId([0; 16])), Some(error))
            }
            Err(error) => return Err(error),
        };
        let requester = Requester {
            account: Some(account),
            name: self.address(account)?,
            authentication: self.authentication(account, "imap", by, now)?,
        };
        let request = Request::new(id, selector, requester);
        let answer = match failure {
            None => self.ask(&request, now)?,
            Some(error) => self.failed(&request, error, now)?,
        };
        Ok(Some(answer))
    }

    /// What a message in one of an account's mailboxes is a copy of.
    pub fn letter_at(
        &self,
        account: AccountId,
        message: MessageId,
    ) -> Result<Selector, RecallError> {
        let row = self.mailboxes().message(account, message)?;
        let structure = self.mailboxes().structure(&row)?;
        let message_id = structure.view().and_then(|message| message.message_id);
        let message_id = message_id.map(str::to_owned);
        Ok(Selector::Letter(account, row.digest, message_id))
    }

    /// Asks for what a trigger is for. One that can never be granted, through a fault of the
    /// server's, is refused and reported, and keeps back none of those behind it.
    pub(crate) fn ask(&self, request: &Request, now: Timestamp) -> Result<Requested, RecallError> {
        match self.request(request, now) {
            Err(error) if error.fault() == Fault::Ours => self.failed(request, error, now),
            answer => answer,
        }
    }

    /// Refuses what can't be done; why is kept where the verdict would be. Where even that can't be
    /// written, the failure stays what it is.
    fn failed(
        &self,
        request: &Request,
        error: RecallError,
        now: Timestamp,
    ) -> Result<Requested, RecallError> {
        let why = Decided {
            code: Refusal::Failed.code().to_owned(),
            policies: Vec::new(),
            inputs: vec![("error".to_owned(), error.to_string())],
        };
        let found = self.select(&request.selector).unwrap_or_default();
        let refused = self.refuse(request, found.as_ref(), Refusal::Failed, Some(&why), now);
        refused.map_err(|_| error)
    }

    /// Forgets where the look at an account's recall mailbox stood, what it has asked for by mail, and
    /// that it is frozen, and what recalls it was told of: the account is removed.
    pub fn forget_triggers(&self, account: AccountId) -> Result<(), RecallError> {
        self.forget_mailed(account)?;
        self.forget_news(account)?;
        tern_store::transact(&*self.engine, |txn| {
            txn.delete(tables::trigger(account));
            txn.delete(tables::frozen(account));
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    fn cursor(&self, account: AccountId) -> Result<Option<Cursor>, RecallError> {
        let row = self.engine.get(&tables::trigger(account))?;
        Ok(row.map(|row| decode(&row)).transpose()?)
    }

    fn move_cursor(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        to: Cursor,
    ) -> Result<(), RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            let key = tables::trigger(account);
            let from = txn.get(&key)?.map(|row| decode(&row)).transpose()?;
            if from.is_some_and(|c| c.uid_validity == to.uid_validity && c.next >= to.next) {
                return Ok(Verdict::Abandon(()));
            }
            txn.put(key, encode(to));
            self.sealing()
                .forget_brought_in(txn, account, mailbox, to.next)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }
}

/// Moves the cursor past a report that lands right at it, so that the report wakes nobody.
pub(crate) fn skip_own_report_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    uid: Uid,
) -> Result<(), RecallError> {
    let key = tables::trigger(account);
    let Some(row) = txn.get(&key)? else {
        return Ok(());
    };
    let cursor = decode(&row)?;
    if cursor.next == uid {
        txn.put(
            key,
            encode(Cursor {
                next: Uid(uid.0.saturating_add(1)),
                ..cursor
            }),
        );
    }
    Ok(())
}

fn encode(cursor: Cursor) -> Vec<u8> {
    [
        cursor.uid_validity.to_be_bytes(),
        cursor.next.0.to_be_bytes(),
    ]
    .concat()
}

fn decode(row: &[u8]) -> Result<Cursor, StoreError> {
    let (uid_validity, next) = row.split_at_checked(4).ok_or(StoreError::Damaged)?;
    let number = |bytes: &[u8]| bytes.try_into().map(u32::from_be_bytes);
    match (number(uid_validity), number(next)) {
        (Ok(uid_validity), Ok(next)) => Ok(Cursor {
            uid_validity,
            next: Uid(next),
        }),
        _ => Err(StoreError::Damaged),
    }
}
