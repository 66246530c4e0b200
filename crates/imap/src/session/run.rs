//! Executing a command piece by piece, and ending it: changes first, then the tagged answer.
//!
//! Invariant: a task does a piece at a time, and a step as many as its budget allows; what is left is in the
//! task, and no other command begins before its tagged answer is written.

use tern_mailbox::MailboxError;
use tern_session::Step;

use super::answer::{Answer, AnswerCode, Failure, Sync, answer_to, is_ours};
use super::append::AppendTask;
use super::copy::CopyTask;
use super::expunge::ExpungeTask;
use super::fetch::FetchTask;
use super::list::ListTask;
use super::manage::{DeleteTask, RenameInboxTask};
use super::search::SearchTask;
use super::sort::SortTask;
use super::store::StoreTask;
use super::thread::ThreadTask;
use super::{Context, Phase, Session};
use crate::command::Tag;
use crate::event::Event;
use crate::respond::status::Condition;

/// A command that is being executed.
pub(super) struct Running {
    tag: Tag,
    task: Task,
    /// This is not its first step.
    goes_on: bool,
}

impl Running {
    /// Whether a response line is open, so that nothing else may be written.
    pub(super) fn is_mid_response(&self) -> bool {
        match &self.task {
            Task::Fetch(task) => task.is_mid_response(),
            Task::Search(task) => task.is_mid_response(),
            Task::Sort(task) => task.is_mid_response(),
            Task::Thread(task) => task.is_mid_response(),
            _ => false,
        }
    }
}

/// What is left of a command.
pub(super) enum Task {
    Append(AppendTask),
    Copy(CopyTask),
    Delete(DeleteTask),
    Expunge(ExpungeTask),
    Fetch(FetchTask),
    List(ListTask),
    RenameInbox(RenameInboxTask),
    Search(SearchTask),
    Sort(SortTask),
    Store(StoreTask),
    Thread(ThreadTask),
    /// The changes, then the tagged answer.
    Finish {
        answer: Answer,
        /// The changes were read.
        collected: bool,
    },
}

impl From<Answer> for Task {
    fn from(answer: Answer) -> Self {
        Self::Finish {
            answer,
            collected: false,
        }
    }
}

/// How far a task came in one piece.
pub(super) enum Progress {
    /// There is more to do.
    More,
    /// All but the end is done.
    Done(Answer),
}

/// How much of the changes was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// A piece.
    Some,
    /// All of them.
    All,
    /// They could not be read.
    Failed,
}

impl Session {
    /// Starts a command.
    pub(super) fn start(
        &mut self,
        tag: Tag,
        begun: Result<Task, Failure>,
        cx: &mut Context<'_>,
    ) -> Step {
        let task = match begun {
            Ok(task) => task,
            Err(failure) => match self.answer_to_failure(failure) {
                Some(answer) => answer.into(),
                None => return Step::Close,
            },
        };
        self.phase = Phase::Running(Box::new(Running {
            tag,
            task,
            goes_on: false,
        }));
        self.run(cx)
    }

