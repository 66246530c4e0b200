//! Recalls from the command line.

use std::fmt::Write as _;

use serde_json::json;
use tern_base::{AccountId, ContentDigest, EmailAddress, Fault, Timestamp};
use tern_policy::{Authentication, Notice, Selection};
use tern_recall::{
    BatchId, Extent, Found, Notices, Outcome, Reach, RecallError, RecallId, Refusal, Requested,
    Requester, Retract, Search, State, Status, StatusLine, Tally, ToldOutcome, View, labelled,
};

use super::error::AdminError;
use super::{Admin, Call, Result, count, parse_address};
use crate::control::request::{Answer, RecallRun, RecallWhich};
use crate::workers::carry_out;

/// Copies that a status shows one by one.
const SHOWN: usize = 1_000;
/// Recalls that a list shows.
const LISTED: usize = 1_000;

/// What whoever searches for others' messages is told.
const NOTHING_FITS: &str = "no message that you may take back fits this";
/// Fewer letters of a subject are in nearly every one.
const MIN_SUBJECT: usize = 3;

pub(super) fn parse_id(text: &str) -> Result<RecallId> {
    let wrong = || AdminError::Wrong(format!("`{text}` is not a recall id"));
    // As JMAP has it, too.
    RecallId::from_hex(text.strip_prefix('R').unwrap_or(text)).ok_or_else(wrong)
}

pub(super) fn operator(call: &Call<'_>) -> Requester {
    Requester {
        account: None,
        name: call.operator.to_owned(),
        authentication: Authentication {
            protocol: String::from("cli"),
            ..Authentication::default()
        },
    }
}

/// What the command line asks for.
pub(super) fn selection(only: Option<&str>) -> Result<Selection> {
    match only {
        None => Ok(Selection::Any),
        Some("unexposed") => Ok(Selection::OnlyUnexposed),
        Some("unread") => Ok(Selection::OnlyUnread),
        Some(other) => Err(AdminError::Wrong(format!("`{other}` is no state"))),
    }
}

/// Who is told, as the command line says it.
fn notices(whom: Option<&str>, text: Option<String>) -> Result<Notices> {
    let whom = match whom {
        None => None,
        Some("none") => Some(Notice::None),
        Some("exposed") => Some(Notice::ExposedOnly),
        Some("all") => Some(Notice::All),
        Some(other) => return Err(AdminError::Wrong(format!("`{other}` tells nobody"))),
    };
    Ok(Notices { whom, text })
}

pub(super) fn refused(refusal: Refusal) -> AdminError {
    let text = format!("refused ({}): {}", refusal.code(), refusal.sentence());
    AdminError::Wrong(text)
}

/// Whom messages are looked for by.
enum Sender {
    Account(AccountId),
    Outside(EmailAddress),
}

impl Sender {
    const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account(account) => Some(*account),
            Self::Outside(_) => None,
        }
    }

    fn outside(self) -> Option<EmailAddress> {
        match self {
            Self::Account(_) => None,
            Self::Outside(address) => Some(address),
        }
    }
}

impl Admin {
    /// An account; or an address elsewhere, or one that is nobody's, which mail from outside may bear all the same.
    fn sender(&self, text: &str) -> Result<Sender> {
        let address = parse_address(text)?;
        let account = tern_directory::account_by_address(self.reader(), &address)?;
        Ok(match account {
            Some(account) => Sender::Account(account.id),
            None => Sender::Outside(address),
        })
    }

