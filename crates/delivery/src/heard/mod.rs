//! What came back of a sending: notifications of delivery (RFC 3464) and of disposition (RFC 8098) that
//! land with the account that sent it, those that this server writes itself among them (RFC 8621 7
//! `dsnBlobIds`, `mdnBlobIds`).
//!
//! A report stays a message like any other; here it is noted, in the transaction in which it lands, of
//! which sending it is. It is of the sending whose envelope id it names, or else of the newest with the
//! Message-ID that it gives back, and in either case of the account's own.
//!
//! Invariants:
//! - Whoever forges a report adds it to the list of one sending, of which there is a most, and no more: it
//!   says something of a recipient only where it could not have been written by anybody.
//!   Of delivery it names an envelope id with a code that speaks for that recipient ([`envid`]); of
//!   disposition it was submitted by the very account, or came from outside for somebody outside.
//! - What is known for good of a recipient is not said otherwise by a later report.
//!
//! Refuses to hear what is under a seal.

pub(crate) mod envid;
mod read;
pub(crate) mod rows;

use std::collections::HashMap;

use tern_base::{AccountId, EmailAddress, MessageId, OriginId};
use tern_directory::resolve::{Resolution, glance};
use tern_mailbox::{Placed, Prepared};
use tern_recall::Destination;
use tern_recall::submission::{all_by_message_id, targets};
use tern_store::Transaction;

use crate::entry::Facts;
use crate::outbox::rows as outbox_rows;
use crate::outbox::rows::Row;
use crate::{Delivery, DeliveryError, Envelope, Outbox, Stage, Stop, limits};
use envid::EnvelopeId;
use read::{About, Kind, Says};
use rows::{Lists, Said};

pub(crate) use read::Heard;

/// The notifications that came back of a sending, of each kind the oldest first. Messages, of which some
/// may be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    /// Of delivery.
    pub dsn: Vec<MessageId>,
    /// Of disposition.
    pub mdn: Vec<MessageId>,
}

impl Outbox {
    /// What came back of a sending.
    pub fn reports(&self, account: AccountId, id: OriginId) -> Result<Reports, DeliveryError> {
        let Lists { dsn, mdn } = rows::read(self.delivery.reader(), account, id)?.lists;
        Ok(Reports { dsn, mdn })
    }
}

impl Heard {
    /// What an arriving message says of another one; `None` where it is no report.
    pub(crate) fn of(prepared: &Prepared, facts: &Facts) -> Option<Self> {
        let heard = Self::read(&prepared.parsed, prepared.content())?;
        // RFC 3464 2: of a notification of delivery the return path is null. Programs of people can't
        // always send theirs so.
        (heard.kind == Kind::Mdn || facts.mail_from.is_none()).then_some(heard)
    }

    /// Its envelope id, where it is one that is made here.
    fn envelope_id(&self) -> Option<EnvelopeId<'_>> {
        EnvelopeId::parse(self.envid.as_deref()?)
    }
}

/// Recipients of an envelope by the names that a report may have for them.
struct Named(HashMap<String, u32>);

impl Named {
    fn of(envelope: &Envelope) -> Self {
        let mut all = HashMap::new();
        for (number, stop) in (0..).zip(&envelope.rcpt_to) {
            let names = original_recipient(stop).into_iter().chain([&*stop.email]);
            for name in names.filter_map(|name| EmailAddress::parse(name).ok()) {
                all.entry(name.canonical()).or_insert(number);
            }
        }
        Self(all)
    }

    /// The recipient that a report is about: whom the sender wrote to, or else whom that led to.
    fn find(&self, about: &About) -> Option<u32> {
        let names = [&about.original, &about.last];
        let mut names = names.into_iter().flatten();
        names.find_map(|name| self.0.get(&name.canonical()).copied())
    }
}

/// How the sender says that a recipient was written to (RFC 3461 4.2).
fn original_recipient(stop: &Stop) -> Option<&str> {
    let mut parameters = stop.parameters.iter();
    let named = parameters.find(|(name, _)| name.eq_ignore_ascii_case("ORCPT"));
    let (_, address) = named?.1.as_deref()?.split_once(';')?;
    Some(address)
}

impl Delivery {
    /// Notes a report that has landed, if it is about a sending of its account.
    pub(crate) fn hear_in(
        &self,
        txn: &mut Transaction<'_>,
        heard: &Heard,
        facts: &Facts,
        landed: &Placed,
    ) -> Result<(), DeliveryError> {
        let account = landed.account;
        let Some((mut row, envelope)) = self.sending_heard_of(txn, account, heard)? else {
            return Ok(());
        };
        let mut lists = rows::lists_in(txn, account, row.id)?;
        let list = match heard.kind {
            Kind::Dsn => &mut lists.dsn,
            Kind::Mdn => &mut lists.mdn,
        };
        let mut has_changed = false;
        if list.len() < limits::MAX_REPORTS_LISTED {
            list.push(landed.message);
            rows::put_lists(txn, account, row.id, &lists);
            has_changed = true;
        }
        let named = Named::of(&envelope);
        for about in &heard.about {
            let stop = named.find(about).and_then(|number| {
                let stop = envelope.rcpt_to.get(number as usize)?;
                Some((number, EmailAddress::parse(&stop.email).ok()?))
            });
            let Some((number, address)) = stop else {
                continue;
            };
            let before = rows::said_in(txn, account, row.id, number)?;
            let after = said_then(&before, &about.says);
            if after == before || !self.is_credible(heard, facts, row.id, (&address, about))? {
                continue;
            }
            rows::put_said(txn, account, row.id, (number, &after));
            has_changed = true;
        }
        match has_changed {
            true => outbox_rows::change_in(txn, account, &mut row),
            false => Ok(()),
        }
    }

