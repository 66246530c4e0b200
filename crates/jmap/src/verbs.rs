//! What a request may reach, and nothing more.

use tern_delivery::Outbox;
use tern_directory::{Identities, Principals, Subscriptions};
use tern_mailbox::Mailboxes;
use tern_recall::Recalls;
use tern_session::sharing::Sharing;

use crate::{PushDesk, RecallDesk, UploadDesk};

/// The verbs of a request. Methods narrow them to what the caller sees.
#[derive(Clone, Copy)]
pub struct Verbs<'a> {
    /// Mailboxes and messages.
    pub mailboxes: &'a Mailboxes,
    /// As whom accounts send.
    pub identities: &'a Identities,
    /// Who else there is.
    pub principals: &'a Principals,
    /// What mailboxes of others need of the directory.
    pub sharing: &'a Sharing,
    /// Recalls.
    pub recalls: &'a Recalls,
    /// What recalls need of the shell.
    pub desk: &'a dyn RecallDesk,
    /// Where devices want to be told what changed.
    pub subscriptions: &'a Subscriptions,
    /// What pushing to them needs of the shell.
    pub push: &'a dyn PushDesk,
    /// Who may upload now.
    pub uploads: &'a dyn UploadDesk,
    /// What accounts send.
    pub outbox: &'a Outbox,
}