    fn retract_of(&self, which: &RecallWhich, call: &mut Call<'_>) -> Result<Retract> {
        let sender = which.by.as_deref().map(|by| self.sender(by)).transpose()?;
        let digest = |text: &String| {
            let wrong = || AdminError::Wrong(format!("`{text}` is not a content digest"));
            ContentDigest::from_hex(text).ok_or_else(wrong)
        };
        let bare = |id: &String| {
            let id = id.trim_start_matches('<').trim_end_matches('>');
            id.to_owned()
        };
        if which.attachment.is_some() && which.depth > 0 {
            let text =
                "what answers a message has none of its attachments: leave out the conversation";
            return Err(AdminError::Wrong(text.to_owned()));
        }
        let subject = which.subject.as_deref().map(str::trim);
        let is_all = sender.is_none() && which.message_id.is_none() && which.digest.is_none();
        if is_all && subject.is_some_and(|subject| subject.chars().count() < MIN_SUBJECT) {
            let text = format!(
                "a subject alone wants {MIN_SUBJECT} letters at least: say more of it, or who sent it"
            );
            return Err(AdminError::Wrong(text));
        }
        Ok(Retract {
            batch: BatchId::new(call.now, call.entropy),
            search: Search {
                message_id: which.message_id.as_ref().map(bare),
                account: sender.as_ref().and_then(Sender::account),
                sender: sender.and_then(Sender::outside),
                subject: which.subject.clone(),
                digest: which.digest.as_ref().map(digest).transpose()?,
                since: which.since.map(Timestamp),
                until: which.until.map(Timestamp),
            },
            requester: self.speaker(which.acting.as_deref(), call)?,
            chosen: which.recipients.clone(),
            selection: selection(which.only.as_deref())?,
            reach: match which.copies_only {
                true => Reach::Copies,
                false => Reach::Attached,
            },
            attachment: which.attachment.clone(),
            depth: which.depth,
            notices: Notices::default(),
            reason: None,
        })
    }

    pub(super) fn recall_plan(&self, which: &RecallWhich, call: &mut Call<'_>) -> Result<Answer> {
        let retract = self.retract_of(which, call)?;
        let found = self.recalls.plan_retract(&retract, call.now)?;
        if found.is_empty() {
            return Err(AdminError::Wrong(NOTHING_FITS.to_owned()));
        }
        let (mut text, mut data) = (Vec::new(), Vec::new());
        let ids: Vec<_> = found.iter().map(|one| one.submission.id).collect();
        let put_back = self.recalls.put_back(&ids)?;
        for one in &found {
            let (mut words, mut value) = self.planned(one, call)?;
            let submission = &one.submission;
            if let Some(id) = put_back.get(&submission.id) {
                let _ = write!(words, "\ntaken back and put back before: recall {id}");
            }
            let (message_id, digest) = (&submission.message_id, submission.digest);
            let sender = self.sender_of(submission)?;
            let _ = write!(words, "\nby {sender}, <{message_id}>, digest {digest}");
            self.write_quoted(&mut words, &mut value, &one.quoted)?;
            text.push(words);
            data.push(value);
        }
        if found.len() > 1 {
            text.push(count(found.len() as u64, "message", "messages"));
        }
        Ok(Answer::new(text.join("\n"), json!({ "messages": data })))
    }

