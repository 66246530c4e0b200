//! What answers a message that was taken back and may quote it, for whoever reads what became of it.
//!
//! Invariant: an answer is a message of its own, and says of its author that they had the first one. It
//! is told to its author, and to whoever may plan its recall and sees what became of each copy; to
//! nobody else, nor how many there are.
//!
//! Refuses to promise anything of what is written later: the list is of the moment at which it is read.

use serde_json::{Value, json};
use tern_base::{OriginId, Timestamp};
use tern_mailbox::Carriage;
use tern_policy::{Operation, Selection, Visibility};

use crate::question::refusal_of;
use crate::{
    Notices, Quoting, Reach, Recall, RecallError, RecallId, Recalls, Request, Requester, Selector,
    State, Submission, limits,
};

/// What answers a message, as far as somebody may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The nearest first, and of these the oldest; at most [`limits::MAX_ANSWERS_TOLD`].
    pub lines: Vec<AnswerLine>,
    /// How many are not in `lines`; none where there are more than were looked at.
    pub more: Option<u64>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            more: Some(0),
        }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerLine {
    /// How many answers it is away: 1 is a direct answer.
    pub depth: u8,
    /// Whose it is: an account's address, or the reverse path of what came in.
    pub sender: String,
    /// Its subject, for people.
    pub subject: String,
    /// Its Message-ID, without angle brackets.
    pub message_id: String,
    /// Its submission.
    pub submission: OriginId,
    /// When it was sent.
    pub sent: Timestamp,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it stays.
    Left,
    /// It has the message inside, so what became of its copies is an outcome of the recall.
    Inside,
    /// A recall of its own has taken it back.
    Taken {
        /// Whether that is of all of it, from everybody.
        whole: bool,
        /// Which recall, and who asked; none for whoever may not see that.
        by: Option<(RecallId, String)>,
    },
}

impl Fate {
    /// Its code in JSON.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Inside => "inside",
            Self::Taken { whole: true, .. } => "taken-back",
            Self::Taken { whole: false, .. } => "partly-taken-back",
        }
    }

    /// The recall that has taken it back, and who asked, as far as that is told.
    pub fn by(&self) -> Option<&(RecallId, String)> {
        match self {
            Self::Taken { by, .. } => by.as_ref(),
            Self::Left | Self::Inside => None,
        }
    }

    /// The sentence for people.
    pub fn sentence(&self) -> String {
        let taken = match self {
            Self::Left => return "It stays as it is.".to_owned(),
            Self::Inside => {
                return "It has the message inside: see what became of its copies.".to_owned();
            }
            Self::Taken { whole: true, .. } => "Taken back, too",
            Self::Taken { whole: false, .. } => "Taken back in part",
        };
        match self.by() {
            Some((id, name)) => format!("{taken}, by {name} (recall {id})."),
            None => format!("{taken}."),
        }
    }
}

impl AnswerLine {
    /// One line for people, without what became of it.
    pub fn text(&self) -> String {
        let Self { sender, sent, .. } = self;
        format!("{sender}, \"{}\", sent {sent}", self.subject)
    }

    fn json(&self) -> Value {
        let by = self.fate.by();
        json!({
            "depth": self.depth,
            "sender": self.sender,
            "subject": self.subject,
            "messageId": self.message_id,
            "submission": self.submission.to_string(),
            "submittedAt": self.sent.to_string(),
            "outcome": self.fate.code(),
            "sentence": self.fate.sentence(),
            "recall": by.map(|(id, _)| id.to_string()),
            "requestedBy": by.map(|(_, name)| name),
        })
    }
}

impl Answers {
    /// Adds them to what the JSON of a recall says.
    pub(crate) fn put_json(&self, fields: &mut serde_json::Map<String, Value>) {
        let lines: Vec<Value> = self.lines.iter().map(AnswerLine::json).collect();
        fields.insert("answers".to_owned(), lines.into());
        fields.insert("moreAnswers".to_owned(), self.more.into());
    }

    /// What to say after the last of them, if anything.
    pub fn rest(&self) -> Option<String> {
        match self.more {
            Some(0) => None,
            Some(more) => Some(format!("And {more} more.")),
            None => Some("And more than can be counted here.".to_owned()),
        }
    }
}

