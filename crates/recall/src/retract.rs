//! A retract: every message that a search finds is taken back, whoever sent it, and what came in from
//! outside.
//!
//! It is a recall for each message found, by the one path of [`Recalls::request`]: each is decided,
//! sealed, reported and undone by itself, and the batch's id joins them. Asking again with the same
//! batch id is the same retract, and goes on where the first was cut off.
//!
//! Invariants: what the policy does not let the requester plan is as if it were not there; a search
//! that finds more than [`limits::MAX_RETRACTED`] messages, with those that answer them where these are
//! to be taken back too, touches none of them.
//!
//! Refuses to search by time alone, and to take a message from a recipient that it did not have.

use std::collections::{BTreeSet, HashSet};

use tern_base::{AccountId, ContentDigest, EmailAddress, Entropy, OriginId, Timestamp};
use tern_policy::{Operation, Selection};
use tern_store::{Range, Read};

use crate::arrival::{Arrival, arrival};
use crate::question::refusal_of;
use crate::submission::Sent;
use crate::{
    Attachment, Facts, Notices, Plan, Quoted, Reach, RecallError, RecallId, Recalls, Refusal,
    Request, Requested, Requester, Selector, Submission, limits, submission, tables,
};

/// How long before a message is accepted its id may have been made.
const ID_LEAD_MS: u64 = 60 * 60 * 1000;
/// Submissions that are read at once.
const PAGE: usize = 1_000;

/// The id of one retract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub [u8; 16]);

impl BatchId {
    /// A new id; sorts by time.
    pub fn new(now: Timestamp, entropy: &mut dyn Entropy) -> Self {
        Self(OriginId::new(now, entropy).0)
    }

    /// The id of a hexadecimal text.
    pub fn from_hex(text: &str) -> Option<Self> {
        OriginId::from_hex(text).map(|id| Self(id.0))
    }
}

impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        OriginId(self.0).fmt(f)
    }
}

/// Which messages: those that fit every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// With this Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// Sent by this account.
    pub account: Option<AccountId>,
    /// That came in from outside, and say that this address sent them.
    pub sender: Option<EmailAddress>,
    /// Whose subject has this in it, whatever the case.
    pub subject: Option<String>,
    /// That are this letter.
    pub digest: Option<ContentDigest>,
    /// Sent at this time or later.
    pub since: Option<Timestamp>,
    /// Sent before this time.
    pub until: Option<Timestamp>,
}

impl Search {
    /// Whether it says anything but when.
    pub const fn is_narrow(&self) -> bool {
        self.message_id.is_some()
            || self.account.is_some()
            || self.sender.is_some()
            || self.subject.is_some()
            || self.digest.is_some()
    }

    fn fits_arrival(&self, found: &Arrival) -> bool {
        let says = |sender| found.is_from(sender);
        self.sender.as_ref().is_none_or(says) && self.says_of(&found.submission)
    }

    fn fits(&self, found: &Submission) -> bool {
        self.sender.is_none() && self.says_of(found)
    }

    fn says_of(&self, found: &Submission) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        let subject = |wanted: &String| {
            let found = found.subject_text();
            found.to_lowercase().contains(&wanted.to_lowercase())
        };
        is(self.message_id.as_ref(), &found.message_id)
            && is(self.account.as_ref(), &found.account)
            && is(self.digest.as_ref(), &found.digest)
            && self.since.is_none_or(|since| found.submitted >= since)
            && self.until.is_none_or(|until| found.submitted < until)
            && self.subject.as_ref().is_none_or(subject)
    }
}

/// A request to take back whatever a search finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retract {
    /// Chosen by the requester.
    pub batch: BatchId,
    /// Which messages.
    pub search: Search,
    /// Who asks.
    pub requester: Requester,
    /// The recipients to take them from; none for all.
    pub chosen: Vec<String>,
    /// Which copies, by their state.
    pub selection: Selection,
    /// How far beyond the letter itself.
    pub reach: Reach,
    /// The one attachment to take out of each message, by its part number or file name; none for the
    /// whole of it.
    pub attachment: Option<String>,
    /// How many answers deep the messages are taken back too that answer those found; 0 for none.
    pub depth: u8,
    /// Who is told of it.
    pub notices: Notices,
    /// Why.
    pub reason: Option<String>,
}

impl Retract {
    fn request(&self, id: RecallId, found: OriginId, as_answer: bool) -> Request {
        Request {
            id,
            selector: Selector::Submission(found),
            requester: self.requester.clone(),
            chosen: self.chosen.clone(),
            selection: self.selection,
            reach: self.reach,
            attachment: self.attachment.as_deref().map(Attachment::asked),
            notices: self.notices.clone(),
            batch: Some(self.batch),
            as_answer,
            reason: self.reason.clone(),
            replacement: None,
            expires: None,
        }
    }

    /// The request for one of its messages: always the same one.
    fn request_for(&self, found: OriginId, as_answer: bool) -> Request {
        let text = format!("retract {} {found}", self.batch);
        let id = RecallId::of_text(self.requester.account, &text);
        self.request(id, found, as_answer)
    }
}

