//! The record of one recall: who asked for what, what was decided, how far it is.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, Entropy, MessageId, OriginId, Timestamp};
use tern_mailbox::SealTag;
use tern_policy::{DenyReason, Selection};
use tern_store::StoreError;

use crate::outcome::Tally;
use crate::{Attachment, BatchId, Notices, Outcome, Reach, Submission, news, tables};

/// The id of one recall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecallId(pub [u8; 16]);

impl RecallId {
    /// A new id; sorts by time.
    pub fn new(now: Timestamp, entropy: &mut dyn Entropy) -> Self {
        Self(OriginId::new(now, entropy).0)
    }

    /// The id that a text of the requester's choice stands for: asking again with the same text
    /// is the same request.
    pub fn of_text(account: Option<AccountId>, text: &str) -> Self {
        let account = account.map_or(0, |account| account.0).to_be_bytes();
        let digest = tern_mime::blob_id(&[0; 32], &[&account, text.as_bytes()].concat());
        let mut id = [0; 16];
        id.copy_from_slice(&digest.0[..16]);
        Self(id)
    }

    /// The id of the one request that a message makes of itself, when it is sent: to be taken back at a
    /// time that it says. Nobody can ask under this id but by sending the message.
    pub fn of_expiry(account: AccountId, message: OriginId) -> Self {
        Self::of_text(Some(account), &format!("expires {message}"))
    }

    /// Whether it is that of a request that this message made of itself.
    pub(crate) fn is_expiry_of(self, found: &Submission) -> bool {
        let account = found.submitter();
        account.is_some_and(|account| self == Self::of_expiry(account, found.id))
    }

    /// The id of a hexadecimal text.
    pub fn from_hex(text: &str) -> Option<Self> {
        OriginId::from_hex(text).map(|id| Self(id.0))
    }

    /// The tag of its seal.
    pub const fn tag(self) -> SealTag {
        SealTag(self.0)
    }
}

impl std::fmt::Display for RecallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        OriginId(self.0).fmt(f)
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// Recall is not enabled for the requester.
    NotEnabled = 1,
    /// Another account sent it.
    NotYours = 2,
    /// It is too old.
    TooOld = 3,
    /// It was recalled before.
    AlreadyRecalled = 4,
    /// There is no such submission.
    NotFound = 5,
    /// A policy forbids it.
    PolicyDenied = 6,
    /// It needs a fresh second factor.
    StepUpRequired = 7,
    /// It needs a second person.
    ApprovalRequired = 8,
    /// Too many requests.
    RateLimited = 9,
    /// The server could not do it, and can't by trying again.
    Failed = 10,
    /// A policy wants to know why.
    ReasonRequired = 11,
    /// It has no such attachment.
    NoSuchAttachment = 12,
    /// The attachment is signed or encrypted.
    AttachmentProtected = 13,
    /// As many are planned for the account as may be.
    TooManyPlanned = 14,
}

impl Refusal {
    const ALL: [Self; 14] = [
        Self::NotEnabled,
        Self::NotYours,
        Self::TooOld,
        Self::AlreadyRecalled,
        Self::NotFound,
        Self::PolicyDenied,
        Self::StepUpRequired,
        Self::ApprovalRequired,
        Self::RateLimited,
        Self::Failed,
        Self::ReasonRequired,
        Self::NoSuchAttachment,
        Self::AttachmentProtected,
        Self::TooManyPlanned,
    ];

    /// The name that reports and the API use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotEnabled => "not-enabled",
            Self::NotYours => "not-yours",
            Self::TooOld => "too-old",
            Self::AlreadyRecalled => "already-recalled",
            Self::NotFound => "not-found",
            Self::PolicyDenied => "policy-denied",
            Self::StepUpRequired => "step-up-required",
            Self::ApprovalRequired => "approval-required",
            Self::RateLimited => "rate-limited",
            Self::Failed => "failed",
            Self::ReasonRequired => "reason-required",
            Self::NoSuchAttachment => "no-such-attachment",
            Self::AttachmentProtected => "attachment-protected",
            Self::TooManyPlanned => "too-many-planned",
        }
    }

    /// The sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotEnabled => "Recall is not enabled for your account.",
            Self::NotYours => "This message was not sent from your account.",
            Self::TooOld => "This message is too old to be taken back.",
            Self::AlreadyRecalled => "This message was taken back before.",
            Self::NotFound => "No message that this server sent for you matches this one.",
            Self::PolicyDenied => "A policy of your organisation does not allow this.",
            Self::StepUpRequired => {
                "This needs a fresh second factor, and none is set up for your account: ask your \
                 operator for one, then ask again."
            }
            Self::ApprovalRequired => "This needs the approval of a second person.",
            Self::RateLimited => "Too many requests in the last hour; try again later.",
            Self::Failed => "The server could not do this; its operator can see why.",
            Self::TooManyPlanned => {
                "As many of your messages wait for their time of expiry as may: this one was sent, and \
                 does not expire."
            }
            Self::ReasonRequired => {
                "A reason is required. Say why and ask again: in a mail to recall@ your domain with a \
                 line that begins with \"Reason:\", or with --reason at the command line."
            }
            Self::NoSuchAttachment => "No one attachment of this message has that number or name.",
            Self::AttachmentProtected => {
                "This attachment is signed or encrypted together with other parts of the message, \
                 which would be worth nothing without it: take back the whole message."
            }
        }
    }

    fn from_number(number: u8) -> Result<Self, Damaged> {
        Self::ALL
            .into_iter()
            .find(|refusal| *refusal as u8 == number)
            .ok_or(Damaged)
    }
}

