//! What is on the page of whoever may approve a recall. The template escapes every value.

use askama::Template;
use hyper::StatusCode;
use tern_base::Timestamp;
use tern_recall::ToldOutcome;

use super::answer::Answer;
use super::pages::{
    Line, Trouble, lines, message, moment, rendered, simple, subject_of, trouble_text,
};

/// What is asked.
pub(super) struct Asked {
    /// Who is asked.
    pub(super) reader: String,
    /// Who wants it taken back.
    pub(super) requester: String,
    pub(super) subject: String,
    /// Whose message it is, where that is not who asked.
    pub(super) sender: Option<String>,
    pub(super) submitted: Timestamp,
    pub(super) recipients: u64,
    /// The recipients that it is limited to.
    pub(super) chosen: Vec<String>,
    pub(super) reason: Option<String>,
    pub(super) requested: Timestamp,
    pub(super) until: Timestamp,
    /// Why the recalls of who asked are frozen.
    pub(super) frozen: Option<String>,
    pub(super) approved_by: Vec<String>,
    pub(super) outcomes: Vec<(ToldOutcome, u64)>,
    pub(super) trouble: Option<Trouble>,
}

/// What came of it.
pub(super) enum Ended {
    /// It is sealed.
    Sealed,
    /// It waits for somebody else as well.
    Waits,
    /// It may not be, after all.
    Refused(&'static str),
    /// They said no.
    Declined,
}

#[derive(Template)]
#[template(path = "approve.html")]
struct ApprovalPage {
    reader: String,
    requester: String,
    subject: String,
    sender: Option<String>,
    submitted: String,
    recipients: u64,
    chosen: Vec<String>,
    reason: Option<String>,
    requested: String,
    until: String,
    frozen: Option<String>,
    approved_by: Vec<String>,
    outcomes: Vec<Line>,
    trouble: Option<String>,
    takes_code: bool,
}

/// The page that asks for a yes or no.
pub(super) fn ask(status: StatusCode, asked: &Asked) -> Answer {
    let page = ApprovalPage {
        reader: asked.reader.clone(),
        requester: asked.requester.clone(),
        subject: subject_of(&asked.subject),
        sender: asked.sender.clone(),
        submitted: moment(asked.submitted),
        recipients: asked.recipients,
        chosen: asked.chosen.clone(),
        reason: asked.reason.clone(),
        requested: moment(asked.requested),
        until: moment(asked.until),
        frozen: asked.frozen.clone(),
        approved_by: asked.approved_by.clone(),
        outcomes: lines(&asked.outcomes),
        trouble: asked.trouble.map(|trouble| match trouble {
            Trouble::NotSetUp => String::from(
                "Your account has no second factor, so nothing can be answered here. Ask your \
                 administrator to set one up with you, then open this link again.",
            ),
            Trouble::NoReason => String::from("To decline, say why: whoever asked is told."),
            trouble => trouble_text(trouble),
        }),
        takes_code: asked.trouble.is_none_or(Trouble::takes_code),
    };
    rendered(status, &page)
}

/// The page that says what came of it.
pub(super) fn ended(subject: &str, requester: &str, ended: Ended) -> Answer {
    let (title, good, text) = match ended {
        Ended::Sealed => (
            "Approved",
            true,
            format!(
                "From now on nobody can open it here. {requester} is told what became of each copy."
            ),
        ),
        Ended::Waits => (
            "Approved, and waits for more",
            true,
            String::from("Nothing is taken back before somebody else has answered as well."),
        ),
        Ended::Refused(why) => (
            "Not taken back",
            false,
            format!("Your approval is on record, and it may not be all the same. {why}"),
        ),
        Ended::Declined => (
            "Declined",
            true,
            format!("Nothing is taken back. {requester} is told so, with what you said."),
        ),
    };
    simple(title, good, subject, text)
}

/// The one page of every link that opens nothing.
pub(super) fn no_link() -> Answer {
    let text = "You or somebody else has answered, the request is over, or the link was not copied \
                whole. Nothing was changed by opening it.";
    message(StatusCode::NOT_FOUND, "This link opens nothing", text)
}
