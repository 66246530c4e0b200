//! Brings planned copies where they go, within one transaction: landings and queue items.

use std::sync::Arc;

use tern_base::{EmailAddress, Timestamp};
use tern_mailbox::{
    Flags, INBOX, Landing, Limit, Lineage, MailboxError, Placed, Prepared, SealTag,
};
use tern_queue::{Dsn, NewItem, Notify, QueueId};
use tern_recall::onward::note_stopped_in;
use tern_recall::{Destination, Path, Target};
use tern_store::Transaction;

use crate::entry::{Entry, Facts, Goal, Head};
use crate::heard::Heard;
use crate::report::{LocalAction, LocalReport};
use crate::vacation::Answering;
use crate::{Delivery, DeliveryError, Refusal};

/// Where a chunk of a plan begins: in the numbering of its entries, and of those that go somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) number: u32,
    pub(crate) target: u32,
}

/// What became of some entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) local: usize,
    pub(crate) outside: usize,
    pub(crate) late: Vec<SealTag>,
    pub(crate) reports: Vec<LocalReport>,
    pub(crate) first_refusal: Option<Refusal>,
    /// How many entries go somewhere.
    pub(crate) targets: u32,
    /// Which of these were refused there.
    pub(crate) refused: Vec<u32>,
}

impl Outcome {
    pub(crate) fn is_empty(&self) -> bool {
        self.local + self.outside == 0
    }

    fn late(&mut self, tag: Option<SealTag>) {
        self.late.extend(tag.filter(|tag| !self.late.contains(tag)));
    }

    /// Each recipient that leads there is told of as its sender wants it.
    fn refuse(&mut self, entry: &Entry, refusal: Refusal) {
        self.first_refusal.get_or_insert(refusal);
        let wanted = entry.heads().filter(|head| head.notify().failure);
        let report = |head: &Arc<Head>| LocalReport::of(head, LocalAction::Failed(refusal));
        self.reports.extend(wanted.map(report));
    }

    fn deliver(&mut self, entry: &Entry) {
        // RFC 3461 5.2.7.2: an expanded recipient is reported once, as such.
        let wanted = entry
            .heads()
            .filter(|it| it.notify().success && !it.expanded);
        self.reports
            .extend(wanted.map(|head| LocalReport::of(head, LocalAction::Delivered)));
    }

    fn expand(&mut self, head: &Head) {
        if head.notify().success {
            self.reports
                .push(LocalReport::of(head, LocalAction::Expanded));
        }
    }
}

impl Delivery {
    /// Brings every entry where it goes. Each succeeds or is reported by itself; a store error
    /// fails them all.
    pub(crate) fn place_in(
        &self,
        txn: &mut Transaction<'_>,
        prepared: &Prepared,
        facts: &Facts,
        entries: &[Entry],
        at: Position,
        now: Timestamp,
    ) -> Result<Outcome, DeliveryError> {
        let landings = landings(facts, entries);
        let placed = self.mailboxes.land_in(txn, prepared, &landings, now)?;
        let mut placed = placed.into_iter();
        let answering = Answering::of(prepared, facts);
        let heard = Heard::of(prepared, facts);
        let mut outcome = Outcome::default();
        let mut links = 0;
        for (number, entry) in (at.number..).zip(entries) {
            let head = &entry.head;
            match &entry.goal {
                Goal::Local(..) => {
                    outcome.targets += 1;
                    let landed = placed.next().unwrap_or(Err(MailboxError::NoAccount));
                    match landing_outcome(landed)? {
                        Ok(landed) => {
                            outcome.local += 1;
                            if let Some(answering) =
                                answering.as_ref().filter(|_| landed.sealed.is_none())
                            {
                                self.owe_answer_in(txn, answering, facts.origin, entry, now)?;
                            }
                            if let Some(heard) = heard.as_ref().filter(|_| landed.sealed.is_none())
                            {
                                self.hear_in(txn, heard, facts, &landed)?;
                            }
                            outcome.late(landed.sealed);
                            outcome.deliver(entry);
                        }
                        Err(refusal) => {
                            outcome.refuse(entry, refusal);
                            outcome.refused.push(at.target + outcome.targets - 1);
                        }
                    }
                }
                Goal::Outside(address) => {
                    outcome.targets += 1;
                    let item = QueueId::of_recipient(facts.origin, number);
                    let new = new_item(prepared, facts, head, address, item);
                    let (linked, sealed) = self.enqueue(txn, prepared, new, now)?;
                    links += linked;
                    outcome.outside += 1;
                    outcome.late(sealed);
                }
                Goal::Refused(refusal) => outcome.refuse(entry, *refusal),
                Goal::Expanded => outcome.expand(head),
            }
        }
        if links > 0 {
            self.mailboxes.link_blob_in(txn, prepared, links)?;
        }
        Ok(outcome)
    }