impl From<DenyReason> for Refusal {
    fn from(reason: DenyReason) -> Self {
        match reason {
            DenyReason::NotEnabled => Self::NotEnabled,
            DenyReason::NotYours => Self::NotYours,
            DenyReason::TooOld => Self::TooOld,
            DenyReason::RateLimited => Self::RateLimited,
            DenyReason::PolicyDenied => Self::PolicyDenied,
            DenyReason::ReasonRequired => Self::ReasonRequired,
        }
    }
}

/// Where a recall stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Its requester has to show a second factor. No copy is touched.
    AwaitingStepUp,
    /// Other people have to approve it. No copy is touched.
    AwaitingApproval,
    /// It is granted, and begins at a time that was set, when the message was sent or later.
    Planned,
    /// Its requester or an operator wanted it no longer while it waited.
    Cancelled,
    /// What it waited for did not come in time.
    Expired,
    /// Sealed; copies are being withdrawn.
    Running,
    /// Every copy has an outcome; some may still be pending.
    Done,
    /// It was not allowed.
    Refused(Refusal),
    /// Undone: copies are being put back.
    Restoring,
    /// Undone: the copies are back.
    Restored,
}

impl State {
    /// The name that reports and the API use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AwaitingStepUp => "awaiting-step-up",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Planned => "planned",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Running => "running",
            Self::Done => "done",
            Self::Refused(_) => "refused",
            Self::Restoring => "restoring",
            Self::Restored => "restored",
        }
    }

    /// Whether every copy has its outcome, some perhaps pending.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Restored)
    }

    /// Whether it waits for somebody or for its time, having touched nothing.
    pub const fn is_waiting(self) -> bool {
        matches!(
            self,
            Self::AwaitingStepUp | Self::AwaitingApproval | Self::Planned
        )
    }

    /// Whether it came to nothing, having touched nothing.
    pub(crate) const fn is_void(self) -> bool {
        matches!(self, Self::Refused(_) | Self::Cancelled | Self::Expired)
    }

    const fn encode(self) -> (u8, u8) {
        match self {
            Self::Running => (1, 0),
            Self::Done => (2, 0),
            Self::Refused(refusal) => (3, refusal as u8),
            Self::Restoring => (4, 0),
            Self::Restored => (5, 0),
            Self::AwaitingStepUp => (6, 0),
            Self::AwaitingApproval => (7, 0),
            Self::Cancelled => (8, 0),
            Self::Expired => (9, 0),
            Self::Planned => (10, 0),
        }
    }

    fn decode(pair: (u8, u8)) -> Result<Self, Damaged> {
        match pair {
            (1, _) => Ok(Self::Running),
            (2, _) => Ok(Self::Done),
            (3, refusal) => Refusal::from_number(refusal).map(Self::Refused),
            (4, _) => Ok(Self::Restoring),
            (5, _) => Ok(Self::Restored),
            (6, _) => Ok(Self::AwaitingStepUp),
            (7, _) => Ok(Self::AwaitingApproval),
            (8, _) => Ok(Self::Cancelled),
            (9, _) => Ok(Self::Expired),
            (10, _) => Ok(Self::Planned),
            _ => Err(Damaged),
        }
    }
}

/// How much of a message a finished recall took back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// Every copy.
    All,
    /// Some copies.
    Some,
    /// None.
    None,
}

impl Extent {
    /// The name that reports and the API use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Some => "some",
            Self::None => "none",
        }
    }

    /// The extent that a tally amounts to. A copy that its owner had deleted counts for neither.
    pub fn of(tally: &Tally) -> Self {
        let sum = |counts: fn(Outcome) -> bool| -> u64 {
            tally
                .iter()
                .filter(|(outcome, _)| counts(*outcome))
                .map(|(_, n)| n)
                .sum()
        };
        let withdrawn = sum(Outcome::is_withdrawn);
        let missed = sum(|outcome| !outcome.is_withdrawn() && outcome != Outcome::AlreadyGone);
        match (withdrawn, missed) {
            (0, _) => Self::None,
            (_, 0) => Self::All,
            _ => Self::Some,
        }
    }
}

