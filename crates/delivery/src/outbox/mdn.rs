//! Sending a message disposition notification (RFC 8098), and finding what one is about.
//!
//! It leaves as any submission does, at once and with the null sender: nobody answers it, and nobody is
//! told where it could not be delivered (RFC 8098 3). It is no sending of the outbox: there is nothing to
//! call off, and what is sent once is for the caller to know.

use tern_base::{AccountId, EmailAddress, Entropy, MessageId, OriginId, Timestamp};
use tern_recall::submission::by_message_id;

use super::{Outbox, SubmitError, rows};
use crate::{DeliveryError, Incoming, IncomingRecipient, Submitter, limits};

/// A notification that is to be sent.
#[derive(Clone, Debug)]
pub struct NewMdn {
    /// Who asks, by which connection.
    pub submitter: Submitter,
    /// As whom: an address of the account.
    pub sender: EmailAddress,
    /// Who asked to be notified.
    pub recipients: Vec<EmailAddress>,
    /// Its octets.
    pub content: Vec<u8>,
}

impl Outbox {
    /// Sends a notification. Once this answers `Ok`, it is durable.
    pub fn send_mdn(
        &self,
        new: NewMdn,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<(), SubmitError> {
        let (delivery, account) = (&self.delivery, new.submitter.account);
        if !delivery.may_send_as(account, &new.sender)? {
            return Err(SubmitError::ForbiddenMailFrom);
        }
        match new.recipients.len() {
            0 => return Err(SubmitError::NoRecipients),
            1..=limits::MAX_MDN_RECIPIENTS => {}
            _ => return Err(SubmitError::TooManyRecipients(limits::MAX_MDN_RECIPIENTS)),
        }
        if new.content.len() > limits::MAX_SENDING {
            return Err(SubmitError::TooLarge);
        }
        let mut invalid = Vec::new();
        for recipient in &new.recipients {
            if !delivery.may_be_written_to(account, recipient)? {
                invalid.push(recipient.to_string());
            }
        }
        if !invalid.is_empty() {
            return Err(SubmitError::InvalidRecipients(invalid));
        }
        // Whoever asks to be notified is named by the message, which the account may have brought itself.
        let named: Vec<String> = new.recipients.iter().map(ToString::to_string).collect();
        self.count(account, named.iter().map(|it| &**it))?;
        let origin = OriginId::new(now, entropy);
        let mut content = delivery.trace(origin, now);
        content.extend_from_slice(&new.content);
        let mut all = std::iter::once(&new.sender).chain(&new.recipients);
        let incoming = Incoming {
            origin,
            // RFC 8098 3: the return path of a notification is null.
            mail_from: None,
            smtputf8: all.any(EmailAddress::needs_smtputf8),
            recipients: new
                .recipients
                .into_iter()
                .map(IncomingRecipient::new)
                .collect(),
            ret: None,
            envid: None,
            content,
            submitter: Some(new.submitter),
        };
        let accepted = delivery.accept(incoming, now, entropy)?;
        (self.departure)(&accepted);
        Ok(())
    }

    /// The account's own copy of a message that it has submitted, by Message-ID without angle brackets:
    /// the one that was sent from, or else the only one that is the same letter.
    pub fn copy_of_submitted(
        &self,
        account: AccountId,
        message_id: &str,
    ) -> Result<Option<MessageId>, DeliveryError> {
        let reader = self.delivery.reader();
        let Some(found) = by_message_id(reader, account, message_id)? else {
            return Ok(None);
        };
        let sending = rows::row(reader, account, found.id)?.and_then(|row| row.kept);
        if let Some(kept) = sending {
            return Ok(Some(kept.sending.email));
        }
        let copies = self.delivery.mailboxes.copies_in(account, found.digest)?;
        Ok(match copies.as_slice() {
            [copy] => Some(copy.message),
            _ => None,
        })
    }
}