    /// Enqueues one item; under a seal it is cancelled in the same breath, so that its history
    /// says that it never left. Answers how many references to the content it holds.
    fn enqueue(
        &self,
        txn: &mut Transaction<'_>,
        prepared: &Prepared,
        new: NewItem,
        now: Timestamp,
    ) -> Result<(u64, Option<SealTag>), DeliveryError> {
        let id = new.id;
        let (origin, number) = (new.origin, id.number_in(new.origin));
        let sealed =
            self.mailboxes
                .sealed_outside_in(txn, prepared.letters(), origin, number, now)?;
        let fresh = tern_queue::enqueue_in(txn, new, &self.settings.schedule, now)?;
        if let Some(tag) = sealed.filter(|_| fresh) {
            tern_queue::cancel_in(txn, id, now)?;
            note_stopped_in(txn, tag, origin);
        }
        Ok((u64::from(fresh && sealed.is_none()), sealed))
    }
}

/// Only a store's error stops the others; what a mailbox refuses is that recipient's.
fn landing_outcome(
    landed: Result<Placed, MailboxError>,
) -> Result<Result<Placed, Refusal>, DeliveryError> {
    match landed {
        Ok(placed) => Ok(Ok(placed)),
        Err(MailboxError::Store(error)) => Err(error.into()),
        Err(error) => Ok(Err(landing_refusal(&error))),
    }
}

/// What the sender is told of a mailbox that does not take the message.
const fn landing_refusal(error: &MailboxError) -> Refusal {
    match error {
        MailboxError::QuotaExceeded | MailboxError::KeptQuotaExceeded => Refusal::MailboxFull,
        MailboxError::Limit(Limit::MessageOctets | Limit::PrefixOctets) => Refusal::TooLong,
        // The account goes, or no number is left in its inbox: what is sent again is refused again. The
        // others are about nothing that lands in an inbox.
        MailboxError::NoAccount
        | MailboxError::NoMailbox
        | MailboxError::Limit(_)
        | MailboxError::NoMessage
        | MailboxError::Exists
        | MailboxError::InvalidName(_)
        | MailboxError::NotAllowed(_)
        | MailboxError::NotPermitted
        | MailboxError::HasChildren
        | MailboxError::NotEmpty
        | MailboxError::RoleTaken
        | MailboxError::NoParent
        | MailboxError::NoHistory
        | MailboxError::Sealed
        | MailboxError::Store(_) => Refusal::Disabled,
    }
}

fn landings(facts: &Facts, entries: &[Entry]) -> Vec<Landing> {
    let return_path = match &facts.mail_from {
        Some(address) => format!("Return-Path: <{address}>\r\n"),
        None => "Return-Path: <>\r\n".to_owned(),
    };
    let landing = |entry: &Entry| {
        let Goal::Local(account, address) = &entry.goal else {
            return None;
        };
        // RFC 5321 4.4: Return-Path is added at final delivery.
        let prefix = format!("{return_path}Delivered-To: {address}\r\n");
        Some(Landing {
            account: *account,
            mailbox: INBOX,
            flags: Flags::empty(),
            received: facts.received,
            prefix: prefix.into_bytes(),
            origin: facts.origin,
            lineage: match (entry.head.via.is_empty(), entry.head.redirected) {
                (_, true) => Lineage::Redirected,
                (true, _) => Lineage::Delivered,
                (false, _) => Lineage::Expanded,
            },
            brought_by: None,
        })
    };
    entries.iter().filter_map(landing).collect()
}

