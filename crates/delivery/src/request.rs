//! Mail by which an account asks for a recall: to the server's own address `recall@` each of its
//! domains, as a recall message of Outlook, or as a submission that says what it takes the place of
//! (`Supersedes`).
//!
//! The address is nobody's: what comes to it is never delivered, and only an account may write to
//! it. Where the directory has somebody by that name, theirs is the mail, and nothing is asked.
//! A recall message of Outlook is delivered to nobody here either, who would only be told of what they
//! are not to see; other servers get it and may understand it.

use tern_base::{EmailAddress, Timestamp};
use tern_directory::resolve::is_unclaimed;
use tern_mailbox::Prepared;
use tern_recall::mail::{MailRequest, REQUEST_LOCAL_PART, record_request_in};
use tern_recall::{Named, Said, is_outlook_recall, limits, said_in_mail};
use tern_store::{Read, StoreError, Verdict};

use crate::entry::Facts;
use crate::{Accepted, Delivery, DeliveryError, IncomingRecipient, Submitter};

/// Whether an address is the one that asks for recalls, with or without a tag.
pub fn is_request_address(reader: &dyn Read, address: &EmailAddress) -> Result<bool, StoreError> {
    Ok(has_request_name(address) && is_unclaimed(reader, address)?)
}

/// Whether an address has the name that is kept for requests, in any domain.
fn has_request_name(address: &EmailAddress) -> bool {
    let user = address.local().split('+').next().unwrap_or_default();
    user.eq_ignore_ascii_case(REQUEST_LOCAL_PART)
}

/// How a submission may ask.
pub(crate) enum Way {
    /// It was sent to the server's own address.
    Addressed,
    /// It is a recall message of Outlook, sent to these recipients.
    Outlook(Vec<String>),
    /// By its header, if at all.
    Header,
}

impl Way {
    /// The way of a submission to these recipients.
    pub(crate) fn of(prepared: &Prepared, recipients: &[IncomingRecipient]) -> Self {
        if !is_outlook_recall(&prepared.parsed, prepared.content()) {
            return Self::Header;
        }
        let recipients = recipients.iter().map(|one| one.address.to_string());
        Self::Outlook(recipients.collect())
    }
}

/// What a submission asks for on behalf of who submits it.
pub(crate) fn request_of(
    key: &[u8; 32],
    asker: Submitter,
    facts: &Facts,
    prepared: &Prepared,
    way: &Way,
) -> Option<MailRequest> {
    let parsed = &prepared.parsed;
    let expires = match way {
        Way::Header => expiry(prepared.content(), facts.received),
        Way::Addressed | Way::Outlook(_) => None,
    };
    let request = |named, replaces_with| MailRequest {
        account: asker.account,
        connection: asker.connection,
        origin: facts.origin,
        message_id: parsed.message_id.clone().unwrap_or_default(),
        named,
        replaces_with,
        expires,
        said: match way {
            Way::Addressed => said_in_mail(parsed, prepared.content()),
            // Their text is for their readers.
            Way::Header | Way::Outlook(_) => Said::default(),
        },
    };
    match way {
        Way::Addressed => {
            let named = Named::by_mail(key, parsed, prepared.content());
            return Some(request(Some(named), None));
        }
        Way::Outlook(recipients) => {
            let named = Named::by_outlook(parsed, recipients);
            return Some(request(Some(named), None));
        }
        Way::Header => {}
    }
    // RFC 5536 3.2.12: one message at a time.
    let supersedes = tern_mime::header_value(prepared.content(), "Supersedes");
    let ids = supersedes
        .iter()
        .flat_map(|field| tern_mime::message_ids(field));
    match &ids.collect::<Vec<_>>()[..] {
        [id] => Some(request(
            Some(Named::by_message_id(id)),
            Some(prepared.digest),
        )),
        _ if expires.is_some() => Some(request(None, None)),
        _ => None,
    }
}

/// When a submission is to be taken back by what its header says: `Expires` (RFC 5536 3.2.5), or what
/// Outlook calls it (RFC 2156 2.3.1.2). A time that is past, or too far off, says nothing.
fn expiry(content: &[u8], now: Timestamp) -> Option<Timestamp> {
    let field = |name| tern_mime::header_value(content, name);
    let field = field("Expires").or_else(|| field("Expiry-Date"))?;
    let at = tern_mime::date(&field)?;
    let latest = now.plus_millis(limits::MAX_EXPIRY_MS);
    (at > now && at <= latest).then_some(at)
}

impl Delivery {
    /// Takes over a mail that is for nobody but the server: all that is durable of it is what it
    /// asks for.
    pub(crate) fn accept_request(
        &self,
        facts: &Facts,
        message_id: String,
        request: &MailRequest,
    ) -> Result<Accepted, DeliveryError> {
        tern_store::transact(&*self.engine, |txn| {
            record_request_in(txn, request);
            Ok::<_, StoreError>(Verdict::Commit(()))
        })?;
        Ok(Accepted {
            origin: facts.origin,
            message_id,
            local: 0,
            outside: 0,
            late: Vec::new(),
            cut_off: None,
        })
    }
}
