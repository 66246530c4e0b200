//! Whether a message that lands is answered, and the answer.

use std::collections::HashSet;

use tern_base::{AccountId, EmailAddress, Entropy, OriginId, Timestamp};
use tern_mailbox::Prepared;
use tern_mime::Address;
use tern_store::{Transaction, Verdict};

use super::compose::compose;
use super::rows::{self, Owed};
use crate::entry::{Entry, Facts, Goal, Head};
use crate::place::Position;
use crate::plan::plan;
use crate::{Accepted, Delivery, DeliveryError, Dispatched, IncomingRecipient, limits};

/// What of a message says whom an answer would go to; nothing where none may.
pub(crate) struct Answering<'a> {
    prepared: &'a Prepared,
    to: &'a EmailAddress,
    /// Whom To and Cc name.
    named: HashSet<String>,
}

impl<'a> Answering<'a> {
    /// RFC 3834 2: what no machine may answer is not looked at further.
    pub(crate) fn of(prepared: &'a Prepared, facts: &'a Facts) -> Option<Self> {
        let to = facts.mail_from.as_ref()?;
        if is_machine(to) || has_machine_header(prepared.content()) {
            return None;
        }
        let envelope = &prepared.parsed.envelope;
        let lists = [&envelope.to, &envelope.cc];
        let specs = lists.into_iter().flatten().flatten();
        let specs = specs.filter_map(Address::addr_spec);
        let named = specs.filter_map(|spec| EmailAddress::parse(&spec).ok());
        Some(Self {
            prepared,
            to,
            named: named.map(|address| address.canonical()).collect(),
        })
    }

    /// Whether a copy is addressed to its account itself, and not by way of a group.
    fn is_personal(&self, head: &Head, address: &EmailAddress) -> bool {
        let is_named = |address: &EmailAddress| self.named.contains(&address.canonical());
        !head.expanded && (is_named(&head.recipient.address) || is_named(address))
    }
}

/// Addresses that answer by themselves, as they are usually called (RFC 5230 4.6).
fn is_machine(address: &EmailAddress) -> bool {
    let local = address.local().to_ascii_lowercase();
    let whole = ["mailer-daemon", "listserv", "majordomo"];
    let quiet = ["noreply", "no-reply", "donotreply", "do-not-reply"];
    whole.contains(&local.as_str())
        || quiet.contains(&local.as_str())
        || local.starts_with("owner-")
        || local.ends_with("-request")
}

/// Whether a header says that it comes from a machine, or a list (RFC 3834 2, RFC 2369, RFC 2919).
fn has_machine_header(content: &[u8]) -> bool {
    tern_mime::headers(content).any(|field| {
        let value = field.value.trim_ascii().to_ascii_lowercase();
        let is_automatic = field.is("Auto-Submitted") && !value.starts_with(b"no");
        let is_bulk =
            field.is("Precedence") && [&b"bulk"[..], b"list", b"junk"].contains(&value.as_slice());
        let is_list = field.name.len() > 5
            && field
                .name
                .get(..5)
                .is_some_and(|name| name.eq_ignore_ascii_case(b"List-"));
        let is_quiet = field.is("X-Auto-Response-Suppress") && !value.starts_with(b"none");
        is_automatic || is_bulk || is_list || is_quiet
    })
}

impl Delivery {
    /// Records the answer that is owed for a copy that lands, where one is.
    pub(crate) fn owe_answer_in(
        &self,
        txn: &mut Transaction<'_>,
        answering: &Answering<'_>,
        origin: OriginId,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let Goal::Local(account, address) = &entry.goal else {
            return Ok(());
        };
        if !answering.is_personal(&entry.head, address) {
            return Ok(());
        }
        let stored = rows::vacation_in(txn, *account)?;
        if !stored.vacation.is_on(now) {
            return Ok(());
        }
        let last = rows::answered_in(txn, *account, answering.to)?;
        let is_answered = last.is_some_and(|last| {
            last >= stored.since && now.millis_since(last) < limits::ANSWER_AGAIN_MS
        });
        if is_answered || self.may_send_as(*account, answering.to)? {
            return Ok(());
        }
        rows::put_answered(txn, *account, answering.to, last, now);
        let parsed = &answering.prepared.parsed;
        let subject = parsed.envelope.subject.as_deref().unwrap_or_default();
        let mut subject = tern_mime::decode_header_text(subject);
        subject.retain(|c| !c.is_control());
        let owed = Owed {
            to: answering.to.clone(),
            from: address.clone(),
            subject: subject
                .chars()
                .take(limits::MAX_VACATION_SUBJECT / 4)
                .collect(),
            message_id: parsed.message_id.clone().filter(|id| id.len() < 900),
        };
        txn.put(rows::owed_key(*account, origin), owed.encode());
        Ok(())
    }