/// What a retract would do to one message; `Err` of the refusal that it would meet.
#[derive(Clone, Debug)]
pub struct Found {
    /// The message.
    pub submission: Submission,
    /// What would happen.
    pub plan: Result<(Facts, Plan), Refusal>,
    /// What answers it and may quote it, of what the requester may know of: whether it is taken back too
    /// or not.
    pub quoted: Quoted,
}

/// What a retract did with one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retracted {
    /// The message; `None` where none was found.
    pub submission: Option<OriginId>,
    /// The answer to the request for it. The caller goes on with [`Recalls::run`].
    pub answer: Requested,
}

impl Recalls {
    /// What a retract would do now, without doing it: the messages that its search finds, the oldest
    /// first, then those that answer them.
    pub fn plan_retract(
        &self,
        retract: &Retract,
        now: Timestamp,
    ) -> Result<Vec<Found>, RecallError> {
        let mut all = Vec::new();
        for (submission, as_answer) in self.found(retract, now)? {
            let request = retract.request_for(submission.id, as_answer);
            let plan = self.plan(&request, now)?;
            let quoted = self.quoted_for(retract, &submission, limits::MAX_DEPTH, now)?;
            all.push(Found {
                submission,
                plan,
                quoted,
            });
        }
        Ok(all)
    }

    /// Asks for the recall of every message that is found. On return each answer is durable.
    pub fn retract(
        &self,
        retract: &Retract,
        now: Timestamp,
    ) -> Result<Vec<Retracted>, RecallError> {
        let found = self.found(retract, now)?;
        self.recall_each(retract, found, now)
    }

    /// [`Recalls::retract`] of a search that finds as many messages as are expected, or none. Of any other
    /// number, which is answered with them, nothing is touched.
    pub fn retract_expected(
        &self,
        retract: &Retract,
        expected: u64,
        now: Timestamp,
    ) -> Result<Result<Vec<Retracted>, Vec<Submission>>, RecallError> {
        let found = self.found(retract, now)?;
        if !found.is_empty() && found.len() as u64 != expected {
            return Ok(Err(found.into_iter().map(|(found, _)| found).collect()));
        }
        self.recall_each(retract, found, now).map(Ok)
    }

    fn recall_each(
        &self,
        retract: &Retract,
        found: Vec<(Submission, bool)>,
        now: Timestamp,
    ) -> Result<Vec<Retracted>, RecallError> {
        if found.is_empty() {
            // On record like any attempt, under an id that no message has.
            let (id, none) = (RecallId(retract.batch.0), OriginId(retract.batch.0));
            let request = retract.request(id, none, false);
            let answer = self.request(&request, now)?;
            let submission = None;
            return Ok(vec![Retracted { submission, answer }]);
        }
        let mut answers = Vec::with_capacity(found.len());
        for (submission, as_answer) in found {
            let request = retract.request_for(submission.id, as_answer);
            let answer = self.request(&request, now)?;
            let submission = Some(submission.id);
            answers.push(Retracted { submission, answer });
        }
        Ok(answers)
    }

    /// What a search finds that the requester may know of, then what answers it, as far as that is asked
    /// for; and whether it is there as an answer.
    fn found(
        &self,
        retract: &Retract,
        now: Timestamp,
    ) -> Result<Vec<(Submission, bool)>, RecallError> {
        let mut found = Vec::new();
        for one in self.search(&retract.search)? {
            if self.may_know(retract, (&one, false), now)? {
                found.push(one);
            }
        }
        self.everybody_is_meant(&retract.chosen, &found)?;
        if retract.depth > 0 {
            return self.with_quoted(retract, &found, now);
        }
        Ok(found.into_iter().map(|one| (one, false)).collect())
    }

    /// Whether each of the chosen addresses is one that somebody was written to by.
    fn everybody_is_meant(
        &self,
        chosen: &[String],
        found: &[Submission],
    ) -> Result<(), RecallError> {
        if found.is_empty() {
            return Ok(());
        }
        match self.unmet(chosen, found)?.pop() {
            Some(address) => Err(RecallError::Nobody(address)),
            None => Ok(()),
        }
    }

    /// The messages that a search has found, then those that answer them.
    fn with_quoted(
        &self,
        retract: &Retract,
        roots: &[Submission],
        now: Timestamp,
    ) -> Result<Vec<(Submission, bool)>, RecallError> {
        let mut matches = Matches::default();
        let mut ids: HashSet<OriginId> = roots.iter().map(|one| one.id).collect();
        for root in roots {
            matches.add_any(&*self.engine, root.clone())?;
        }
        let found = matches.all.len();
        for root in roots {
            let quoted = self.quoted_for(retract, root, retract.depth, now)?;
            if quoted.more {
                return Err(RecallError::TooMany);
            }
            for one in quoted.all {
                if ids.insert(one.submission.id) {
                    matches.add_any(&*self.engine, one.submission)?;
                }
            }
        }
        let all = matches.all.into_iter().enumerate();
        Ok(all.map(|(n, one)| (one, n >= found)).collect())
    }

