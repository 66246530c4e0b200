//! What is on the page of whoever may approve a recall. The template escapes every value.

use askama::Template;
use hyper::StatusCode;
use tern_recall::Awaited;

use super::answer::Answer;
use super::pages::{Asked, Shown, Trouble, message, moment, rendered, simple, trouble_text};

/// What came of it.
pub(super) enum Ended {
    /// It is sealed.
    Sealed,
    /// Something else has to come first.
    Waits(Awaited),
    /// It may not be, after all.
    Refused(&'static str),
    /// They said no.
    Declined,
}

#[derive(Template)]
#[template(path = "approve.html")]
struct ApprovalPage {
    shown: Shown,
    /// Who is asked.
    reader: String,
    /// Who wants it taken back.
    requester: String,
    /// Why the recalls of who asked are frozen.
    frozen: Option<String>,
    approved_by: Vec<String>,
    trouble: Option<String>,
}

/// The page that asks somebody for a yes or no, and says why the recalls of who asked are frozen.
pub(super) fn ask(
    status: StatusCode,
    asked: &Asked<'_>,
    reader: &str,
    frozen: Option<String>,
) -> Answer {
    let waiting = asked.waiting;
    let approvals = waiting.wait.counted();
    let page = ApprovalPage {
        shown: Shown::of(asked),
        reader: reader.to_owned(),
        requester: waiting.recall.requester.clone(),
        frozen,
        approved_by: approvals.map(|one| one.by.name.clone()).collect(),
        trouble: asked.trouble.map(|trouble| match trouble {
            Trouble::NotSetUp => String::from(
                "Your account has no second factor, so nothing can be answered here. Ask your \
                 administrator to set one up with you, then open this link again.",
            ),
            Trouble::NoReason => String::from("To decline, say why: whoever asked is told."),
            trouble => trouble_text(trouble),
        }),
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
        Ended::Waits(Awaited::Approval { .. }) => (
            "Approved, and waits for more",
            true,
            String::from("Nothing is taken back before somebody else has answered as well."),
        ),
        Ended::Waits(Awaited::StepUp { .. }) => (
            "Approved, and waits for more",
            true,
            format!("Nothing is taken back before {requester} has shown a second factor."),
        ),
        Ended::Waits(Awaited::Time { at }) => (
            "Approved, for later",
            true,
            format!(
                "It will be taken back on {}, and nothing is before. {requester} is told then \
                 what became of each copy.",
                moment(at)
            ),
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