    /// The sending of an account that a report is about, and its envelope.
    fn sending_heard_of(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        heard: &Heard,
    ) -> Result<Option<(Row, Envelope)>, DeliveryError> {
        let mut ids: Vec<OriginId> = heard
            .envelope_id()
            .map(|id| id.origin)
            .into_iter()
            .collect();
        if let Some(message_id) = &heard.message_id {
            let most = limits::SENDINGS_OF_MESSAGE_ID;
            ids.extend(all_by_message_id(self.reader(), account, message_id, most)?);
        }
        let mut first = None;
        for id in ids {
            let Some(row) = outbox_rows::row_in(txn, account, id)? else {
                continue;
            };
            let stage = row.kept.as_ref().map(|kept| kept.sending.stage);
            if !matches!(
                stage,
                Some(Stage::Leaving | Stage::Sent | Stage::Refused(_))
            ) {
                continue;
            }
            let envelope = outbox_rows::envelope(self.reader(), account, id)?;
            let names_it = heard.envelope_id().is_some_and(|it| it.origin == id);
            let named = Named::of(&envelope);
            let found = Some((row, envelope));
            // Of several with one Message-ID, the newest that went to whom it names.
            if names_it || heard.about.iter().any(|it| named.find(it).is_some()) {
                return Ok(found);
            }
            first = first.or(found);
        }
        Ok(first)
    }

    /// Whether a report may say what it says of a recipient.
    fn is_credible(
        &self,
        heard: &Heard,
        facts: &Facts,
        sending: OriginId,
        (recipient, about): (&EmailAddress, &About),
    ) -> Result<bool, DeliveryError> {
        match heard.kind {
            Kind::Dsn => self.may_speak_for(heard, sending, (recipient, about)),
            Kind::Mdn => match facts.submitter {
                Some(account) => self.may_send_as(account, recipient),
                None => self.is_outside(recipient),
            },
        }
    }

    fn may_speak_for(
        &self,
        heard: &Heard,
        sending: OriginId,
        (recipient, about): (&EmailAddress, &About),
    ) -> Result<bool, DeliveryError> {
        let id = heard.envelope_id().filter(|id| id.origin == sending);
        let (Some(id), key) = (id, &self.token_key) else {
            return Ok(false);
        };
        if id.speaks_for(key, recipient.domain()) {
            return Ok(true);
        }
        // An alias here may have led there.
        let Some(last) = about.last.as_ref().map(EmailAddress::domain) else {
            return Ok(false);
        };
        if !id.speaks_for(key, last) {
            return Ok(false);
        }
        let name = recipient.to_string();
        let targets = targets(self.reader(), sending)?;
        let mut of_recipient = targets
            .iter()
            .filter(|target| target.recipients().any(|one| one == name));
        Ok(of_recipient.any(|target| match &target.destination {
            Destination::Outside { address, .. } => {
                EmailAddress::parse(address).is_ok_and(|address| address.domain() == last)
            }
            Destination::Account(_) | Destination::Nowhere => false,
        }))
    }

    /// Whether an address leads to no account here.
    fn is_outside(&self, address: &EmailAddress) -> Result<bool, DeliveryError> {
        Ok(match glance(self.reader(), address)? {
            Resolution::UnknownDomain => true,
            Resolution::Found(found) => found.accounts.is_empty(),
            Resolution::UnknownUser
            | Resolution::Disabled
            | Resolution::Nobody
            | Resolution::TooMany => false,
        })
    }
}

/// What is known of a recipient once a report has said this, too (RFC 8621 7 `deliveryStatus`).
fn said_then(before: &Said, says: &Says) -> Said {
    let mut said = before.clone();
    let is_final = before.delivered.is_some();
    match says {
        Says::Displayed => said.displayed = true,
        Says::Delivered(_) | Says::Failed(_) | Says::OnItsWay(_) if is_final => {}
        Says::Delivered(reply) => (said.delivered, said.reply) = (Some(true), Some(reply.clone())),
        Says::Failed(reply) => (said.delivered, said.reply) = (Some(false), Some(reply.clone())),
        Says::OnItsWay(reply) => said.reply = Some(reply.clone()),
    }
    said
}
