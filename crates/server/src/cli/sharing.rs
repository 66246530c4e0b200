//! `tern mailbox`: who has rights in whose mailboxes.

use clap::{Args as ClapArgs, Subcommand};

use crate::control::request::{Request, SharingRequest};

#[derive(Subcommand)]
pub(crate) enum MailboxCommand {
    /// Give somebody rights in a mailbox: these, and no others that they had.
    Share {
        #[command(flatten)]
        which: Which,
        /// The rights, by their letters in RFC 4314: l (see it), r (read), s (mark as read), w (flag),
        /// i (put messages in), k (make mailboxes in it), x (delete it), t and e (delete messages), a
        /// (share it with others), p.
        #[arg(long, default_value = "lrs")]
        rights: String,
    },
    /// Take all rights in a mailbox away from somebody.
    Unshare {
        #[command(flatten)]
        which: Which,
    },
    /// Show who has which rights in the mailboxes of an account, or in one of them.
    Rights {
        /// The account.
        owner: String,
        /// The mailbox.
        mailbox: Option<String>,
    },
}

#[derive(ClapArgs)]
pub(crate) struct Which {
    /// The account.
    owner: String,
    /// The mailbox, levels separated by `/`.
    mailbox: String,
    /// An account or a group by its address, or `anyone`.
    #[arg(long)]
    with: String,
}

impl MailboxCommand {
    pub(super) fn request(&self) -> Request {
        Request::Sharing(match self {
            Self::Share { which, rights } => SharingRequest::Share {
                owner: which.owner.clone(),
                mailbox: which.mailbox.clone(),
                with: which.with.clone(),
                rights: rights.clone(),
            },
            Self::Unshare { which } => SharingRequest::Unshare {
                owner: which.owner.clone(),
                mailbox: which.mailbox.clone(),
                with: which.with.clone(),
            },
            Self::Rights { owner, mailbox } => SharingRequest::Rights {
                owner: owner.clone(),
                mailbox: mailbox.clone(),
            },
        })
    }
}
