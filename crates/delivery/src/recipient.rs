//! What a session may be told of an address before it accepts a message for it.

use tern_base::{AccountId, Domain, EmailAddress};
use tern_directory::resolve::{Expansion, Resolution, glance, is_own};
use tern_directory::{domain, list_domains};
use tern_mailbox::MailboxError;

use crate::request::is_request_address;
use crate::{Delivery, DeliveryError};

/// The answer for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecipientCheck {
    /// An address of this server.
    Local,
    /// An outside address, and the sender may relay to it.
    Relay,
    /// Our domain, and no such address.
    UnknownUser,
    /// An outside address, and the sender may not relay.
    RelayDenied,
    /// The mailbox is over its quota already.
    MailboxFull,
    /// The account takes no mail.
    Disabled,
    /// The server's own address for requests, which only an account may write to.
    AccountsOnly,
    /// It leads to more recipients than one message may have.
    TooManyMembers,
}

impl Delivery {
    /// Whether a message for this address would be taken. `submitter` is who has authenticated:
    /// only they may relay.
    pub fn check_recipient(
        &self,
        submitter: Option<AccountId>,
        address: &EmailAddress,
    ) -> Result<RecipientCheck, DeliveryError> {
        if is_request_address(self.reader(), address)? {
            return Ok(match submitter {
                Some(_) => RecipientCheck::Local,
                None => RecipientCheck::AccountsOnly,
            });
        }
        Ok(match glance(self.reader(), address)? {
            Resolution::Found(found) => return self.check_room(&found),
            Resolution::UnknownDomain if submitter.is_some() => RecipientCheck::Relay,
            Resolution::UnknownDomain => RecipientCheck::RelayDenied,
            Resolution::UnknownUser | Resolution::Nobody => RecipientCheck::UnknownUser,
            Resolution::Disabled => RecipientCheck::Disabled,
            Resolution::TooMany => RecipientCheck::TooManyMembers,
        })
    }

    /// Who is meant by `postmaster` without a domain (RFC 5321 4.5.1), on a host of this name: the
    /// postmaster of the domain that the host is or stands in, or else of the first domain.
    pub fn postmaster(&self, host: &str) -> Result<Option<EmailAddress>, DeliveryError> {
        let mut within = Some(host);
        while let Some(name) = within {
            if let Ok(name) = Domain::parse(name)
                && domain(self.reader(), &name)?.is_some()
            {
                return Ok(postmaster_of(&name));
            }
            within = name.split_once('.').map(|(_, rest)| rest);
        }
        let domains = list_domains(self.reader())?;
        Ok(domains.first().and_then(|info| postmaster_of(&info.domain)))
    }

    /// A full mailbox is told to the sender's server at once; of several, the notice tells it.
    fn check_room(&self, found: &Expansion) -> Result<RecipientCheck, DeliveryError> {
        let ([only], []) = (&found.accounts[..], &found.outside[..]) else {
            return Ok(RecipientCheck::Local);
        };
        match self.mailboxes.account_head(only.account) {
            Ok(head) if self.mailboxes.is_full(&head) => Ok(RecipientCheck::MailboxFull),
            Ok(_) => Ok(RecipientCheck::Local),
            Err(MailboxError::NoAccount) => Ok(RecipientCheck::Disabled),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an account may use an address as its own (RFC 6409 6.1): one of its addresses, or
    /// an alias that leads to it alone.
    pub fn may_send_as(
        &self,
        account: AccountId,
        address: &EmailAddress,
    ) -> Result<bool, DeliveryError> {
        Ok(is_own(self.reader(), account, address)?)
    }
}

fn postmaster_of(domain: &Domain) -> Option<EmailAddress> {
    EmailAddress::parse(&format!("postmaster@{domain}")).ok()
}
