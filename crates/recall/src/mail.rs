//! The triggers of any mail client: a mail to the server's own address `recall@` its domain, and a
//! submission that says what it takes the place of (`Supersedes`, RFC 5536 3.2.12), or when it is to
//! be taken back itself (`Expires`).
//!
//! What a mail asks for is a row that is written in the transaction which accepts the mail; it stays
//! until the request is on record, so it is found after a crash, and asked for once. The account
//! that submitted the mail is who asks; nothing in its header is.
//!
//! Refuses to act on mail that no account has submitted: such mail never gets a row.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, OriginId, Timestamp};
use tern_mailbox::Connection;
use tern_store::{Transaction, Verdict};

use crate::{
    Named, Notices, RecallError, RecallId, Recalls, Request, Requested, Requester, Said, Selector,
    limits, tables,
};

/// The local part of the address that mail which asks for a recall goes to, in every domain.
pub const REQUEST_LOCAL_PART: &str = "recall";

/// What a submitted mail asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRequest {
    /// Who has submitted it.
    pub account: AccountId,
    /// The connection by which they did, where it is known.
    pub connection: Option<Connection>,
    /// The arrival of the mail.
    pub origin: OriginId,
    /// The Message-ID of the mail, without angle brackets; empty where it has none.
    pub message_id: String,
    /// Which message it is about that is to be taken back; none where it asks for no such thing.
    pub named: Option<Named>,
    /// The letter that takes the place of the message it is about: the mail itself.
    pub replaces_with: Option<ContentDigest>,
    /// When the mail itself is to be taken back.
    pub expires: Option<Timestamp>,
    /// What else it says: why, and who is told.
    pub said: Said,
}

/// Records what a mail asks for, in the transaction that accepts it.
pub fn record_request_in(txn: &mut Transaction<'_>, request: &MailRequest) {
    let mailed = Mailed {
        connection: request.connection.clone(),
        message_id: request.message_id.clone(),
        named: request.named.clone(),
        replaces_with: request.replaces_with,
        expires: request.expires.map(|at| (request.origin, at)),
        said: request.said.clone(),
    };
    let key = tables::mailed(request.account, request.origin);
    txn.put(key, mailed.encode());
}

/// The row of a request that nobody has seen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mailed {
    connection: Option<Connection>,
    message_id: String,
    named: Option<Named>,
    replaces_with: Option<ContentDigest>,
    expires: Option<(OriginId, Timestamp)>,
    said: Said,
}

impl Mailed {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(6);
        w.option(self.connection.as_ref(), |w, connection| {
            w.bytes(&connection.encode());
        });
        w.text(&self.message_id);
        w.option(self.named.as_ref(), |w, named| named.write(w));
        w.option(self.replaces_with, |w, digest| {
            w.array(&digest.0);
        });
        w.option(self.expires, |w, (origin, at)| {
            w.array(&origin.0).number(at.0);
        });
        w.option(self.said.reason.as_ref(), |w, reason| {
            w.text(reason);
        });
        self.said.notices.write(&mut w);
        w.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 6)?;
        Ok(Self {
            connection: r.option(|r| Connection::decode(r.bytes()?))?,
            message_id: r.text()?,
            named: r.option(Named::read)?,
            replaces_with: r.option(|r| r.array().map(ContentDigest))?,
            expires: r.option(|r| Ok((OriginId(r.array()?), Timestamp(r.number()?))))?,
            said: Said {
                reason: r.option(Reader::text)?,
                notices: Notices::read(&mut r)?,
            },
        })
    }
}

