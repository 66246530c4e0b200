//! One destination of a message, and the facts that all its destinations share.

use std::sync::Arc;

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, EmailAddress, OriginId, Timestamp};
use tern_queue::{DsnReturn, Notify};

use crate::{IncomingRecipient, Refusal, limits};

/// What holds for every destination of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) origin: OriginId,
    pub(crate) mail_from: Option<EmailAddress>,
    pub(crate) submitter: Option<AccountId>,
    pub(crate) ret: Option<DsnReturn>,
    pub(crate) envid: Option<String>,
    pub(crate) smtputf8: bool,
    pub(crate) received: Timestamp,
}

/// A recipient of the envelope, and one path from it. Shared by all that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) recipient: IncomingRecipient,
    pub(crate) via: Vec<String>,
    /// The path goes by an account that sends its mail on.
    pub(crate) redirected: bool,
    /// The recipient leads to more than one destination.
    pub(crate) expanded: bool,
}

impl Head {
    pub(crate) fn notify(&self) -> Notify {
        self.recipient.notify.unwrap_or_default()
    }

    /// What is to be told of it behind where it leads: an expansion was reported in its place (RFC 3461
    /// 5.2.7.2).
    fn notify_behind(&self) -> Option<Notify> {
        self.recipient.notify.map(|notify| Notify {
            success: notify.success && !self.expanded,
            ..notify
        })
    }

    /// About how many bytes its addresses take.
    fn length(&self) -> usize {
        let path: usize = self.via.iter().map(String::len).sum();
        path + length(&self.recipient.address)
    }
}

/// Where one copy goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Into an account; the address is what Delivered-To says.
    Local(AccountId, EmailAddress),
    /// To another server.
    Outside(EmailAddress),
    /// Nowhere: the recipient was refused.
    Refused(Refusal),
    /// Nowhere: it stands for a recipient that was expanded, whose sender wants to hear of it.
    Expanded,
}

/// One destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) head: Arc<Head>,
    pub(crate) goal: Goal,
    /// Other ways that lead there. They go on record with where the message leads, before a plan is
    /// stored, which is without them.
    pub(crate) also: Vec<Arc<Head>>,
}

impl Entry {
    pub(crate) fn account(&self) -> Option<AccountId> {
        match self.goal {
            Goal::Local(account, _) => Some(account),
            _ => None,
        }
    }

    /// Notes another way there, unless it names nobody else or there are too many.
    pub(crate) fn also_by(&mut self, head: &Arc<Head>) {
        let mut known = std::iter::once(&self.head).chain(&self.also);
        let is_known = known.any(|known| {
            known.recipient.address == head.recipient.address && known.via == head.via
        });
        let length: usize = self.also.iter().map(|known| known.length()).sum();
        if !is_known
            && self.also.len() < limits::MAX_FURTHER_WAYS
            && length + head.length() <= limits::FURTHER_WAYS_BYTES
        {
            self.also.push(Arc::clone(head));
        }
    }

    /// Every way there, the one that it is brought by first; of several from one recipient the first.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &Arc<Head>> {
        let all = || std::iter::once(&self.head).chain(&self.also);
        all().enumerate().filter_map(move |(at, head)| {
            let address = &head.recipient.address;
            let mut before = all().take(at);
            let is_known = before.any(|before| before.recipient.address == *address);
            (!is_known).then_some(head)
        })
    }

    /// Brings what leaves by the way that asks for most, asking for what any of them does: one item leaves
    /// for all of them, and one of them is named to its sender.
    pub(crate) fn fold(&mut self) {
        if self.also.is_empty() || !matches!(self.goal, Goal::Outside(_)) {
            return;
        }
        let ways = || std::iter::once(&self.head).chain(&self.also);
        let asked = |head: &Arc<Head>| head.notify_behind().unwrap_or_default();
        let weight = |head: &Arc<Head>| match asked(head) {
            notify if notify.success => 2,
            notify if notify.failure || notify.delay => 1,
            _ => 0,
        };
        if ways().all(|head| head.notify_behind() == self.head.notify_behind()) {
            return;
        }
        let notify = Notify {
            success: ways().any(|head| asked(head).success),
            failure: ways().any(|head| asked(head).failure),
            delay: ways().any(|head| asked(head).delay),
        };
        let most = ways().map(weight).max();
        let first = ways().position(|head| Some(weight(head)) == most);
        if let Some(other) = first.and_then(|at| self.also.get_mut(at.checked_sub(1)?)) {
            std::mem::swap(other, &mut self.head);
        }
        let head = Arc::make_mut(&mut self.head);
        head.recipient.notify = Some(notify);
    }

    /// About how many bytes of rows it takes to bring this copy where it goes. An estimate that is
    /// rarely too low: whoever relies on it is answered that the batch is too large, and tries
    /// less.
    pub(crate) fn cost(&self) -> usize {
        let recipient = &self.head.recipient;
        let also: usize = self.also.iter().map(|head| head.length() + 20).sum();
        let named = self.head.length() + also;
        match &self.goal {
            // Return-Path and Delivered-To stand in the message's row.
            Goal::Local(_, address) => 500 + named + length(address),
            Goal::Outside(address) => {
                let orcpt = recipient.orcpt.as_ref().map_or(0, String::len);
                1_200 + named + length(address) + orcpt
            }
            Goal::Refused(_) | Goal::Expanded => named,
        }
    }
}