    /// Shows each recall, where there is one; of many, a line for each.
    pub(super) fn recall_run(&self, run: &RecallRun, call: &mut Call<'_>) -> Result<Answer> {
        let mut retract = self.retract_of(&run.which, call)?;
        retract.reason.clone_from(&run.reason);
        retract.notices = notices(run.notice.as_deref(), run.notice_text.clone())?;
        let answers = match run.expected {
            None => self.recalls.retract(&retract, call.now)?,
            Some(expected) => {
                match self
                    .recalls
                    .retract_expected(&retract, expected, call.now)?
                {
                    Ok(answers) => answers,
                    Err(found) => return self.unexpected(&found),
                }
            }
        };
        for one in &answers {
            tracing::info!(id = %one.answer.id(), operator = call.operator, "recall asked for here");
        }
        // All of them are sealed by now; what fails here is finished by the server itself.
        let mut unfinished = Vec::new();
        for one in &answers {
            let id = one.answer.id();
            if let Err(error) = self.carry_out(id, call) {
                unfinished.push(format!(
                    "recall {id} is sealed, and gone on with later: {error}"
                ));
            }
        }
        if let [one] = answers.as_slice() {
            return match one.answer {
                Requested::Refused(_, Refusal::NotFound) => Err(AdminError::Wrong(format!(
                    "refused ({}): {NOTHING_FITS}",
                    Refusal::NotFound.code()
                ))),
                Requested::Refused(_, refusal) => Err(refused(refusal)),
                Requested::Joined(id) => self.show_joined(id, run, call),
                answer => {
                    let mut shown = self.show_recall(answer.id(), call)?;
                    shown.text = [vec![shown.text], unfinished].concat().join("\n");
                    Ok(shown)
                }
            };
        }
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for one in &answers {
            let status = self.recalls.status(one.answer.id(), 0)?;
            let (recall, tally) = (&status.recall, &status.tally);
            let (subject, state) = (recall.subject_text(), recall.state.code());
            let mut words = format!("recall {}: {state}, \"{subject}\"", recall.id);
            let told = self
                .recalls
                .told(recall, tally, &operator(call), call.now)?;
            write_told(&mut words, &told);
            text.push(words);
            data.push(self.seen(recall.id, 0, &operator(call), call)?.data);
        }
        text.extend(unfinished);
        let messages = count(answers.len() as u64, "message", "messages");
        text.push(format!("batch {}: {messages}", retract.batch));
        let data = json!({"batch": retract.batch.to_string(), "recalls": data});
        Ok(Answer::new(text.join("\n"), data))
    }

    /// Shows as much as policy lets the operator see, or the account as which they ask.
    pub(super) fn recall_status(
        &self,
        id: &str,
        seen_by: Option<&str>,
        call: &Call<'_>,
    ) -> Result<Answer> {
        let viewer = self.speaker(seen_by, call)?;
        let parsed = parse_id(id)?;
        match self.seen(parsed, SHOWN, &viewer, call) {
            Err(AdminError::Recall(RecallError::NoRecall)) => {
                self.not_a_batch(id)?;
                Err(RecallError::NoRecall.into())
            }
            seen => seen,
        }
    }

    fn seen(
        &self,
        id: RecallId,
        shown: usize,
        viewer: &Requester,
        call: &Call<'_>,
    ) -> Result<Answer> {
        match self.recalls.view(id, viewer, shown, call.now)? {
            View::Full(status) => Ok(Answer::new(text_of(&status), status.json())),
            View::Limited(status) => Ok(Answer::new(status.text(), status.json())),
        }
    }

    pub(super) fn recall_restore(
        &self,
        id: &str,
        acting: Option<&str>,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let (text, by) = (id, self.speaker(acting, call)?);
        let id = parse_id(text)?;
        let before = match self.recalls.recall(id) {
            Err(RecallError::NoRecall) => {
                self.not_a_batch(text)?;
                return Err(RecallError::NoRecall.into());
            }
            recall => recall?,
        };
        self.recalls.restore(id, &by, call.now)?;
        let mut answer = self.carry_out(id, call)?;
        if let Some(at) = before.restored {
            answer.text = format!("was put back before, at {at}\n{}", answer.text);
        }
        Ok(answer)
    }

    /// Carries out what is durably asked for, as far as that can be done now: it is no failure of
    /// the request when the rest is left to the server's chores.
    pub(super) fn carry_out(&self, id: RecallId, call: &Call<'_>) -> Result<Answer> {
        match carry_out(&self.recalls, id, call.now) {
            Err(error) if error.fault() == Fault::Temporary => {
                tracing::warn!(%id, %error, "a recall could not go on");
            }
            done => done?,
        }
        self.show_recall(id, call)
    }

    /// Of a message that is taken back already, by which recall; nothing of the new request stands anywhere.
    fn show_joined(&self, id: RecallId, run: &RecallRun, call: &Call<'_>) -> Result<Answer> {
        let at = self.recalls.recall(id)?.requested;
        let mut answer = self.show_recall(id, call)?;
        let unkept = match &run.reason {
            Some(_) => "; the reason that was given now is not kept",
            None => "",
        };
        answer.text = format!(
            "is taken back already, as asked at {at}{unkept}\n{}",
            answer.text
        );
        if let Some(fields) = answer.data.as_object_mut() {
            fields.insert(String::from("isJoined"), true.into());
        }
        Ok(answer)
    }

