//! THREAD and UID THREAD (RFC 5256 3): ORDEREDSUBJECT and REFERENCES.
//!
//! Invariant: serves no content; messages that are sealed are in no thread.

mod forest;
mod references;

use tern_mailbox::Entry;
use tern_mime::{MessageView, is_reply_or_forward};

use super::answer::{Answer, Failure, Sync};
use super::budget::StepBudget;
use super::collation::same_text;
use super::held::Held;
use super::run::{Progress, Task};
use super::search::{Find, Gather, decoded};
use super::{Context, Here, Session};
use crate::search::Thread;
use forest::{Forest, Message, Token};
use references::References;

/// A THREAD of which a part is done.
pub(super) struct ThreadTask {
    uid: bool,
    /// For what is compared.
    held: Held,
    phase: Phase,
}

enum Phase {
    Finding(Box<Find>, Algorithm),
    Reading(Gather, Algorithm),
    Writing { forest: Forest, begun: bool },
}

/// What messages are joined by, and those that were read.
enum Algorithm {
    OrderedSubject(Vec<Message>),
    References(References),
}

impl Session {
    pub(super) fn thread(&mut self, thread: &Thread, cx: &Context<'_>) -> Result<Task, Failure> {
        let algorithm = match thread.algorithm.as_str() {
            "ORDEREDSUBJECT" => Algorithm::OrderedSubject(Vec::new()),
            "REFERENCES" => Algorithm::References(References::default()),
            _ => return Err(Answer::bad("Unknown threading algorithm").into()),
        };
        let viewer = self.viewer();
        let here = self.here()?;
        let find = Find::new(&thread.key, here.selected, viewer, cx.now);
        Ok(Task::Thread(ThreadTask {
            uid: thread.uid,
            held: Held::default(),
            phase: Phase::Finding(Box::new(find), algorithm),
        }))
    }
}

impl ThreadTask {
    /// Whether a response line is open.
    pub(super) const fn is_mid_response(&self) -> bool {
        matches!(self.phase, Phase::Writing { begun: true, .. })
    }

    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &Context<'_>,
    ) -> Result<Progress, Failure> {
        let here = session.here()?;
        match &mut self.phase {
            Phase::Finding(find, _) if !find.is_done() => find.advance(&here, cx)?,
            Phase::Finding(find, algorithm) => {
                let gather = Gather::new(std::mem::take(&mut find.found))?;
                self.phase = Phase::Reading(gather, algorithm.take());
            }
            Phase::Reading(gather, algorithm) if !gather.is_done() => {
                gather.messages(&here, cx, |entry, parsed| algorithm.add(entry, parsed))?;
                let octets = algorithm.octets();
                self.held.grow_to(octets, session, cx)?;
            }
            Phase::Reading(_, algorithm) => {
                let forest = match algorithm.take() {
                    Algorithm::OrderedSubject(messages) => forest::by_subject(messages),
                    Algorithm::References(references) => references.finish(),
                };
                let begun = false;
                self.phase = Phase::Writing { forest, begun };
            }
            Phase::Writing { forest, begun } => {
                return Ok(write(forest, begun, here, self.uid, &cx.budget));
            }
        }
        Ok(Progress::More)
    }
}

impl Algorithm {
    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::OrderedSubject(Vec::new()))
    }

    /// About the octets that it takes, and those of the order that is made of it.
    const fn octets(&self) -> u64 {
        match self {
            Self::OrderedSubject(messages) => (messages.len() * OF_MESSAGE) as u64,
            Self::References(references) => references.octets(),
        }
    }

    fn add(&mut self, entry: &Entry, parsed: &MessageView<'_>) {
        let message = Message {
            uid: entry.uid.0,
            sent: parsed.sent_at.unwrap_or(entry.received).0,
            subject: same_text(parsed.base_subject),
            is_reply: parsed
                .envelope
                .subject
                .is_some_and(|subject| is_reply_or_forward(&decoded(subject))),
        };
        match self {
            Self::OrderedSubject(messages) => messages.push(message),
            Self::References(references) => {
                references.add(message, parsed.message_id, parsed.ancestors());
            }
        }
    }
}

/// What a message takes, and its place in the order that is made.
const OF_MESSAGE: usize = size_of::<Message>() + 64;

/// A piece of the untagged THREAD (RFC 5256 4).
fn write(
    forest: &mut Forest,
    begun: &mut bool,
    here: Here<'_>,
    uid: bool,
    budget: &StepBudget,
) -> Progress {
    let out = here.out;
    if !std::mem::replace(begun, true) {
        out.raw(b"* THREAD");
        if !forest.is_empty() {
            out.byte(b' ');
        }
    }
    while let Some(token) = forest.next_token() {
        match token {
            Token::Open => out.byte(b'('),
            Token::Close => out.byte(b')'),
            Token::Space => out.byte(b' '),
            Token::Uid(found) if uid => out.number(found),
            Token::Uid(found) => out.number(here.selected.number(found)),
        };
        if budget.is_spent(out) {
            return Progress::More;
        }
    }
    out.end_line();
    *begun = false;
    let sync = if uid { Sync::Full } else { Sync::KeepNumbers };
    Progress::Done(Answer::ok("Thread completed", sync))
}