impl Recalls {
    /// What answers the message of a recall, for somebody who sees so much of the recall.
    pub(crate) fn answers(
        &self,
        recall: &Recall,
        reader: &Requester,
        seen: Visibility,
        now: Timestamp,
    ) -> Result<Answers, RecallError> {
        let mut room = limits::MAX_ANSWERS_SEEN;
        let mut all: Vec<Quoting> = Vec::new();
        for sending in recall.sendings() {
            let Some(root) = crate::submission::submission(&*self.engine, sending)? else {
                continue;
            };
            for one in self.quoted_within(&root, limits::MAX_DEPTH, &mut room)? {
                if all
                    .iter()
                    .all(|known| known.submission.id != one.submission.id)
                {
                    all.push(one);
                }
            }
        }
        all.sort_by_key(|one| (one.depth, one.submission.id));
        let mut answers = Answers::default();
        let mut told: u64 = 0;
        for one in all {
            if !self.is_answer_told(&one.submission, reader, seen, now)? {
                continue;
            }
            told += 1;
            if answers.lines.len() < limits::MAX_ANSWERS_TOLD {
                let line = self.answer_line(recall, one, reader, now)?;
                answers.lines.push(line);
            }
        }
        // That there are many is for those to know who may see them all.
        let counted = room > 0 || seen != Visibility::Full;
        answers.more = counted.then_some(told - answers.lines.len() as u64);
        Ok(answers)
    }

    fn is_answer_told(
        &self,
        answer: &Submission,
        reader: &Requester,
        seen: Visibility,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        if reader.account.is_some() && reader.account == answer.submitter() {
            return Ok(true);
        }
        // That somebody answers says that they have read it.
        if matches!(seen, Visibility::Aggregate { .. }) {
            return Ok(false);
        }
        let request = Request {
            id: RecallId::of_text(reader.account, ""),
            selector: Selector::Submission(answer.id),
            requester: reader.clone(),
            chosen: Vec::new(),
            selection: Selection::Any,
            reach: Reach::default(),
            attachment: None,
            notices: Notices::default(),
            batch: None,
            reason: None,
            replacement: None,
            expires: None,
            as_answer: true,
        };
        let verdict = self.decide((Operation::Plan, None, 0), &request, answer, now)?;
        Ok(refusal_of(&verdict).is_none())
    }

    fn answer_line(
        &self,
        recall: &Recall,
        Quoting { submission, depth }: Quoting,
        reader: &Requester,
        now: Timestamp,
    ) -> Result<AnswerLine, RecallError> {
        let sender = match (submission.submitter(), &submission.mail_from) {
            (Some(account), _) => self.address(account)?,
            (None, Some(from)) => from.to_string(),
            (None, None) => String::from("<>"),
        };
        Ok(AnswerLine {
            depth,
            sender,
            subject: submission.subject_text(),
            message_id: submission.message_id.clone(),
            submission: submission.id,
            sent: submission.submitted,
            fate: self.fate(recall, &submission, reader, now)?,
        })
    }

    fn fate(
        &self,
        recall: &Recall,
        answer: &Submission,
        reader: &Requester,
        now: Timestamp,
    ) -> Result<Fate, RecallError> {
        let mut taken = None;
        for id in self.recalls_of(answer)? {
            let other = self.recall(id)?;
            if !matches!(other.state, State::Running | State::Done) {
                continue;
            }
            let whole = other.chosen.is_empty()
                && other.selection == Selection::Any
                && other.attachment.is_none();
            let by = self
                .is_seen_by(&other, reader, now)?
                .then(|| (id, other.requester.clone()));
            let fate = Fate::Taken { whole, by };
            if whole {
                return Ok(fate);
            }
            taken.get_or_insert(fate);
        }
        let inside = answer.carried.iter().any(|letter| {
            let attached = letter.carriage.is_some_and(Carriage::is_attached);
            letter.digest == recall.digest && attached
        });
        let left = match inside {
            true => Fate::Inside,
            false => Fate::Left,
        };
        Ok(taken.unwrap_or(left))
    }
}
