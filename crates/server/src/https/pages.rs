//! What is on the pages. The templates escape every value.

use std::fmt::Write as _;

use askama::Template;
use hyper::StatusCode;
use qrcodegen::{QrCode, QrCodeEcc};
use tern_base::Timestamp;
use tern_directory::Account;
use tern_recall::{Awaited, Extent, ToldOutcome, Waiting};

use super::answer::{self, Answer};

/// Where the style sheet is.
pub(super) const STYLE_PATH: &str = "/style.css";

/// What is asked on a page behind a link.
pub(super) struct Asked<'a> {
    pub(super) waiting: &'a Waiting,
    /// What would become of the copies, as far as its reader may see it.
    pub(super) outcomes: Vec<(ToldOutcome, u64)>,
    pub(super) trouble: Option<Trouble>,
}

/// What the pages that ask show alike.
pub(super) struct Shown {
    pub(super) subject: String,
    /// Whose message it is, where that is not who asked.
    pub(super) sender: Option<String>,
    pub(super) submitted: String,
    pub(super) recipients: u64,
    /// The recipients that it is limited to.
    pub(super) chosen: Vec<String>,
    pub(super) reason: Option<String>,
    pub(super) requested: String,
    pub(super) until: String,
    pub(super) outcomes: Vec<Line>,
    pub(super) takes_code: bool,
}

impl Shown {
    pub(super) fn of(asked: &Asked<'_>) -> Self {
        let (waiting, recall) = (asked.waiting, &asked.waiting.recall);
        Self {
            subject: subject_of(&recall.subject_text()),
            sender: (recall.requester != waiting.sender).then(|| waiting.sender.clone()),
            submitted: moment(waiting.submitted),
            recipients: waiting.recipients,
            chosen: recall.chosen.clone(),
            reason: recall.reason.clone(),
            requested: moment(recall.requested),
            until: moment(waiting.wait.awaited.until()),
            outcomes: lines(&asked.outcomes),
            takes_code: asked.trouble.is_none_or(Trouble::takes_code),
        }
    }
}

/// Why no code was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It was wrong; so many may still be.
    Wrong(u32),
    /// Too many were wrong.
    Locked(Timestamp),
    /// There is nothing that a code could be of.
    NotSetUp,
    /// A reason is required, and none was given.
    NoReason,
}

impl Trouble {
    /// Whether a code helps.
    pub(super) const fn takes_code(self) -> bool {
        matches!(self, Self::Wrong(_) | Self::NoReason)
    }
}

/// What came of it.
pub(super) enum Ended {
    /// It is sealed; where every copy has its outcome already, how far it went.
    Sealed {
        subject: String,
        extent: Option<Extent>,
        outcomes: Vec<(ToldOutcome, u64)>,
    },
    /// Something has to come first.
    Waits { subject: String, awaited: Awaited },
    /// It may not be, after all.
    Refused { subject: String, why: String },
}

/// How many copies end how.
pub(super) struct Line {
    pub(super) count: u64,
    pub(super) words: &'static str,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    shown: Shown,
    /// A policy wants to know why, and nobody has said it.
    wants_reason: bool,
    /// Who is told when it is done: each choice by its name and words, and whether it is the one on record.
    notices: Vec<(&'static str, &'static str, bool)>,
    notice_text: String,
    trouble: Option<String>,
}

/// A page on the way to a second factor.
#[derive(Template)]
#[template(path = "enrol.html")]
pub(super) struct Enrolment {
    title: &'static str,
    address: String,
    trouble: Option<String>,
    asks_password: bool,
    qr: Option<Qr>,
    proof: Option<String>,
    codes: Vec<String>,
}

/// A secret as a picture, and for typing.
struct Qr {
    size: i32,
    path: String,
    secret: String,
}

impl Enrolment {
    fn of(account: &Account) -> Self {
        Self {
            title: "Set up a second factor",
            address: account.address.to_string(),
            trouble: None,
            asks_password: false,
            qr: None,
            proof: None,
            codes: Vec::new(),
        }
    }

    /// Asks for the password.
    pub(super) fn ask(account: &Account) -> Self {
        Self {
            asks_password: true,
            ..Self::of(account)
        }
    }

    /// Asks for it again.
    pub(super) fn wrong_password(account: &Account) -> Self {
        Self {
            trouble: Some(String::from("That password is wrong.")),
            ..Self::ask(account)
        }
    }

