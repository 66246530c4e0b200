//! What one request may take of the server: work, and memory for its answer.
//!
//! Invariants:
//! - Octets of content are read, parsed, decoded and looked through only after they were taken from the
//!   request's [`Work`], whichever method it is: what reads a blob or a body asks for it.
//! - Content that is held whole while an object is made of it is within the memory for content ([`Answer::hold`]).
//! - Memory for objects that are told is set aside before there are more of them, and stays so until the
//!   answer is written: a list of them ([`Objects`]) is made by nothing else. What a method tells
//!   otherwise is bounded by the method, and counts against the calls behind it.
//!
//! Refuses to know what is read or told.

use std::sync::Arc;

use serde_json::Value;
use tern_base::{AccountId, BlobId};
use tern_mailbox::MailboxError;
use tern_mime::ParsedMessage;
use tern_session::{ContentMemory, Reservation};

use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::limits;

/// More work than a request may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl From<TooMuch> for MethodError {
    fn from(_: TooMuch) -> Self {
        Self::REQUEST_TOO_LARGE
    }
}

impl From<TooMuch> for SetError {
    fn from(_: TooMuch) -> Self {
        let why = "the request has read too much: it may work in another one";
        Self::new("rateLimit", why)
    }
}

/// Why something was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    Mailbox(MailboxError),
    TooMuch,
    /// There is none for it now.
    NoMemory,
}

impl From<MailboxError> for Unread {
    fn from(error: MailboxError) -> Self {
        Self::Mailbox(error)
    }
}

impl From<TooMuch> for Unread {
    fn from(_: TooMuch) -> Self {
        Self::TooMuch
    }
}

impl From<Unread> for MethodError {
    fn from(why: Unread) -> Self {
        match why {
            Unread::Mailbox(error) => error.into(),
            Unread::TooMuch => TooMuch.into(),
            Unread::NoMemory => Self::SERVER_UNAVAILABLE,
        }
    }
}

impl From<Unread> for SetError {
    fn from(why: Unread) -> Self {
        match why {
            Unread::Mailbox(error) => error.into(),
            Unread::TooMuch => TooMuch.into(),
            Unread::NoMemory => Self::new("serverFail", "there is no memory for it now"),
        }
    }
}

/// The work of a request so far. What is refused is not done, and takes nothing from the calls behind it.
#[derive(Default)]
pub(crate) struct Work {
    /// Of what is no search.
    octets: u64,
    /// Of searches, whose end may be known behind their limit alone.
    searched: u64,
    /// The upload that was parsed last: its parts are asked for one after another.
    parsed: Option<(BlobId, Arc<ParsedMessage>)>,
}

impl Work {
    /// Takes so many octets that are about to be read, parsed, decoded or looked through.
    pub(crate) fn take(&mut self, octets: u64) -> Result<(), TooMuch> {
        let all = self.octets.saturating_add(octets);
        if all > limits::MAX_WORK {
            return Err(TooMuch);
        }
        self.octets = all;
        Ok(())
    }

    /// So many octets were read by now, whether or not they should have been.
    pub(crate) fn took(&mut self, octets: u64) {
        self.octets = self.octets.saturating_add(octets);
    }

    /// Takes so many that a search is about to read or look through.
    pub(crate) fn search(&mut self, octets: u64) -> Result<(), TooMuch> {
        match self.searched.saturating_add(octets) <= limits::MAX_SEARCH_WORK {
            true => self.searched(octets),
            false => Err(TooMuch),
        }
    }

    /// Takes so many that a search has read or looked through.
    pub(crate) fn searched(&mut self, octets: u64) -> Result<(), TooMuch> {
        self.searched = self.searched.saturating_add(octets);
        match self.searched <= limits::MAX_SEARCH_WORK {
            true => Ok(()),
            false => Err(TooMuch),
        }
    }

    /// The structure of an upload, which `read` reads where it is not the last one.
    pub(crate) fn parsed<E: From<TooMuch>>(
        &mut self,
        (blob, size): (BlobId, u64),
        read: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<ParsedMessage>, E> {
        if let Some((of, parsed)) = &self.parsed
            && *of == blob
        {
            return Ok(Arc::clone(parsed));
        }
        self.take(size.saturating_mul(2))?;
        let parsed = Arc::new(tern_mime::parse(&read()?));
        self.parsed = Some((blob, Arc::clone(&parsed)));
        Ok(parsed)
    }
}

/// About how many octets of memory a value takes, as it is and as JSON.
pub(crate) fn weight(value: &Value) -> usize {
    /// Of a value in a list or an object, with what lists and objects have in reserve.
    const SLOT: usize = 96;
    /// Of an object: its members are found by a table.
    const TABLE: usize = 128;
    SLOT + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 16,
        Value::String(text) => text_weight(text),
        Value::Array(all) => all.iter().map(weight).sum(),
        Value::Object(all) => {
            let member =
                |(name, value): (&String, &Value)| SLOT + text_weight(name) + weight(value);
            TABLE + all.iter().map(member).sum::<usize>()
        }
    }
}

