//! A message sent by mistake is taken back.
//!
//! The way of a recall: request → facts → [`plan`] (pure) → verdict → **seal** (one durable write:
//! from here on no covered copy is served) → withdraw in chunks, resumable after a kill → report.
//!
//! Invariants:
//! - Every copy that the server knows of ends in exactly one [`Outcome`].
//! - Only the submitting account, or whoever the policy lets, takes a message back.
//! - What is decided, sealed, withdrawn and restored is in the audit log in the transaction that
//!   does it.
//! - Every step can be cut off and run again: [`Recalls::run_open`] finishes what was begun.
//!
//! Refuses to touch copies by other senders, whatever Message-ID they carry.

pub mod arrival;
pub mod check;
pub mod error;
pub mod limits;
pub mod mail;
pub mod onward;
pub mod returned;
pub mod submission;
pub mod token;

mod addressed;
mod answers;
mod approval_link;
mod approver;
mod asked;
mod assembly;
mod attachment;
mod audit;
mod batch;
mod chosen;
mod connected;
mod decided;
mod dry;
mod evidence;
mod execute;
mod facts;
mod forget;
mod free;
mod grant;
mod handle;
mod hold;
mod joined;
mod keyword;
mod label;
mod late;
mod left;
mod link;
mod missing;
mod named;
mod news;
mod notice;
mod noticed;
mod outcome;
mod outcome_of;
mod outlook;
mod plan;
mod purge;
mod question;
mod quoted;
mod reach;
mod reason;
mod record;
mod refused;
mod report;
mod request;
mod restore;
mod retention;
mod retract;
mod rivals;
mod seen;
mod settings;
mod settle;
mod shown;
mod spared;
mod stand_in;
mod status;
mod steps;
mod tables;
mod taken;
mod target;
mod tell;
mod there;
mod told;
mod trigger;
mod unfinished;
mod unmet;
mod velocity;
mod visible;
mod wait;
mod waiting;

pub use addressed::{Addressed, End, SenderStatus};
pub use answers::{AnswerLine, Answers, Fate};
pub use approval_link::APPROVAL_PATH;
pub use arrival::Arrival;
pub use assembly::{Keys, mailboxes, open};
pub use attachment::Attachment;
pub use decided::Decided;
pub use dry::DryRun;
pub use error::RecallError;
pub use free::Due;
pub use handle::Recalls;
pub use hold::{HeldCopy, HeldPage, Hold, HoldBook, HoldId, KeptCopies, NewHold, Scope};
pub use keyword::RECALL_KEYWORD;
pub use label::label_of;
pub use link::LINK_PATH;
pub use missing::Missing;
pub use named::Named;
pub use news::News;
pub use notice::Notices;
pub use noticed::Noticed;
pub use onward::Onward;
pub use outcome::{CopyOutcome, Outcome, Reason, Subject, Tally};
pub use outlook::is_outlook_recall;
pub use plan::{Facts, Plan, PlannedCopy, plan};
pub use quoted::{Quoted, Quoting, answered_by};
pub use reach::Reach;
pub use reason::{Said, said_in_mail};
pub use record::{Extent, Recall, RecallId, Refusal, State};
pub use request::{Request, Requested, Requester, Selector};
pub use retention::{Shortened, Whose};
pub use retract::{BatchId, Found, Retract, Retracted, Search};
pub use returned::TextPrint;
pub use seen::Seen;
pub use settings::Settings;
pub use shown::labelled;
pub use status::{Line, SentOn, Status, StatusLine};
pub use steps::Step;
pub use submission::Submission;
pub use target::{Destination, Path, Target};
pub use told::ToldOutcome;
pub use trigger::{RECALL_MAILBOX, Trigger};
pub use velocity::Frozen;
pub use visible::View;
pub use wait::{Approval, Awaited, Ended, Wait};
pub use waiting::Waiting;
