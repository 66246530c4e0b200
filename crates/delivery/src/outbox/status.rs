//! How it stands with the recipients of a sending, as the queue and the mailboxes know it now.
//!
//! Whether somebody has opened a message is told as far as they have sent word of it themselves (RFC 8098):
//! who may know what the ledger knows is a question of policy, which a report of a recall asks.

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};

use tern_base::{AccountId, EmailAddress, OriginId};
use tern_directory::resolve::{Resolution, resolve};
use tern_queue::{Ending, QueueId, Reply, Status};
use tern_recall::{Destination, Target};
use tern_store::Verdict;

use super::rows::{self, Head, Kept, Row};
use super::{Outbox, Sending, Stage};
use crate::heard::rows::Said;
use crate::request::is_request_address;
use crate::{Delivery, DeliveryError, heard, tables};

/// Whether a recipient has it (RFC 8621 7 `delivered`), from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivered {
    /// It is in the mailbox.
    Yes,
    /// Another server has it.
    Unknown,
    /// It is on its way.
    Queued,
    /// They will not get it.
    No,
}

/// How it stands with one recipient of the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientStatus {
    /// The recipient as the envelope names it.
    pub recipient: String,
    /// What was said of it last, as a reply of SMTP.
    pub reply: String,
    /// Whether they have it.
    pub delivered: Delivered,
    /// Whether it is said that it was displayed to them.
    pub displayed: bool,
}

type Standing = (Delivered, String);

fn standing(delivered: Delivered, reply: &str) -> Standing {
    (delivered, reply.to_owned())
}

impl Outbox {
    /// How it stands with each recipient; `None` for what was called off.
    pub fn statuses(
        &self,
        account: AccountId,
        sending: &Sending,
    ) -> Result<Option<Vec<RecipientStatus>>, DeliveryError> {
        self.delivery.statuses(account, sending)
    }
}

impl Delivery {
    /// The rows of an account, each marked as changed whose recipients stand otherwise than was told.
    pub(super) fn refreshed(&self, account: AccountId) -> Result<(Head, Vec<Row>), DeliveryError> {
        let (head, rows) = rows::read(&*self.engine.snapshot()?, account)?;
        let mut changed = false;
        for row in &rows {
            let Some(kept) = row.kept.as_ref().filter(|kept| kept.is_open()) else {
                continue;
            };
            let statuses = self.statuses(account, &kept.sending)?.unwrap_or_default();
            let mut hasher = std::hash::DefaultHasher::new();
            for status in &statuses {
                (status.delivered, &status.reply).hash(&mut hasher);
            }
            let told = hasher.finish() | 1;
            let settled = statuses
                .iter()
                .all(|status| status.delivered != Delivered::Queued);
            if told == kept.told && settled == kept.settled {
                continue;
            }
            changed = true;
            self.mailboxes.transact_unasked(&[account], |txn| {
                let Some(mut row) = rows::row_in(txn, account, row.id)? else {
                    return Ok(Verdict::Abandon(()));
                };
                if let Some(kept) = row.kept.as_mut() {
                    (kept.told, kept.settled) = (told, settled);
                    rows::change_in(txn, account, &mut row)?;
                }
                Ok::<_, DeliveryError>(Verdict::Commit(()))
            })?;
        }
        let (head, rows) = match changed {
            true => rows::read(&*self.engine.snapshot()?, account)?,
            false => (head, rows),
        };
        let is_open = |row: &Row| row.kept.as_ref().is_some_and(Kept::is_open);
        if head.open && !rows.iter().any(is_open) {
            self.close(account, head)?;
        }
        Ok((head, rows))
    }