/// The same of a text: JSON has six octets for a control character, and two for some others.
pub(crate) fn text_weight(text: &str) -> usize {
    let count = |is_it: fn(&u8) -> bool| text.bytes().filter(is_it).count();
    let (controls, quoted) = (
        count(|octet| *octet < 0x20),
        count(|octet| matches!(octet, b'"' | b'\\')),
    );
    16 + 2 * text.len() + 5 * controls + quoted
}

/// About what an error takes.
const ERROR_WEIGHT: usize = 512;

/// The memory of an answer so far, and of the object that is worked on for it.
pub(crate) struct Answer<'a> {
    memory: &'a dyn ContentMemory,
    account: AccountId,
    octets: usize,
    held: Held,
    at_work: Vec<Reservation>,
}

/// Memory that is set aside for a request or an answer, until it is dropped.
#[derive(Default)]
pub struct Held {
    /// Each of [`limits::ANSWER_STEP`] octets.
    steps: Vec<Reservation>,
}

impl Held {
    /// How many octets.
    pub fn octets(&self) -> u64 {
        self.steps.len() as u64 * limits::ANSWER_STEP as u64
    }

    /// Sets aside what is missing for so many octets; whether there was room.
    pub(crate) fn grow_to(
        &mut self,
        octets: u64,
        memory: &dyn ContentMemory,
        account: AccountId,
    ) -> bool {
        while octets > self.octets() {
            let step = limits::ANSWER_STEP as u64;
            match memory.reserve(Some(account), step) {
                Some(reserved) => self.steps.push(reserved),
                None => return false,
            }
        }
        true
    }

    /// Gives back what is more than so many octets.
    pub fn shrink_to(&mut self, octets: u64) {
        let steps = octets.div_ceil(limits::ANSWER_STEP as u64);
        self.steps
            .truncate(usize::try_from(steps).unwrap_or(usize::MAX));
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({})", self.octets())
    }
}

impl<'a> Answer<'a> {
    /// An answer to this account, within this memory.
    pub(crate) fn new(memory: &'a dyn ContentMemory, account: AccountId) -> Self {
        Self {
            memory,
            account,
            octets: 0,
            held: Held::default(),
            at_work: Vec::new(),
        }
    }

    /// Sets memory aside for content that is about to be held whole, until [`Self::let_go`].
    pub(crate) fn hold(&mut self, octets: u64) -> Result<(), Unread> {
        let reserved = self.reserve(octets)?;
        self.at_work.extend(reserved);
        Ok(())
    }

    /// Sets memory aside for content that is about to be in memory, as long as what is answered lives.
    pub(crate) fn reserve(&self, octets: u64) -> Result<Option<Reservation>, Unread> {
        if octets <= limits::ANSWER_FREE as u64 {
            return Ok(None);
        }
        let octets = octets.min(limits::MAX_HOLD);
        let reserved = self.memory.reserve(Some(self.account), octets);
        reserved.map(Some).ok_or(Unread::NoMemory)
    }

    /// The content that was held is no more.
    pub(crate) fn let_go(&mut self) {
        self.at_work.clear();
    }

    /// How many octets there may still be.
    pub(crate) const fn left(&self) -> usize {
        limits::MAX_ANSWER.saturating_sub(self.octets)
    }

    /// Takes memory for what is about to be told.
    pub(crate) fn take(&mut self, octets: usize) -> Result<(), MethodError> {
        self.octets = self.octets.saturating_add(octets);
        if self.octets > limits::MAX_ANSWER {
            return Err(MethodError::REQUEST_TOO_LARGE);
        }
        let beyond = self.octets.saturating_sub(limits::ANSWER_FREE) as u64;
        match self.held.grow_to(beyond, self.memory, self.account) {
            true => Ok(()),
            // RFC 8620 3.6.2: a smaller one would do, and never the same.
            false if self.held.octets() + limits::ANSWER_STEP as u64 > self.memory.most() => {
                Err(MethodError::REQUEST_TOO_LARGE)
            }
            false => Err(MethodError::SERVER_UNAVAILABLE),
        }
    }

    /// Whether a call may be run: what was told before is not over the limit already, nor without memory.
    pub(crate) fn has_room(&mut self) -> Result<(), MethodError> {
        self.take(0)
    }

    /// A call was run since there were `before`: what it told counts, unless it was taken already, and what
    /// was not told is given back.
    pub(crate) fn settle(&mut self, before: usize, told: Option<&Value>) {
        self.let_go();
        match told {
            None => self.octets = before.saturating_add(ERROR_WEIGHT),
            Some(told) if self.octets == before => {
                self.octets = before.saturating_add(weight(told));
            }
            Some(_) => {}
        }
        // Where there is none now it is done all the same, and the calls behind it are told.
        let _ = self.take(0);
    }

    /// Octets so far.
    pub(crate) const fn octets(&self) -> usize {
        self.octets
    }