impl Recalls {
    /// Asks for what an account's mails have asked for since the last look. Of many a page at a
    /// time, so that other accounts have their turn in between.
    pub(crate) fn mail_triggers(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Vec<Requested>, RecallError> {
        let mut answers = Vec::new();
        let range = tables::mailed_by(account);
        let page = self.engine.scan(&range, limits::TRIGGER_PAGE)?;
        for (key, row) in page.rows {
            let mailed = Mailed::decode(&row)?;
            answers.extend(self.mail_trigger(account, &key, &mailed, now)?);
        }
        if page.next.is_some() {
            self.mailboxes().wake(account);
        }
        Ok(answers)
    }

    fn mail_trigger(
        &self,
        account: AccountId,
        key: &[u8],
        mailed: &Mailed,
        now: Timestamp,
    ) -> Result<Vec<Requested>, RecallError> {
        let mut answers = Vec::new();
        if let Some((origin, at)) = mailed.expires {
            // Twice where what follows is cut off: it is the same request.
            let request = Request {
                id: RecallId::of_expiry(account, origin),
                selector: Selector::Submission(origin),
                expires: Some(at),
                ..self.mailed_request(account, mailed, now)?
            };
            answers.push(self.ask(&request, now)?);
        }
        match &mailed.named {
            Some(named) => answers.extend(self.take_back(account, key, (mailed, named), now)?),
            None => self.seen_to(key, mailed, None)?,
        }
        Ok(answers)
    }

    /// What any request by mail has in common.
    fn mailed_request(
        &self,
        account: AccountId,
        mailed: &Mailed,
        now: Timestamp,
    ) -> Result<Request, RecallError> {
        let connection = mailed.connection.as_ref();
        let nothing = Selector::Submission(OriginId([0; 16]));
        let requester = Requester {
            account: Some(account),
            name: self.address(account)?,
            authentication: self.authentication(account, "smtp", connection, now)?,
        };
        Ok(Request {
            reason: mailed.said.reason.clone(),
            notices: mailed.said.notices.clone(),
            ..Request::new(RecallId([0; 16]), nothing, requester)
        })
    }

    fn take_back(
        &self,
        account: AccountId,
        key: &[u8],
        (mailed, named): (&Mailed, &Named),
        now: Timestamp,
    ) -> Result<Option<Requested>, RecallError> {
        let found = named.find(&*self.engine, account)?;
        // Sent again word for word it takes no place: to take the first back would take both.
        if found.as_ref().map(|found| found.digest) == mailed.replaces_with && found.is_some() {
            self.seen_to(key, mailed, None)?;
            return Ok(None);
        }
        let nothing = OriginId([0; 16]);
        let request = Request {
            id: RecallId::of_text(Some(account), &format!("mail {}", hex(key))),
            selector: Selector::Submission(found.map_or(nothing, |found| found.id)),
            replacement: mailed.replaces_with.map(|_| mailed.message_id.clone()),
            ..self.mailed_request(account, mailed, now)?
        };
        let answer = self.ask(&request, now)?;
        self.seen_to(key, mailed, Some((request.id, answer)))?;
        Ok(Some(answer))
    }

    /// The request is on record: its row goes, and its sender is owed an answer by mail. A
    /// correction that was granted needs none.
    fn seen_to(
        &self,
        key: &[u8],
        mailed: &Mailed,
        answered: Option<(RecallId, Requested)>,
    ) -> Result<(), RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            if txn.get(key)?.is_none() {
                return Ok(Verdict::Abandon(()));
            }
            txn.delete(key.to_vec());
            let Some((asked, answer)) = answered else {
                return Ok(Verdict::Commit(()));
            };
            let refused = matches!(answer, Requested::Refused(..));
            // One of a flood of refusals stands for all of them, its answer too.
            let counted = refused && answer.id() != asked;
            let replaces = mailed.replaces_with.is_some();
            if counted || (replaces && matches!(answer, Requested::Sealed(_))) {
                return Ok(Verdict::Commit(()));
            }
            let mut recall = self.recall_in(txn, answer.id())?;
            let waits = matches!(answer, Requested::Waiting(..));
            if replaces && !refused && !waits {
                let correction = mailed.message_id.clone();
                recall.replacement.get_or_insert(correction);
            } else {
                let mut w = Writer::versioned(1);
                let row = w.text(&mailed.message_id).finish();
                txn.put(tables::reply(recall.id), row);
            }
            // Its report is due again, and with it the answer.
            recall.changed();
            recall.put_in(txn)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// Forgets what an account has asked for by mail: the account is removed.
    pub(crate) fn forget_mailed(&self, account: AccountId) -> Result<(), RecallError> {
        loop {
            let more = tern_store::transact(&*self.engine, |txn| {
                let page = txn.scan(&tables::mailed_by(account), limits::TRIGGER_PAGE)?;
                let more = page.next.is_some();
                page.rows.into_iter().for_each(|(key, _)| txn.delete(key));
                Ok::<_, RecallError>(Verdict::Commit(more))
            })?;
            if !more {
                return Ok(());
            }
        }
    }
}

/// The Message-ID of the mail to which a recall's owner is owed an answer.
pub(crate) fn decode_reply(row: &[u8]) -> Result<String, Damaged> {
    Reader::of_version(row, 1)?.text()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
