//! Mailboxes and messages over the store: append, flag, move, copy, expunge, withdraw, restore.
//!
//! The model is JMAP's, exact for IMAP: a *message* is one row of an account with a stable id, and
//! has a *placement* in each mailbox that shows it, with a UID, flags and a modseq of its own.
//! Content is held once for the server and counted by reference.
//!
//! Invariants:
//! - UID and modseq are assigned in the transaction that makes the change visible, so their order
//!   never inverts; neither is ever used twice.
//! - Every change of an account is in its one change log, under the modseq it was given.
//! - Content under a *seal* is served to nobody ([`Mailboxes::read`] asks at the last moment), and
//!   content that arrives under a seal is never shown.
//!
//! Refuses to know why something is withdrawn or sealed, and by whom: the floors above do.

pub mod check;
pub mod error;
pub mod flags;
pub mod limits;
pub mod rows;
pub mod tables;

mod access;
mod account_view;
mod across;
mod ahead;
mod anew;
mod append;
mod arrange;
mod arrived;
mod blob;
mod brought;
mod carried;
mod change;
mod client;
mod connection;
mod content;
mod copy;
mod delete;
mod device;
mod edit;
mod expose;
mod exposed;
mod expunge;
mod flag;
mod flagged;
mod folder;
mod handle;
mod hidden;
mod hooks;
mod ingest;
mod inherit;
mod keep;
mod known;
mod ledger;
mod mark;
mod may;
mod once;
mod outline;
mod recognise;
mod record;
mod remove;
mod restore;
mod rights;
mod roll;
mod room;
mod seal;
mod sealed;
mod sealing;
mod seen;
mod share_notice;
mod sheet;
mod slots;
mod stand_in;
mod subscribed;
mod subscribed_name;
#[cfg(test)]
mod testing;
mod thread;
mod trim;
mod update;
mod upload;
mod vault;
mod view;
mod walk;
mod wide;
mod withdraw;
mod words;

pub use access::{Access, Acting, Actor, Grantee, RightsChange, Shares};
pub use account_view::{AccountView, Held};
pub use across::{Across, Crossed, KeptAs};
pub use ahead::Ahead;
pub use append::{AppendRequest, Appended};
pub use arrange::{FolderChange, NewFolder};
pub use brought::{Bringer, Brought};
pub use carried::{Carriage, Letter, Parts};
pub use change::{AccountChange, MailboxChanges};
pub use client::{Client, DeviceId};
pub use connection::Connection;
pub use content::{Body, MessageFacts};
pub use copy::{CopiedPair, Transfer};
pub use device::{Device, Passed, Sighting, Told};
pub use error::{Limit, MailboxError, NotAllowed};
pub use expose::{Exposure, ExposureLevel, Served, Viewer};
pub use flag::{FlagChange, FlagOutcome, FlagRequest};
pub use flags::{Flags, SystemFlag};
pub use folder::{Folder, FolderSpec, OTHER_USERS, Role, SEPARATOR};
pub use handle::{Lane, Listener, Mailboxes, NoListener, Opened, Sealing, Upkeep};
pub use hooks::Hooks;
pub use ingest::{Copy, INBOX, Landing, Placed, Prepared};
pub use keep::{KEPT, Keeper, Leaving};
pub use ledger::{Ledger, Moment, Serving, Share};
pub use mark::Mark;
pub use outline::Outline;
pub use recognise::Recogniser;
pub use rights::Rights;
pub use rows::{CopyRow, Lineage, MessageRow};
pub use seal::{Cover, Origins, Outside, Seal, SealChange, SealTag, sealed_by_row};
pub use share_notice::{ShareNotice, ShareNotices};
pub use stand_in::StandIn;
pub use subscribed::Foreign;
pub use update::{Flagging, Placing, Update};
pub use upload::{Upload, Uploaded};
pub use view::{Entry, View};
pub use walk::{Met, Walk};
pub use withdraw::{Purged, VaultPlacement, Vaulted, Withdrawn};
pub use words::{
    AccountWords, Finds, Loaded, Place, Searched, Texts, Within, Without, body_text, folded,
    searched_weight,
};
