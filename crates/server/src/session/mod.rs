//! The protocols' sessions as the shell drives them: each with exactly the verbs it needs.

mod imap;
mod smtp;

pub(crate) use imap::{ImapService, imap_peer};
pub(crate) use smtp::{Memory, SmtpService, SmtpVerbs, smtp_peer};