    /// What answers a message, of what the requester may know of.
    fn quoted_for(
        &self,
        retract: &Retract,
        root: &Submission,
        depth: u8,
        now: Timestamp,
    ) -> Result<Quoted, RecallError> {
        let quoted = self.quoted(root, depth)?;
        let mut all = Vec::new();
        for one in quoted.all {
            if self.may_know(retract, (&one.submission, true), now)? {
                all.push(one);
            }
        }
        Ok(Quoted { all, ..quoted })
    }

    fn may_know(
        &self,
        retract: &Retract,
        (found, as_answer): (&Submission, bool),
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        let request = retract.request_for(found.id, as_answer);
        let verdict = self.decide((Operation::Plan, None, 0), &request, found, now)?;
        Ok(refusal_of(&verdict).is_none())
    }

    /// Every submission that fits, the oldest first.
    fn search(&self, search: &Search) -> Result<Vec<Submission>, RecallError> {
        if !search.is_narrow() {
            return Err(RecallError::TooMany);
        }
        let mut found = match search.digest {
            Some(digest) => self.search_letter(search, digest)?,
            None => self.search_time(search)?,
        };
        found.sort_by_key(|found| found.id);
        Ok(found)
    }

    fn search_letter(
        &self,
        search: &Search,
        digest: ContentDigest,
    ) -> Result<Vec<Submission>, RecallError> {
        let engine = &*self.engine;
        let mut found = Matches::default();
        for id in submission::ids(engine, tables::of_digest(digest), limits::MAX_SEARCHED)? {
            let submission = submission::submission(engine, id)?;
            found.add(submission.filter(|found| search.fits(found)))?;
        }
        // What came in has no row of its own for this: its copies lead to it.
        let copies = self.mailboxes.copies(digest)?;
        let brought: BTreeSet<OriginId> = copies.iter().map(|copy| copy.origin).collect();
        for id in brought {
            let arrival = arrival(engine, id)?.filter(|found| search.fits_arrival(found));
            found.add_arrival(engine, arrival.map(|arrival| arrival.submission))?;
        }
        Ok(found.all)
    }

    fn search_time(&self, search: &Search) -> Result<Vec<Submission>, RecallError> {
        let since = search.since.unwrap_or_default().0;
        let since = Timestamp(since.saturating_sub(ID_LEAD_MS));
        let until = search.until.unwrap_or(Timestamp(u64::MAX));
        let mut found = Matches::default();
        self.each_between(tables::submissions_between(since, until), |key, row| {
            let submission = Submission::of_row(key, row)?;
            found.add(Some(submission).filter(|found| search.fits(found)))
        })?;
        self.each_between(tables::arrivals_between(since, until), |key, row| {
            let arrival = Arrival::of_row(key, row)?;
            let arrival = Some(arrival).filter(|found| search.fits_arrival(found));
            found.add_arrival(&*self.engine, arrival.map(|arrival| arrival.submission))
        })?;
        Ok(found.all)
    }

    fn each_between(
        &self,
        range: Range,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), RecallError>,
    ) -> Result<(), RecallError> {
        let (mut looked_at, mut next) = (0, Some(range));
        while let Some(range) = next {
            let page = self.engine.scan(&range, PAGE)?;
            looked_at += page.rows.len();
            if looked_at > limits::MAX_SEARCHED {
                return Err(RecallError::TooMany);
            }
            for (key, row) in &page.rows {
                each(key, row)?;
            }
            next = page.next;
        }
        Ok(())
    }
}

/// What a search has found so far.
#[derive(Default)]
struct Matches {
    all: Vec<Submission>,
    /// Letters that came in from outside: one recall takes back all their copies.
    letters: HashSet<ContentDigest>,
}

impl Matches {
    fn add(&mut self, found: Option<Submission>) -> Result<(), RecallError> {
        self.all.extend(found);
        match self.all.len() {
            0..=limits::MAX_RETRACTED => Ok(()),
            _ => Err(RecallError::TooMany),
        }
    }

    fn add_any(&mut self, reader: &dyn Read, found: Submission) -> Result<(), RecallError> {
        match found.submitter() {
            Some(_) => self.add(Some(found)),
            None => self.add_arrival(reader, Some(found)),
        }
    }

    fn add_arrival(
        &mut self,
        reader: &dyn Read,
        found: Option<Submission>,
    ) -> Result<(), RecallError> {
        let Some(submission) = found else {
            return Ok(());
        };
        let digest = submission.digest;
        // What somebody here has sent and came back is theirs but for what this very one brought.
        let letter = reader.get(&tables::letter(digest))?;
        let letter = letter.map(|row| Sent::decode(&row)).transpose()?;
        let authored = letter.is_some_and(|letter| letter.author != Submission::OUTSIDE);
        if authored || self.letters.insert(digest) {
            return self.add(Some(submission));
        }
        Ok(())
    }
}
