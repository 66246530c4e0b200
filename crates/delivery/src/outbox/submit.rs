//! Asking for a message to be sent, now or later.

use tern_base::{AccountId, EmailAddress, Entropy, MessageId, OriginId, ThreadId, Timestamp};
use tern_store::Verdict;

use super::envelope::Envelope;
use super::rows::{self, Held, Kept, Row};
use super::{Outbox, Sending, Stage, bury_in};
use crate::{Delivery, DeliveryError, RecipientCheck, Submitter, limits};

/// A message that is to be sent.
#[derive(Clone, Debug)]
pub struct NewSending {
    /// Who asks, by which connection.
    pub submitter: Submitter,
    /// As whom.
    pub identity: u32,
    /// The message in the account's mailboxes.
    pub email: MessageId,
    /// Its conversation.
    pub thread: ThreadId,
    /// Its octets.
    pub content: Vec<u8>,
    /// From whom, to whom.
    pub envelope: Envelope,
}

/// Why a message is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The sender is not the account's own.
    #[error("the sender is not an address of the account")]
    ForbiddenMailFrom,
    /// The envelope names nobody.
    #[error("there is no recipient")]
    NoRecipients,
    /// The envelope names more than so many, or takes too much room.
    #[error("there are too many recipients")]
    TooManyRecipients(usize),
    /// The account has written to too many recipients lately.
    #[error("the account has written to too many recipients lately; it may again in a while")]
    TooOften,
    /// These are no addresses, or lead to nobody.
    #[error("these recipients can't be written to")]
    InvalidRecipients(Vec<String>),
    /// The envelope asks for what there is not.
    #[error("{0}")]
    BadEnvelope(String),
    /// The message is too large.
    #[error("the message is too large")]
    TooLarge,
    /// Too many messages of the account wait for their time.
    #[error("too many messages wait to be sent")]
    TooManyPending,
    /// Delivery's reason.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

impl From<tern_store::StoreError> for SubmitError {
    fn from(error: tern_store::StoreError) -> Self {
        Self::Delivery(error.into())
    }
}

impl Outbox {
    /// Sends a message, or keeps it until its time.
    pub fn submit(
        &self,
        new: NewSending,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Sending, SubmitError> {
        let account = new.submitter.account;
        let hold_until = self.delivery.check_sending(&new, now)?;
        let named = new.envelope.rcpt_to.iter();
        self.count(account, named.map(|stop| &*stop.email))?;
        let id = OriginId::new(now, entropy);
        // Whoever looks for what is due leaves it to this call.
        let Some(claim) = self.delivery.under_way.claim(id) else {
            return Err(DeliveryError::from(tern_store::StoreError::Busy).into());
        };
        let mut sending = self.delivery.keep(id, new, hold_until, now)?;
        if sending.stage == Stage::Pending {
            return Ok(sending);
        }
        match self.delivery.dispatch(&claim, account, now, entropy) {
            Ok(accepted) => {
                if let Some(accepted) = accepted {
                    (self.departure)(&accepted);
                }
                sending.stage = Stage::Sent;
                Ok(sending)
            }
            Err(error) => {
                self.delivery.take_back(account, id, now)?;
                Err(error.into())
            }
        }
    }
}

impl Delivery {
    /// Refuses what can't be sent. Answers until when it is to be held.
    fn check_sending(
        &self,
        new: &NewSending,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, SubmitError> {
        let (account, envelope) = (new.submitter.account, &new.envelope);
        if envelope.rcpt_to.is_empty() {
            return Err(SubmitError::NoRecipients);
        }
        let is_large = envelope.size() > limits::MAX_ENVELOPE;
        if envelope.rcpt_to.len() > limits::MAX_ENVELOPE_RECIPIENTS || is_large {
            let most = limits::MAX_ENVELOPE_RECIPIENTS;
            return Err(SubmitError::TooManyRecipients(most));
        }
        if new.content.len() > limits::MAX_SENDING {
            return Err(SubmitError::TooLarge);
        }
        let asked = envelope.asked(now).map_err(SubmitError::BadEnvelope)?;
        if !self.may_send_as(account, &asked.mail_from)? {
            return Err(SubmitError::ForbiddenMailFrom);
        }
        let mut invalid = asked.invalid;
        for recipient in &asked.recipients {
            if !self.may_be_written_to(account, &recipient.address)? {
                invalid.push(recipient.address.to_string());
            }
        }
        match invalid.is_empty() {
            true => Ok(asked.hold_until.filter(|until| *until > now)),
            false => Err(SubmitError::InvalidRecipients(invalid)),
        }
    }

    pub(super) fn may_be_written_to(
        &self,
        account: AccountId,
        address: &EmailAddress,
    ) -> Result<bool, DeliveryError> {
        Ok(match self.check_recipient(Some(account), address)? {
            RecipientCheck::Local | RecipientCheck::Relay => true,
            // That may be over by the time it arrives; otherwise the sender is told.
            RecipientCheck::MailboxFull => true,
            RecipientCheck::UnknownUser
            | RecipientCheck::RelayDenied
            | RecipientCheck::Disabled
            | RecipientCheck::AccountsOnly
            | RecipientCheck::TooManyMembers => false,
        })
    }

    /// Makes a sending durable, with its content.
    fn keep(
        &self,
        id: OriginId,
        new: NewSending,
        hold_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Sending, SubmitError> {
        let account = new.submitter.account;
        if self.tidy_outbox(account)? >= limits::MAX_PENDING {
            return Err(SubmitError::TooManyPending);
        }
        let prepared = self.mailboxes.prepare(new.content, now);
        let prepared = prepared.map_err(DeliveryError::from)?;
        let due = hold_until.unwrap_or(now);
        let sending = Sending {
            id,
            identity: new.identity,
            email: new.email,
            thread: new.thread,
            send_at: due,
            stage: match hold_until {
                Some(_) => Stage::Pending,
                None => Stage::Leaving,
            },
        };
        self.mailboxes.transact_unasked(&[], |txn| {
            let mut row = Row {
                id,
                created: 0,
                changed: 0,
                kept: Some(Kept {
                    sending: sending.clone(),
                    submitter: new.submitter.clone(),
                    envelope_rows: rows::put_envelope_in(txn, account, id, &new.envelope),
                    held: Some(Held {
                        blob: prepared.blob,
                        size: prepared.size(),
                        due,
                    }),
                    told: 0,
                    settled: false,
                }),
            };
            self.mailboxes.link_blob_in(txn, &prepared, 1)?;
            rows::change_in(txn, account, &mut row)?;
            txn.put(rows::due_key(due, account, id), rows::mark());
            Ok::<_, DeliveryError>(Verdict::Commit(()))
        })?;
        Ok(sending)
    }

    /// Leaves nothing of a sending that was not accepted, but that it was there.
    fn take_back(
        &self,
        account: AccountId,
        id: OriginId,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        self.mailboxes.transact_unasked(&[], |txn| {
            let Some(mut row) = rows::row_in(txn, account, id)? else {
                return Ok(Verdict::Abandon(()));
            };
            self.let_go_in(txn, account, &mut row, now)?;
            bury_in(txn, account, &mut row)?;
            Ok(Verdict::Commit(()))
        })
    }
}