    /// Executes what one step may of the running command.
    pub(super) fn run(&mut self, cx: &mut Context<'_>) -> Step {
        let mut running = match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Running(running) => running,
            other => {
                self.phase = other;
                return Step::Continue;
            }
        };
        if std::mem::replace(&mut running.goes_on, true) {
            self.out.expect_more();
        }
        // A client that takes long to read an answer is not idle.
        self.set_deadline(cx.now);
        loop {
            let progress = match &mut running.task {
                Task::Append(task) => task.advance(self, cx),
                Task::Copy(task) => task.advance(self, cx),
                Task::Delete(task) => task.advance(self, cx),
                Task::Expunge(task) => task.advance(self, cx),
                Task::Fetch(task) => task.advance(self, cx),
                Task::List(task) => task.advance(self, cx),
                Task::RenameInbox(task) => task.advance(self, cx),
                Task::Search(task) => task.advance(self, cx),
                Task::Sort(task) => task.advance(self, cx),
                Task::Store(task) => task.advance(self, cx),
                Task::Thread(task) => task.advance(self, cx),
                Task::Finish { answer, collected } => {
                    match self.tell_changes(answer.sync, collected, cx) {
                        Told::Some => {}
                        Told::All => return self.end(&running.tag, answer, cx),
                        Told::Failed => {
                            let answer = answer.clone().without_modseq();
                            return self.end(&running.tag, &answer, cx);
                        }
                    }
                    Ok(Progress::More)
                }
            };
            match progress {
                Ok(Progress::More) => {}
                Ok(Progress::Done(answer)) => running.task = answer.into(),
                Err(failure) => match self.answer_to_failure(failure) {
                    Some(answer) => running.task = answer.into(),
                    None => return Step::Close,
                },
            }
            cx.budget.piece();
            if cx.budget.is_spent(&self.out) {
                break;
            }
        }
        self.phase = Phase::Running(running);
        Step::Continue
    }

    /// Tells a piece of the changes. A store that fails does not fail the command, which is done: the
    /// changes come with the next one.
    fn tell_changes(&mut self, sync: Sync, collected: &mut bool, cx: &Context<'_>) -> Told {
        let Ok(here) = self.here() else {
            return Told::All;
        };
        if sync == Sync::Nothing {
            return Told::All;
        }
        let read = if std::mem::replace(collected, true) {
            Ok(())
        } else {
            here.selected.collect(cx.mailboxes, here.account)
        };
        let told = read.and_then(|()| {
            here.selected
                .tell(sync, cx.mailboxes, here.account, here.enabled, here.out)
        });
        match told {
            Ok(true) => Told::All,
            Ok(false) => Told::Some,
            Err(error) => {
                self.failed("telling changes", &error);
                Told::Failed
            }
        }
    }

    /// Writes the tagged answer.
    fn end(&mut self, tag: &Tag, answer: &Answer, cx: &Context<'_>) -> Step {
        self.write_answer(tag, answer);
        self.note_told(cx);
        if self.close_if_deleted() {
            return Step::Close;
        }
        if answer.condition == Condition::Bad {
            return self.count_bad();
        }
        Step::Continue
    }

    fn write_answer(&mut self, tag: &Tag, answer: &Answer) {
        let qresync = self.enabled.qresync && answer.sync != Sync::Nothing;
        let modseq = match self.here() {
            Ok(here) if qresync => here.selected.modseq_to_tell(),
            _ => None,
        };
        let Some(code) = modseq.map(|modseq| AnswerCode::HighestModseq(modseq.0)) else {
            return answer.write(tag, &mut self.out);
        };
        match answer.code {
            None => answer.clone().with_code(code).write(tag, &mut self.out),
            Some(AnswerCode::HighestModseq(_)) => answer.write(tag, &mut self.out),
            Some(_) => {
                let code = Some(code.borrowed());
                self.out.untagged(Condition::Ok, code, "Told up to here");
                answer.write(tag, &mut self.out);
            }
        }
    }

    /// RFC 2180 3: of the ways out, the one that every client understands.
    fn close_if_deleted(&mut self) -> bool {
        let deleted = self.selected().is_some_and(|selected| selected.deleted);
        if deleted {
            self.bye(None, "The selected mailbox was deleted");
        }
        deleted
    }

    /// Tells an idling client what changed (RFC 9051 6.3.13).
    pub(super) fn push_changes(&mut self, cx: &Context<'_>) -> Step {
        self.changed = false;
        if self.selected().is_none() {
            return Step::Input;
        }
        let mut collected = false;
        self.changed = self.tell_changes(Sync::Full, &mut collected, cx) == Told::Some;
        self.note_told(cx);
        if self.close_if_deleted() {
            return Step::Close;
        }
        Step::Continue
    }

    /// What the client is told of a failure; `None` when the connection can't go on.
    fn answer_to_failure(&mut self, failure: Failure) -> Option<Answer> {
        match failure {
            Failure::Answer(answer) => Some(answer),
            Failure::Mailbox(error) => {
                self.failed("executing a command", &error);
                Some(answer_to(&error).with_sync(Sync::KeepNumbers))
            }
            Failure::Torn => {
                self.close();
                None
            }
        }
    }

    /// Hands an error on this side to the log; a refusal is none.
    pub(super) fn failed(&mut self, doing: &'static str, why: &MailboxError) {
        if !is_ours(why) {
            return;
        }
        self.event(Event::Failed {
            doing,
            why: why.to_string(),
        });
    }
}