    /// Notes that nothing about recipients will change any more, if nothing has changed since `seen`.
    fn close(&self, account: AccountId, seen: Head) -> Result<(), DeliveryError> {
        self.mailboxes.transact_unasked(&[], |txn| {
            let head = rows::head_in(txn, account)?;
            if head != seen {
                return Ok(Verdict::Abandon(()));
            }
            rows::put_head(
                txn,
                account,
                Head {
                    open: false,
                    ..head
                },
            );
            Ok::<_, DeliveryError>(Verdict::Commit(()))
        })
    }

    /// Who is to be told when it stands otherwise with a recipient of a message: the account that has it
    /// as a sending.
    pub(crate) fn told_of(
        &self,
        submitter: Option<AccountId>,
        origin: OriginId,
    ) -> Result<Vec<AccountId>, DeliveryError> {
        match submitter {
            Some(account) if rows::row(self.reader(), account, origin)?.is_some() => {
                Ok(vec![account])
            }
            _ => Ok(Vec::new()),
        }
    }

    fn statuses(
        &self,
        account: AccountId,
        sending: &Sending,
    ) -> Result<Option<Vec<RecipientStatus>>, DeliveryError> {
        let known = match sending.stage {
            Stage::Canceled => return Ok(None),
            Stage::Sent => Some(self.known(sending)?),
            Stage::Pending | Stage::Leaving | Stage::Refused(_) => None,
        };
        let envelope = rows::envelope(self.reader(), account, sending.id)?;
        let mut statuses = Vec::with_capacity(envelope.rcpt_to.len());
        let heard = heard::rows::read(self.reader(), account, sending.id)?;
        for (number, stop) in (0..).zip(envelope.rcpt_to) {
            let (delivered, reply) = match (&known, sending.stage) {
                (Some(known), _) => known.of(self, &stop.email)?,
                (None, Stage::Refused(refusal)) => {
                    let (class, subject, detail) = refusal.status();
                    let text = refusal.text();
                    let reply = format!("550 {class}.{subject}.{detail} {text}");
                    (Delivered::No, reply)
                }
                (None, _) => standing(Delivered::Queued, "250 2.0.0 Waits for its time"),
            };
            let said = heard.said.get(&number);
            let (delivered, reply) = with_reports((delivered, reply), said);
            statuses.push(RecipientStatus {
                recipient: stop.email,
                reply,
                delivered,
                displayed: said.is_some_and(|said| said.displayed),
            });
        }
        Ok(Some(statuses))
    }

    fn known(&self, sending: &Sending) -> Result<Known, DeliveryError> {
        let reader = self.reader();
        let targets = tern_recall::submission::targets(reader, sending.id)?;
        let items = tern_queue::by_origin(reader, sending.id)?;
        Ok(Known {
            targets,
            items: items.into_iter().map(|item| (item.id(), item)).collect(),
            lands: reader.get(&tables::job_key(sending.id))?.is_some(),
        })
    }
}

/// RFC 8621 7: of what another server has, reports say more than is known here.
fn with_reports(known: Standing, said: Option<&Said>) -> Standing {
    match (known, said) {
        ((Delivered::Unknown, reply), Some(said)) => {
            let delivered = match said.delivered {
                Some(true) => Delivered::Yes,
                Some(false) => Delivered::No,
                None => Delivered::Unknown,
            };
            (delivered, said.reply.clone().unwrap_or(reply))
        }
        (known, _) => known,
    }
}

/// What is known of a message that was accepted.
struct Known {
    targets: Vec<Target>,
    items: HashMap<QueueId, Status>,
    /// Its copies are still being brought where they go.
    lands: bool,
}