fn new_item(
    prepared: &Prepared,
    facts: &Facts,
    head: &Head,
    address: &EmailAddress,
    id: QueueId,
) -> NewItem {
    let recipient = &head.recipient;
    let forwarded = !head.via.is_empty();
    let prefix = match forwarded {
        // What leaves by an alias or a redirect is known when it comes back.
        true => format!("Delivered-To: {}\r\n", recipient.address).into_bytes(),
        false => Vec::new(),
    };
    let notify = recipient.notify.map(|notify| Notify {
        // RFC 3461 5.2.7.2: the expansion was reported in place of this.
        success: notify.success && !head.expanded,
        ..notify
    });
    // RFC 3461 5.2.7.1: the original recipient stays known.
    let original = || {
        // RFC 6533 3
        let kind = match recipient.address.needs_smtputf8() {
            true => "utf-8",
            false => "rfc822",
        };
        forwarded.then(|| format!("{kind};{}", recipient.address))
    };
    let dsn = Dsn {
        ret: facts.ret,
        envid: facts.envid.clone(),
        notify,
        orcpt: recipient.orcpt.clone().or_else(original),
    };
    NewItem {
        id,
        origin: facts.origin,
        account: facts.submitter,
        mail_from: facts.mail_from.clone(),
        recipient: address.clone(),
        named: forwarded.then(|| recipient.address.clone()),
        dsn,
        smtputf8: facts.smtputf8,
        blob: prepared.blob,
        size: u64::from(prepared.size()) + prefix.len() as u64,
        prefix,
        not_before: None,
        held: None,
    }
}

/// Where the entries of a plan lead that lead anywhere, in order: what is put on record of a
/// submission.
pub(crate) fn targets_of(facts: &Facts, entries: &[Entry]) -> Vec<Target> {
    let target = |(number, entry): (u32, &Entry)| {
        let destination = match &entry.goal {
            Goal::Local(account, _) => Destination::Account(*account),
            Goal::Outside(address) => Destination::Outside {
                address: address.to_string(),
                item: QueueId::of_recipient(facts.origin, number),
            },
            Goal::Refused(_) | Goal::Expanded => return None,
        };
        let by = |head: &Head| Path {
            recipient: head.recipient.address.to_string(),
            via: head.via.clone(),
        };
        Some(Target {
            path: by(&entry.head),
            also: entry.also.iter().map(|head| by(head)).collect(),
            destination,
        })
    };
    (0..).zip(entries).filter_map(target).collect()
}

#[cfg(test)]
mod tests {
    use tern_store::StoreError;

    use super::*;

    #[test]
    fn a_sender_is_told_of_no_full_mailbox_but_where_room_would_mend_it() {
        for (error, told) in [
            (MailboxError::QuotaExceeded, Refusal::MailboxFull),
            (MailboxError::KeptQuotaExceeded, Refusal::MailboxFull),
            (MailboxError::Limit(Limit::MessageOctets), Refusal::TooLong),
            (MailboxError::Limit(Limit::PrefixOctets), Refusal::TooLong),
            (MailboxError::Limit(Limit::Uids), Refusal::Disabled),
            (MailboxError::NoAccount, Refusal::Disabled),
        ] {
            let outcome = landing_outcome(Err(error));
            assert_eq!(outcome.map(|landed| landed.err()), Ok(Some(told)));
        }
        let broken = landing_outcome(Err(StoreError::Damaged.into()));
        assert_eq!(broken.err(), Some(StoreError::Damaged.into()));
    }
}