    /// What came of an act, as far as policy lets the operator see it.
    fn show_recall(&self, id: RecallId, call: &Call<'_>) -> Result<Answer> {
        self.seen(id, SHOWN, &operator(call), call)
    }

    pub(super) fn recall_list(&self, by: Option<&str>, batch: Option<&str>) -> Result<Answer> {
        let owner = by
            .map(|by| self.account(by))
            .transpose()?
            .map(|account| account.id);
        let (mut text, mut data) = (Vec::new(), Vec::new());
        let of_batch = batch.map(|batch| self.batch(batch)).transpose()?;
        let of_batch = of_batch.map(|(batch, _)| batch);
        let all = match of_batch {
            None => LISTED,
            Some(_) => usize::MAX,
        };
        for line in self.recalls.list(owner, all)? {
            let recall = &line.recall;
            if of_batch.is_some() && recall.batch != of_batch {
                continue;
            }
            let subject = recall.subject_text();
            let state = recall.state.code();
            let extent = extent_of(recall.state, &line.tally);
            let shown = extent.map_or_else(|| state.to_owned(), |e| format!("{state} ({e})"));
            let requested = recall.requested;
            let refusal = match recall.state {
                State::Refused(refusal) => Some(refusal.code()),
                _ => None,
            };
            let shown = refusal.map_or(shown, |refusal| format!("{state} ({refusal})"));
            let named = match (subject.is_empty(), recall.message_id.as_str()) {
                (false, _) => subject.clone(),
                (true, "") => String::from("(no message)"),
                (true, id) => format!("<{id}>"),
            };
            text.push(format!(
                "{}  {requested}  {shown}  {}  {named}",
                recall.id, recall.requester
            ));
            data.push(
                json!({"id": recall.id.to_string(), "requestedAt": requested.to_string(),
                "requestedBy": recall.requester, "state": state, "withdrawn": extent,
                "refusal": refusal, "subject": subject, "messageId": recall.message_id,
                "batch": recall.batch.map(|batch| batch.to_string())}),
            );
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }
}

impl Admin {
    /// What a retract would do to one message, in words and as JSON, as far as policy lets the
    /// operator see it.
    fn planned(&self, found: &Found, call: &Call<'_>) -> Result<(String, serde_json::Value)> {
        let submission = &found.submission;
        let subject = submission.subject_text();
        let sent = format!("\"{subject}\", sent {}", submission.submitted);
        let about = json!({"submission": submission.id.to_string(), "subject": subject,
        "messageId": submission.message_id, "digest": submission.digest.to_string(),
        "submittedAt": submission.submitted.to_string()});
        let (text, more) = match &found.plan {
            Err(refusal) => {
                let text = format!("{sent}, would be refused: {}", refusal.sentence());
                (text, json!({"refusal": refusal.code()}))
            }
            Ok((_, plan)) => {
                let tally = plan.tally();
                let told = self
                    .recalls
                    .told_of(submission, &tally, &operator(call), call.now)?;
                let mut text = format!("{sent}, would end so:");
                write_told(&mut text, &told);
                let outcomes: serde_json::Map<_, _> = told
                    .into_iter()
                    .map(|(outcome, n)| (outcome.code().to_owned(), n.into()))
                    .collect();
                (
                    text,
                    json!({"copies": plan.copies.len(), "outcomes": outcomes}),
                )
            }
        };
        let mut data = about;
        if let (Some(data), serde_json::Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        Ok((text, data))
    }
}

fn extent_of(state: State, tally: &Tally) -> Option<&'static str> {
    (state == State::Done).then(|| Extent::of(tally).code())
}

fn write_told(text: &mut String, told: &[(ToldOutcome, u64)]) {
    for (outcome, n) in told {
        let _ = write!(text, "\n{n:>6}  {} ({})", outcome.words(), outcome.code());
    }
}

fn write_line(text: &mut String, line: &StatusLine) {
    let outcome = &line.outcome;
    let _ = write!(text, "\n{}: {}", line.recipient, outcome.outcome.code());
    if !line.via.is_empty() {
        let _ = write!(text, " (via {})", line.via.join(", "));
    }
    if let Some(sent) = &line.sent_on {
        let _ = write!(text, " (sent on by {})", sent.by);
    }
    if !line.mailboxes.is_empty() {
        let _ = write!(text, " in {}", line.mailboxes.join(", "));
    }
    let _ = write!(text, ". {}", outcome.reason.sentence());
    if let Some(restored) = outcome.restored {
        let _ = write!(text, " Put back {restored}.");
    } else if let Some(other) = outcome.handed_over {
        let _ = write!(text, " Not put back: recall {other} covered it.");
    } else if let Some(purged) = outcome.purged {
        let _ = write!(text, " Kept until {purged}: it can't be put back.");
    }
    if let Some(noticed) = line.noticed {
        let _ = write!(text, " Notice: {}.", noticed.code());
    }
    let seen = line.seen.iter();
    let told = seen.flat_map(|seen| [seen.served_text(), seen.devices_text()]);
    for sentence in told.flatten() {
        let _ = write!(text, "\n    {sentence}");
    }
}

fn text_of(status: &Status) -> String {
    let recall = &status.recall;
    let mut text = format!("recall {}: {}", recall.id, recall.state.code());
    if let Some(extent) = extent_of(recall.state, &status.tally) {
        let _ = write!(text, ", {extent} withdrawn");
    }
    let declined = status
        .wait
        .as_ref()
        .is_some_and(|wait| wait.ended.is_some());
    if let State::Refused(refusal) = recall.state
        && declined
    {
        // Who has declined it, and why, is said below.
        let _ = write!(text, " ({})", refusal.code());
    } else if let State::Refused(refusal) = recall.state {
        let _ = write!(text, " ({}): {}", refusal.code(), refusal.sentence());
    }
    let _ = write!(
        text,
        "\n\"{}\", asked by {} at {}",
        recall.subject_text(),
        recall.requester,
        recall.requested
    );
    if let Some(reason) = &recall.reason {
        let _ = write!(text, "\n{}", labelled("Reason: ", reason).trim_end());
    }
    if let Some(attachment) = &recall.attachment {
        let _ = write!(text, "\nOf it the attachment {attachment}; the rest stays");
    }
    for sentence in status
        .wait
        .iter()
        .flat_map(|wait| wait.sentences(recall.state))
    {
        let _ = write!(text, "\n{sentence}");
    }
    let tally = status.tally.iter();
    let told: Vec<_> = tally
        .map(|(outcome, n)| (ToldOutcome::As(outcome), n))
        .collect();
    write_told(&mut text, &told);
    let stopped = status.tally.of(Outcome::Prevented);
    if recall.state == State::Restored && stopped > 0 {
        let what = count(stopped, "copy was", "copies were");
        let _ = write!(text, "\n{what} stopped before leaving, and not sent again");
    }
    write_lines(&mut text, status);
    if status.on_their_way > 0 {
        let n = count(status.on_their_way, "copy", "copies");
        let _ = write!(text, "\n{n} not delivered yet, to be stopped on arrival");
    }
    if status.more > 0 {
        let _ = write!(text, "\nand {} more", status.more);
    }
    text
}

/// A line for each copy, each address that led to none, and each answer.
fn write_lines(text: &mut String, status: &Status) {
    for line in &status.lines {
        write_line(text, line);
    }
    for address in &status.unmet {
        let _ = write!(
            text,
            "\n{address}: the message was sent to nobody by this address"
        );
    }
    for line in &status.answers.lines {
        let (what, fate) = (line.text(), line.fate.sentence());
        let _ = write!(text, "\nanswered by {what}. {fate}");
    }
    if let Some(rest) = status.answers.rest() {
        let _ = write!(text, "\n{rest}");
    }
}