    /// Shows the secret, and asks for a code.
    pub(super) fn scan(account: &Account, url: &str, secret: &str, proof: String) -> Self {
        Self {
            qr: drawn(url, secret),
            proof: Some(proof),
            ..Self::of(account)
        }
    }

    /// Asks for another code of the secret that was shown.
    pub(super) fn code_again(account: &Account, proof: String, trouble: Trouble) -> Self {
        let is_locked = matches!(trouble, Trouble::Locked(_));
        Self {
            trouble: Some(trouble_text(trouble)),
            proof: Some(proof).filter(|_| !is_locked),
            ..Self::of(account)
        }
    }

    /// Shows the recovery codes.
    pub(super) fn done(account: &Account, codes: &[String]) -> Self {
        Self {
            title: "Your second factor is set up",
            codes: codes.to_vec(),
            ..Self::of(account)
        }
    }
}

/// A QR code as one path of squares, with the quiet zone that readers need. The longest address fits.
fn drawn(url: &str, secret: &str) -> Option<Qr> {
    const QUIET: i32 = 4;
    let code = QrCode::encode_text(url, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for (y, x) in (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (y, x))) {
        if code.get_module(x, y) {
            let _ = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    Some(Qr {
        size: code.size() + 2 * QUIET,
        path,
        secret: secret.to_owned(),
    })
}

/// A page of an enrolment.
pub(super) fn enrol(status: StatusCode, page: &Enrolment) -> Answer {
    rendered(status, page)
}

/// The one page of every invitation that opens nothing.
pub(super) fn no_invitation() -> Answer {
    let text = "This link has expired, was not copied whole, or the account has a second factor \
                already. Ask your administrator for another.";
    message(StatusCode::NOT_FOUND, "This link opens nothing", text)
}

#[derive(Template)]
#[template(path = "ended.html")]
struct EndedPage {
    title: &'static str,
    good: bool,
    subject: Option<String>,
    text: String,
    outcomes: Vec<Line>,
}

/// The page that asks for a code, and for a reason where a policy wants one.
pub(super) fn ask(status: StatusCode, asked: &Asked<'_>, wants_reason: bool) -> Answer {
    let notices = &asked.waiting.recall.notices;
    let choices = [
        ("exposed-only", "Those who had opened it"),
        ("all", "Everybody who had it"),
        ("none", "Nobody"),
    ];
    let chosen = choices.map(|(name, words)| (name, words, name == notices.code()));
    let page = ConfirmPage {
        shown: Shown::of(asked),
        wants_reason,
        notices: chosen.to_vec(),
        notice_text: notices.text.clone().unwrap_or_default(),
        trouble: asked.trouble.map(trouble_text),
    };
    rendered(status, &page)
}

/// The page that says what came of it.
pub(super) fn ended(ended: &Ended) -> Answer {
    let page = match ended {
        Ended::Sealed {
            subject,
            extent,
            outcomes,
        } => {
            let (title, text) = match extent {
                Some(Extent::All) => ("Taken back", "Every copy was taken back."),
                Some(Extent::Some) => (
                    "Partly taken back",
                    "What could be taken back was. The report in your Recall mailbox says more.",
                ),
                Some(Extent::None) => (
                    "Could not be taken back",
                    "No copy could be taken back. The report in your Recall mailbox says why.",
                ),
                None => (
                    "Being taken back",
                    "From now on nobody can open it here. The report in your Recall mailbox says \
                     what became of each copy.",
                ),
            };
            EndedPage {
                title,
                good: !matches!(extent, Some(Extent::None)),
                subject: Some(subject_of(subject)),
                text: text.to_owned(),
                outcomes: lines(outcomes),
            }
        }
        Ended::Waits { subject, awaited } => waits(subject, awaited),
        Ended::Refused { subject, why } => EndedPage {
            title: "Not taken back",
            good: false,
            subject: Some(subject_of(subject)),
            text: why.clone(),
            outcomes: Vec::new(),
        },
    };
    rendered(StatusCode::OK, &page)
}

/// The page that says what it waits for once its requester has confirmed it.
fn waits(subject: &str, awaited: &Awaited) -> EndedPage {
    let (title, good, text) = match awaited {
        Awaited::Approval { until, .. } => (
            "Confirmed, and waits for approval",
            false,
            format!(
                "Somebody else has to agree before it is taken back, and has been asked. Without \
                 that the request expires on {}.",
                moment(*until)
            ),
        ),
        Awaited::Time { at } => (
            "Confirmed, for later",
            true,
            format!(
                "It will be taken back on {}, and nothing is before. There is nothing more for \
                 you to do.",
                moment(*at)
            ),
        ),
        Awaited::StepUp { until } => (
            "Confirmed, and waits for another code",
            false,
            format!(
                "A code has to be shown once more before it is taken back. Without that the \
                 request expires on {}.",
                moment(*until)
            ),
        ),
    };
    EndedPage {
        title,
        good,
        subject: Some(subject_of(subject)),
        text,
        outcomes: Vec::new(),
    }
}

/// The one page of every link that opens nothing.
pub(super) fn no_link() -> Answer {
    let text = "This link was used already, has expired, or was not copied whole. Nothing was changed \
                by opening it. The report in your Recall mailbox says how your request stands.";
    message(StatusCode::NOT_FOUND, "This link opens nothing", text)
}

/// The page of an error.
pub(super) fn problem(status: StatusCode) -> Answer {
    let (title, text) = match status {
        StatusCode::NOT_FOUND => ("There is no such page", "Nothing lies at this address."),
        StatusCode::METHOD_NOT_ALLOWED => ("Not like that", "This page can't be used that way."),
        StatusCode::FORBIDDEN => (
            "Not from there",
            "This form was not sent by a page of this server. Open the link in your mail again.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "Not now",
            "The server can't do this at the moment. Nothing is lost: try again in a minute.",
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            "Not now",
            "Too many attempts failed from your network. Try again in some minutes.",
        ),
        status if status.is_client_error() => (
            "That was not understood",
            "The form did not arrive as it should. Open the link in your mail again.",
        ),
        _ => (
            "Something went wrong",
            "The server could not do this. Its administrator finds the cause in its log.",
        ),
    };
    message(status, title, text)
}

/// A page that says what came of something.
pub(super) fn simple(title: &'static str, good: bool, subject: &str, text: String) -> Answer {
    let page = EndedPage {
        title,
        good,
        subject: Some(subject_of(subject)),
        text,
        outcomes: Vec::new(),
    };
    rendered(StatusCode::OK, &page)
}

pub(super) fn message(status: StatusCode, title: &'static str, text: &str) -> Answer {
    let page = EndedPage {
        title,
        good: false,
        subject: None,
        text: text.to_owned(),
        outcomes: Vec::new(),
    };
    rendered(status, &page)
}

pub(super) fn rendered(status: StatusCode, page: &impl Template) -> Answer {
    // Only a value that can't be written would fail, and these are texts and numbers.
    match page.render() {
        Ok(html) => answer::page(status, html),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            answer::page(StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    }
}

/// A time for people, who may be anywhere.
pub(super) fn moment(time: Timestamp) -> String {
    time.rfc5322().replace("+0000", "UTC")
}

pub(super) fn subject_of(subject: &str) -> String {
    match subject.trim() {
        "" => String::from("(no subject)"),
        subject => subject.to_owned(),
    }
}

pub(super) fn trouble_text(trouble: Trouble) -> String {
    match trouble {
        Trouble::Wrong(left) => {
            let tries = if left == 1 { "try" } else { "tries" };
            format!(
                "That code is wrong, or was used before. Wait for the next one. {left} more {tries}, \
                 then there is a pause."
            )
        }
        Trouble::Locked(until) => format!(
            "Too many codes were wrong. The next one is looked at after {}: open the link again then, \
             if the request has not expired.",
            moment(until)
        ),
        Trouble::NotSetUp => String::from(
            "Your account has no second factor, so nothing can be confirmed here. Ask your \
             administrator to set one up with you, then ask for the recall again.",
        ),
        Trouble::NoReason => {
            String::from("A reason is required: say why this message is to be taken back.")
        }
    }
}

fn lines(outcomes: &[(ToldOutcome, u64)]) -> Vec<Line> {
    let line = |(outcome, count): &(ToldOutcome, u64)| Line {
        count: *count,
        words: outcome.words(),
    };
    outcomes.iter().map(line).collect()
}