    /// Writes the answers that are owed. One that can't be written stays, and keeps back no other.
    pub fn answer_owed(
        &self,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Dispatched, DeliveryError> {
        let mut answered = Dispatched::default();
        let mut next = Some(rows::all_owed());
        while let Some(range) = next
            && answered.accepted.len() < limits::DUE_AT_ONCE
        {
            let page = self.engine.scan(&range, limits::DUE_AT_ONCE)?;
            for (key, value) in page.rows {
                let (account, origin) = rows::read_owed_key(&key)?;
                let answer = Owed::decode(&value)
                    .map_err(DeliveryError::from)
                    .and_then(|owed| self.answer(&key, account, &owed, now, entropy));
                match answer {
                    Ok(accepted) => answered.accepted.extend(accepted),
                    Err(error) => answered.failed.push((origin, error)),
                }
            }
            next = page.next;
        }
        Ok(answered)
    }

    fn answer(
        &self,
        key: &[u8],
        account: AccountId,
        owed: &Owed,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Accepted>, DeliveryError> {
        let vacation = rows::vacation(self.reader(), account)?.vacation;
        let person = tern_directory::account(self.reader(), account)?;
        let name = person.map(|person| person.display_name).unwrap_or_default();
        let origin = OriginId::new(now, entropy);
        let recipient = IncomingRecipient::new(owed.to.clone());
        let snapshot = self.engine.snapshot()?;
        let mut entries = plan(&*snapshot, vec![recipient], true, &[])?;
        drop(snapshot);
        entries.retain(|entry| matches!(entry.goal, Goal::Local(..) | Goal::Outside(_)));
        entries.truncate(limits::MAX_NOTICE_RECIPIENTS);
        let message = compose(&self.settings.hostname, &vacation, owed, &name, origin, now);
        let facts = Facts {
            origin,
            // RFC 3834 3.3: nothing comes back to an answer.
            mail_from: None,
            submitter: None,
            ret: None,
            envid: None,
            smtputf8: owed.to.needs_smtputf8() || owed.from.needs_smtputf8(),
            received: now,
        };
        let prepared = self.mailboxes.prepare(message, now)?;
        let accounts: Vec<AccountId> = entries.iter().filter_map(Entry::account).collect();
        self.mailboxes.transact_unasked(&accounts, |txn| {
            if txn.get(key)?.is_none() {
                return Ok(Verdict::Abandon(None));
            }
            txn.delete(key.to_vec());
            let at = Position::default();
            let outcome = self.place_in(txn, &prepared, &facts, &entries, at, now)?;
            Ok::<_, DeliveryError>(Verdict::Commit(Some(Accepted {
                origin,
                message_id: format!("{origin}@{}", self.settings.hostname),
                local: outcome.local,
                outside: outcome.outside,
                late: outcome.late,
                cut_off: None,
            })))
        })
    }

    /// Forgets whom accounts answered so long ago that it does not matter any more. Answers how many.
    pub fn forget_answered(&self, now: Timestamp) -> Result<usize, DeliveryError> {
        let before = Timestamp(now.millis_since(Timestamp(limits::ANSWER_AGAIN_MS)));
        let range = rows::answered_before(before);
        let mut forgotten = 0;
        loop {
            let removed = self.mailboxes.transact_unasked(&[], |txn| {
                let page = txn.scan(&range, 500)?;
                for (key, _) in &page.rows {
                    rows::forget_by_time_in(txn, key)?;
                }
                Ok::<_, DeliveryError>(Verdict::Commit(page.rows.len()))
            })?;
            forgotten += removed;
            if removed == 0 {
                return Ok(forgotten);
            }
        }
    }
}