const fn selection_number(selection: Selection) -> u8 {
    match selection {
        Selection::Any => 0,
        Selection::OnlyUnexposed => 1,
        Selection::OnlyUnread => 2,
    }
}

fn selection_of(number: u8) -> Result<Selection, Damaged> {
    match number {
        0 => Ok(Selection::Any),
        1 => Ok(Selection::OnlyUnexposed),
        2 => Ok(Selection::OnlyUnread),
        _ => Err(Damaged),
    }
}

/// One recall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// Its id.
    pub id: RecallId,
    /// The submission, when one was found.
    pub submission: Option<OriginId>,
    /// What else its account had sent of the letter when the seal fell, and is taken back with it.
    pub also: Vec<OriginId>,
    /// The letter.
    pub digest: ContentDigest,
    /// The submitting account: whose message it is, and who gets the report.
    pub owner: Option<AccountId>,
    /// Accounts that are told how it stands: its owner's, the requester's, and those that were asked to
    /// approve it.
    pub followers: Vec<AccountId>,
    /// Who asked, by name.
    pub requester: String,
    /// How it was asked: `imap`, `cli`, ...
    pub protocol: String,
    /// When.
    pub requested: Timestamp,
    /// Why, in the requester's words.
    pub reason: Option<String>,
    /// The Message-ID of the corrected message that takes its place, without angle brackets.
    pub replacement: Option<String>,
    /// When it begins, where a time was set for it, when the message was sent or later.
    pub expires: Option<Timestamp>,
    /// The recipients it is limited to, by address; none for all.
    pub chosen: Vec<String>,
    /// Which copies it takes, by their state.
    pub selection: Selection,
    /// How far beyond the letter itself.
    pub reach: Reach,
    /// The one attachment that it takes out of the message; none for the whole of it.
    pub attachment: Option<Attachment>,
    /// Who is told of it when it is done.
    pub notices: Notices,
    /// Accounts below this number are told, if they are to be.
    pub noticed: u64,
    /// The retract that it is a part of.
    pub batch: Option<BatchId>,
    /// It was asked for since the message answers another that is taken back.
    pub as_answer: bool,
    /// Where it stands.
    pub state: State,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// When every copy had its first outcome.
    pub finished: Option<Timestamp>,
    /// When it was undone.
    pub restored: Option<Timestamp>,
    /// The report message in the owner's mailbox.
    pub report: Option<MessageId>,
    /// Counts the changes of the record and its outcomes that a report tells of.
    pub generation: u64,
    /// The generation that the report tells of.
    pub reported: u64,
    /// How many targets were given their outcome, from the first on.
    pub settled: u32,
    /// Outcomes are missing or may still change: they are looked at again.
    pub unsettled: bool,
    /// The subject of the message, as in its header.
    pub subject: Vec<u8>,
    /// The Message-ID of the message, without angle brackets; the one that was asked for where there is none.
    pub message_id: String,
}

impl Recall {
    /// Whether its time was set when the message was sent, by the message itself: to think of a time
    /// afterwards is to think of taking it back afterwards.
    pub(crate) fn is_set_when_sent(&self, found: &Submission) -> bool {
        self.expires.is_some() && self.id.is_expiry_of(found)
    }

    /// The part of the message that it takes; none for the whole of it.
    pub(crate) fn part(&self) -> Option<u8> {
        self.attachment.as_ref().and_then(Attachment::part)
    }

    /// The subject of the message, for people.
    pub fn subject_text(&self) -> String {
        tern_mime::shown_header_text(&self.subject)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(9);
        w.option(self.submission, |w, id| {
            w.array(&id.0);
        });
        w.list(&self.also, |w, id| {
            w.array(&id.0);
        });
        w.array(&self.digest.0).option(self.owner, |w, account| {
            w.number(account.0.into());
        });
        w.list(&self.followers, |w, account| {
            w.number(account.0.into());
        });
        w.text(&self.requester)
            .text(&self.protocol)
            .number(self.requested.0);
        w.option(self.reason.as_ref(), |w, reason| {
            w.text(reason);
        });
        w.option(self.replacement.as_ref(), |w, replacement| {
            w.text(replacement);
        });
        let text = |w: &mut Writer, text: &String| {
            w.text(text);
        };
        let time = |w: &mut Writer, at: Timestamp| {
            w.number(at.0);
        };
        let (state, refusal) = self.state.encode();
        w.option(self.expires, time);
        w.list(&self.chosen, text)
            .byte(selection_number(self.selection))
            .byte(self.reach as u8);
        w.option(self.attachment.as_ref(), |w, one| one.write(w));
        self.notices.write(&mut w);
        w.number(self.noticed);
        w.option(self.batch, |w, batch| {
            w.array(&batch.0);
        });
        w.byte(self.as_answer.into());
        w.byte(state).byte(refusal).list(&self.policies, text);
        w.option(self.finished, time).option(self.restored, time);
        w.option(self.report, |w, id| {
            w.number(id.0);
        });
        w.number(self.generation)
            .number(self.reported)
            .number(self.settled.into())
            .byte(self.unsettled.into())
            .bytes(&self.subject)
            .text(&self.message_id)
            .finish()
    }