fn length(address: &EmailAddress) -> usize {
    address.local().len() + address.domain().as_str().len()
}

pub(crate) fn write_address(w: &mut Writer, address: &EmailAddress) {
    w.text(&address.to_string());
}

pub(crate) fn read_address(r: &mut Reader<'_>) -> Result<EmailAddress, Damaged> {
    EmailAddress::parse(&r.text()?).map_err(|_| Damaged)
}

pub(crate) fn write_head(w: &mut Writer, head: &Head) {
    write_address(w, &head.recipient.address);
    w.option(head.recipient.notify, |w, notify| {
        let bit = |on, bit: u8| if on { bit } else { 0 };
        w.byte(bit(notify.success, 1) | bit(notify.failure, 2) | bit(notify.delay, 4));
    });
    w.option(head.recipient.orcpt.as_deref(), |w, orcpt| {
        w.text(orcpt);
    });
    w.list(&head.via, |w, step| {
        w.text(step);
    });
    w.byte(head.redirected.into()).byte(head.expanded.into());
}

pub(crate) fn read_head(r: &mut Reader<'_>) -> Result<Head, Damaged> {
    Ok(Head {
        recipient: IncomingRecipient {
            address: read_address(r)?,
            notify: r.option(|r| {
                let bits = r.byte()?;
                Ok(Notify {
                    success: bits & 1 != 0,
                    failure: bits & 2 != 0,
                    delay: bits & 4 != 0,
                })
            })?,
            orcpt: r.option(Reader::text)?,
        },
        via: r.list(Reader::text)?,
        redirected: r.byte()? != 0,
        expanded: r.byte()? != 0,
    })
}

/// Adds one entry to a row: neighbours mostly share their head, which is then written once.
pub(crate) fn write_entry(w: &mut Writer, entry: &Entry, before: Option<&Entry>) {
    let same = before.is_some_and(|before| Arc::ptr_eq(&before.head, &entry.head));
    w.byte(u8::from(!same));
    if !same {
        write_head(w, &entry.head);
    }
    match &entry.goal {
        Goal::Local(account, address) => {
            w.byte(0).number(account.0.into());
            write_address(w, address);
        }
        Goal::Outside(address) => {
            w.byte(1);
            write_address(w, address);
        }
        Goal::Refused(refusal) => drop(w.byte(2).byte(refusal.number())),
        Goal::Expanded => drop(w.byte(3)),
    }
}

/// Reads a row of entries.
pub(crate) fn read_entries(r: &mut Reader<'_>) -> Result<Vec<Entry>, Damaged> {
    let mut head: Option<Arc<Head>> = None;
    let mut entries = Vec::new();
    while !r.is_empty() {
        let known = match (r.byte()?, &head) {
            (0, Some(head)) => Arc::clone(head),
            (1, _) => Arc::new(read_head(r)?),
            _ => return Err(Damaged),
        };
        let goal = match r.byte()? {
            0 => Goal::Local(AccountId(r.number32()?), read_address(r)?),
            1 => Goal::Outside(read_address(r)?),
            2 => Goal::Refused(Refusal::from_number(r.byte()?)?),
            3 => Goal::Expanded,
            _ => return Err(Damaged),
        };
        head = Some(Arc::clone(&known));
        entries.push(Entry {
            head: known,
            goal,
            also: Vec::new(),
        });
    }
    Ok(entries)
}

pub(crate) fn write_facts(w: &mut Writer, facts: &Facts) {
    w.option(facts.mail_from.as_ref(), write_address);
    w.option(facts.submitter, |w, account| {
        w.number(account.0.into());
    });
    w.option(facts.ret, |w, ret| {
        w.byte(match ret {
            DsnReturn::Full => 0,
            DsnReturn::Headers => 1,
        });
    });
    w.option(facts.envid.as_deref(), |w, envid| {
        w.text(envid);
    });
    w.byte(facts.smtputf8.into()).number(facts.received.0);
}

pub(crate) fn read_facts(r: &mut Reader<'_>, origin: OriginId) -> Result<Facts, Damaged> {
    Ok(Facts {
        origin,
        mail_from: r.option(read_address)?,
        submitter: r.option(|r| r.number32().map(AccountId))?,
        ret: r.option(|r| match r.byte()? {
            0 => Ok(DsnReturn::Full),
            1 => Ok(DsnReturn::Headers),
            _ => Err(Damaged),
        })?,
        envid: r.option(Reader::text)?,
        smtputf8: r.byte()? != 0,
        received: Timestamp(r.number()?),
    })
}