impl Known {
    fn of(&self, delivery: &Delivery, recipient: &str) -> Result<Standing, DeliveryError> {
        let address = EmailAddress::parse(recipient);
        let address = address.map_err(|_| tern_store::StoreError::Damaged)?;
        let name = address.to_string();
        let own = self
            .targets
            .iter()
            .filter(|target| target.recipients().any(|one| one == name));
        if let Some(worst) = own.map(|target| self.at(target, &name)).max() {
            return Ok(worst);
        }
        // More lead there than are on record.
        if let Resolution::Found(found) = resolve(delivery.reader(), &address)? {
            let leads_to = |target: &&Target| match &target.destination {
                Destination::Account(id) => found.accounts.iter().any(|it| it.account == *id),
                Destination::Outside { address, .. } => {
                    let mut outside = found.outside.iter();
                    outside.any(|it| it.address.to_string() == *address)
                }
                Destination::Nowhere => false,
            };
            let shared = self.targets.iter().filter(leads_to);
            if let Some(worst) = shared.map(|target| self.at(target, &name)).max() {
                return Ok(worst);
            }
        }
        let same = |target: &&Target| match &target.destination {
            Destination::Outside { address: other, .. } => other.eq_ignore_ascii_case(&name),
            _ => false,
        };
        if let Some(target) = self.targets.iter().find(same) {
            return Ok(self.at(target, &name));
        }
        if is_request_address(delivery.reader(), &address)? {
            return Ok(standing(Delivered::Yes, "250 2.0.0 Taken as a request"));
        }
        Ok(standing(
            Delivered::No,
            "550 5.0.0 It could not be delivered",
        ))
    }

    /// How it stands with a target, told by the name that the sender knows.
    fn at(&self, target: &Target, name: &str) -> Standing {
        match &target.destination {
            Destination::Account(_) if self.lands => {
                standing(Delivered::Queued, "250 2.0.0 On its way")
            }
            Destination::Account(_) => standing(Delivered::Yes, "250 2.1.5 In the mailbox"),
            Destination::Nowhere => standing(Delivered::No, "552 5.2.2 The mailbox took it not"),
            Destination::Outside { address, item } => match self.items.get(item) {
                Some(Status::Live(item)) => {
                    let last = item.last_reply.as_ref().map(|(_, reply)| reply);
                    let by_name = address.eq_ignore_ascii_case(name);
                    let reply = last.and_then(|reply| line(reply, 451, by_name));
                    let reply = reply.unwrap_or_else(|| "250 2.0.0 Queued".to_owned());
                    (Delivered::Queued, reply)
                }
                Some(Status::Finished(row)) => {
                    let last = row.last_reply.as_ref().map(|(_, reply)| reply);
                    let by_name = address.eq_ignore_ascii_case(name);
                    // It was for good, whatever code nobody sent.
                    let last = last.and_then(|reply| line(reply, 550, by_name));
                    let (delivered, said) = match row.ending {
                        Ending::Relayed => (Delivered::Unknown, "250 2.0.0 Handed on"),
                        Ending::Refused => (Delivered::No, "550 5.0.0 Refused"),
                        Ending::Expired => (Delivered::No, "550 5.4.7 Not reached in time"),
                        Ending::Cancelled => (Delivered::No, "550 5.7.0 Stopped"),
                    };
                    (delivered, last.unwrap_or_else(|| said.to_owned()))
                }
                // The queue forgets after a while.
                None if self.lands => standing(Delivered::Queued, "250 2.0.0 On its way"),
                None => standing(Delivered::Unknown, "250 2.0.0 Left long ago"),
            },
        }
    }
}

/// A reply as one line of SMTP; with `unsaid` as its code where nobody sent one. Where the sender knows
/// the recipient by another name it is the bare code: words may tell who is behind it, as the host does.
/// `None` where nothing is left of it.
fn line(reply: &Reply, unsaid: u16, by_name: bool) -> Option<String> {
    if !by_name && reply.code == 0 {
        return None;
    }
    let code = match reply.code {
        // The attempt never came to a reply.
        0 => unsaid,
        code => code,
    };
    let enhanced = reply
        .enhanced
        .map(|(class, subject, detail)| format!("{class}.{subject}.{detail} "));
    let words = if by_name { &*reply.text } else { "" };
    let text: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = format!("{code} {}{text}", enhanced.unwrap_or_default());
    Some(line.trim_end().to_owned())
}