    pub(crate) fn decode(id: RecallId, bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 9)?;
        Ok(Self {
            id,
            submission: r.option(|r| r.array().map(OriginId))?,
            also: r.list(|r| r.array().map(OriginId))?,
            digest: ContentDigest(r.array()?),
            owner: r.option(|r| r.number32().map(AccountId))?,
            followers: r.list(|r| r.number32().map(AccountId))?,
            requester: r.text()?,
            protocol: r.text()?,
            requested: Timestamp(r.number()?),
            reason: r.option(Reader::text)?,
            replacement: r.option(Reader::text)?,
            expires: r.option(|r| r.number().map(Timestamp))?,
            chosen: r.list(Reader::text)?,
            selection: selection_of(r.byte()?)?,
            reach: Reach::from_number(r.byte()?)?,
            attachment: r.option(Attachment::read)?,
            notices: Notices::read(&mut r)?,
            noticed: r.number()?,
            batch: r.option(|r| r.array().map(BatchId))?,
            as_answer: r.byte()? != 0,
            state: State::decode((r.byte()?, r.byte()?))?,
            policies: r.list(Reader::text)?,
            finished: r.option(|r| r.number().map(Timestamp))?,
            restored: r.option(|r| r.number().map(Timestamp))?,
            report: r.option(|r| r.number().map(MessageId))?,
            generation: r.number()?,
            reported: r.number()?,
            settled: r.number32()?,
            unsettled: r.byte()? != 0,
            subject: r.bytes()?.to_vec(),
            message_id: r.text()?,
        })
    }

    /// Whether it takes every copy that another would take of the same submission.
    pub(crate) fn takes_all_of(&self, other: &Self) -> bool {
        let named = |one: &String| {
            self.chosen
                .iter()
                .any(|held| held.eq_ignore_ascii_case(one))
        };
        let all = !other.chosen.is_empty() && other.chosen.iter().all(named);
        let whole =
            self.attachment.is_none() || (self.part().is_some() && self.part() == other.part());
        let states = self.selection == Selection::Any || self.selection == other.selection;
        whole && states && self.reach >= other.reach && (self.chosen.is_empty() || all)
    }

    /// The submissions whose recipients it speaks of, in the order of their targets.
    pub(crate) fn sendings(&self) -> impl Iterator<Item = OriginId> {
        self.submission.into_iter().chain(self.also.iter().copied())
    }

    /// Something that the report tells of has changed. Whoever read the record before has to look
    /// again.
    pub(crate) fn changed(&mut self) {
        self.generation += 1;
    }

    /// Whether the report does not say how things are now.
    pub(crate) const fn is_report_due(&self) -> bool {
        self.reported < self.generation
    }

    /// Whether something is left to do.
    pub(crate) fn is_open(&self) -> bool {
        let unfinished = matches!(self.state, State::Running | State::Restoring);
        unfinished || self.unsettled || self.is_report_due() || self.are_notices_due()
    }

    /// Writes the record, tells those who follow it, and keeps it on the list of those with something
    /// left to do while there is.
    pub(crate) fn put_in(&self, txn: &mut tern_store::Transaction<'_>) -> Result<(), StoreError> {
        let before = txn.get(&tables::recall(self.id))?;
        let before = before.map(|row| Self::decode(self.id, &row)).transpose()?;
        for follower in &self.followers {
            let known = before.as_ref().filter(|it| it.followers.contains(follower));
            if known.is_none_or(|before| before.generation != self.generation) {
                news::add_in(txn, *follower, self.id, known.is_none())?;
            }
        }
        txn.put(tables::recall(self.id), self.encode());
        if self.is_open() {
            txn.put(tables::open(self.id), Vec::new());
        } else {
            txn.delete(tables::open(self.id));
        }
        Ok(())
    }

    /// Has accounts told how it stands from now on.
    pub(crate) fn follow(&mut self, accounts: impl IntoIterator<Item = AccountId>) {
        for account in accounts {
            if !self.followers.contains(&account) {
                self.followers.push(account);
            }
        }
    }
}