    /// What is held until the answer is written.
    pub(crate) fn into_held(self) -> Held {
        self.held
    }
}

/// Objects that are told, each within the answer's memory.
#[derive(Default)]
pub(crate) struct Objects(Vec<Value>);

impl Objects {
    /// One more.
    pub(crate) fn push(&mut self, cx: &mut Context<'_>, object: Value) -> Result<(), MethodError> {
        cx.answer.take(weight(&object))?;
        self.0.push(object);
        Ok(())
    }

    /// How many.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// All of these.
    pub(crate) fn of(
        cx: &mut Context<'_>,
        objects: impl IntoIterator<Item = Value>,
    ) -> Result<Self, MethodError> {
        let mut told = Self::default();
        for object in objects {
            told.push(cx, object)?;
        }
        Ok(told)
    }
}

impl From<Objects> for Value {
    fn from(told: Objects) -> Self {
        Self::Array(told.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tern_session::{Budget, Unlimited};

    use super::*;

    #[test]
    fn work_ends() {
        let mut work = Work::default();
        assert_eq!(work.take(limits::MAX_WORK - 1), Ok(()));
        assert_eq!(work.take(2), Err(TooMuch));
        assert_eq!(work.take(1), Ok(()), "what is refused takes nothing");
        assert_eq!(work.take(1), Err(TooMuch));
        work.took(1);
        assert_eq!(work.take(0), Err(TooMuch), "nothing is given back");
    }

    #[test]
    fn searches_leave_work_for_what_is_none() {
        let mut work = Work::default();
        assert_eq!(work.search(limits::MAX_SEARCH_WORK + 1), Err(TooMuch));
        assert_eq!(work.search(limits::MAX_SEARCH_WORK), Ok(()));
        // Known behind it alone, and so beyond it.
        assert_eq!(work.searched(5 * limits::MAX_WORK), Err(TooMuch));
        assert_eq!(work.search(1), Err(TooMuch));
        assert_eq!(work.take(limits::MAX_WORK), Ok(()));
        assert_eq!(work.take(1), Err(TooMuch));
    }

    #[test]
    fn an_upload_is_parsed_once() {
        let mut work = Work::default();
        let mut reads = 0;
        for _ in 0..3 {
            let parsed = work.parsed((BlobId([1; 32]), 10), || {
                reads += 1;
                Ok::<_, TooMuch>(b"A: b\r\n\r\nc".to_vec())
            });
            assert!(parsed.is_ok());
        }
        assert_eq!((reads, work.octets), (1, 20));
    }

    #[test]
    fn a_value_weighs_what_it_takes_and_not_what_it_says() {
        let address = json!({"name": "", "email": ""});
        assert!(weight(&address) > 500, "{}", weight(&address));
        let controls = "\u{1}".repeat(1_000);
        assert!(weight(&json!(controls)) >= 7 * 1_000);
        let text = "x".repeat(1_000);
        assert!((2_000..2_300).contains(&weight(&json!(text))));
    }

    #[test]
    fn memory_is_set_aside_before_it_is_used_and_held_until_the_answer_is_dropped() {
        let memory = Budget::new(2 * limits::ANSWER_STEP as u64);
        let mut answer = Answer::new(&memory, AccountId(1));
        assert_eq!(answer.take(limits::ANSWER_FREE), Ok(()));
        assert_eq!(answer.held.octets(), 0, "so much every answer may have");
        let others = memory.reserve(None, 1);
        let two = answer.take(2 * limits::ANSWER_STEP);
        assert_eq!(two, Err(MethodError::SERVER_UNAVAILABLE));
        drop(others);
        assert_eq!(answer.take(0), Ok(()), "what others held");
        let more = answer.take(1);
        assert_eq!(more, Err(MethodError::REQUEST_TOO_LARGE), "than there is");
        let mut held = answer.into_held();
        assert!(memory.reserve(None, 1).is_none(), "all is held");
        held.shrink_to(1);
        assert_eq!(held.octets(), limits::ANSWER_STEP as u64);
        assert!(memory.reserve(None, 1).is_some());
    }

    #[test]
    fn an_answer_is_bounded_however_much_memory_there_is() {
        let memory = Budget::new(limits::MAX_ANSWER as u64 / 2);
        let mut answer = Answer::new(&memory, AccountId(1));
        let all = answer.take(limits::MAX_ANSWER);
        assert_eq!(all, Err(MethodError::REQUEST_TOO_LARGE));
        let mut answer = Answer::new(&Unlimited, AccountId(1));
        assert_eq!(answer.take(limits::MAX_ANSWER), Ok(()));
        assert_eq!(answer.take(1), Err(MethodError::REQUEST_TOO_LARGE));
        answer.settle(0, None);
        assert_eq!(answer.has_room(), Ok(()), "what was not told is given back");
        let before = answer.octets();
        answer.settle(before, Some(&json!("x".repeat(1_000))));
        assert!(answer.octets() > before + 2_000, "what nobody took counts");
    }
}
