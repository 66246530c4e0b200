//! What a recall that waits is waiting for, and what the question will need when it is asked again:
//! who asked and how they had proved who they are, and who has approved it.
//!
//! Invariants:
//! - A recall in a state of waiting has its row and is on the two lists of those that wait, by when
//!   it expires and by who asked; in any other state it is on neither.
//! - The row changes with every act upon the recall, and stays when the waiting is over: it is the
//!   record of who approved, declined or cancelled it.
//! - While a recall waits it touches no copy and seals nothing.

use serde_json::{Value, json};
use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Timestamp};
use tern_policy::{Authentication, Device};
use tern_store::Transaction;

use crate::grant::NotSealed;
use crate::shown::quoted;
use crate::{
    Recall, RecallError, RecallId, Recalls, Refusal, Requested, Requester, State, limits, tables,
};

const VERSION: u8 = 2;

/// What a recall waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Its requester has to show a second factor.
    StepUp {
        /// It expires then.
        until: Timestamp,
    },
    /// Other people have to approve it.
    Approval {
        /// How many.
        approvers: u32,
        /// It expires then.
        until: Timestamp,
    },
    /// The time has to come that was set for it.
    Time {
        /// It begins then.
        at: Timestamp,
    },
}

impl Awaited {
    /// When the recall expires, or begins.
    pub const fn until(&self) -> Timestamp {
        match self {
            Self::StepUp { until } | Self::Approval { until, .. } | Self::Time { at: until } => {
                *until
            }
        }
    }

    pub(crate) const fn state(&self) -> State {
        match self {
            Self::StepUp { .. } => State::AwaitingStepUp,
            Self::Approval { .. } => State::AwaitingApproval,
            Self::Time { .. } => State::Planned,
        }
    }
}

/// One person's approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Who, and how they had proved who they are.
    pub by: Requester,
    /// When.
    pub at: Timestamp,
    /// Why, in their words.
    pub reason: Option<String>,
    /// It counts no more: when the question was asked again, they could not have given it.
    pub lapsed: bool,
}

/// Who ended the waiting otherwise than by granting it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Their name; none where the server did.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// The row of a recall that waits, or has waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What it waits for, or waited for last.
    pub awaited: Awaited,
    /// Who asked, and how they had proved who they are when they last did something for it.
    pub requester: Requester,
    /// Requests of theirs in the hour before.
    pub requests_before: u32,
    /// Each approval, of different people, in the order in which they were given.
    pub approvals: Vec<Approval>,
    /// Who declined or cancelled it.
    pub ended: Option<Ended>,
    /// Whoever it waits for now has been written to.
    pub(crate) told: bool,
}

impl Wait {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        match self.awaited {
            Awaited::StepUp { until } => w.byte(1).number(until.0),
            Awaited::Approval { approvers, until } => {
                w.byte(2).number(approvers.into()).number(until.0)
            }
            Awaited::Time { at } => w.byte(3).number(at.0),
        };
        write_requester(&mut w, &self.requester);
        w.number(self.requests_before.into());
        w.list(&self.approvals, |w, approval| {
            write_requester(w, &approval.by);
            w.number(approval.at.0);
            write_text(w, approval.reason.as_ref());
            w.byte(approval.lapsed.into());
        });
        w.option(self.ended.as_ref(), |w, ended| {
            write_text(w, ended.by.as_ref());
            w.number(ended.at.0);
            write_text(w, ended.reason.as_ref());
        });
        w.byte(self.told.into()).finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        Ok(Self {
            awaited: match r.byte()? {
                1 => Awaited::StepUp {
                    until: Timestamp(r.number()?),
                },
                2 => Awaited::Approval {
                    approvers: r.number32()?,
                    until: Timestamp(r.number()?),
                },
                3 => Awaited::Time {
                    at: Timestamp(r.number()?),
                },
                _ => return Err(Damaged),
            },
            requester: read_requester(&mut r)?,
            requests_before: r.number32()?,
            approvals: r.list(|r| {
                Ok(Approval {
                    by: read_requester(r)?,
                    at: Timestamp(r.number()?),
                    reason: r.option(Reader::text)?,
                    lapsed: r.byte()? != 0,
                })
            })?,
            ended: r.option(|r| {
                Ok(Ended {
                    by: r.option(Reader::text)?,
                    at: Timestamp(r.number()?),
                    reason: r.option(Reader::text)?,
                })
            })?,
            told: r.byte()? != 0,
        })
    }

    /// What people are told of the waiting, a line for each thing.
    pub fn sentences(&self, state: State) -> Vec<String> {
        let mut lines = Vec::new();
        match (state, self.awaited) {
            (State::AwaitingStepUp, awaited) => lines.push(format!(
                "It waits until {} for a second factor of {}; nothing is taken back before.",
                awaited.until().rfc5322(),
                self.requester.name
            )),
            (State::AwaitingApproval, Awaited::Approval { approvers, until }) => {
                lines.push(format!(
                    "It waits until {} for the approval of {}; nothing is taken back before.",
                    until.rfc5322(),
                    match approvers {
                        1 => "another person".to_owned(),
                        n => format!("{n} other people"),
                    }
                ));
            }
            (State::Planned, awaited) => lines.push(format!(
                "It will be taken back on {}, the time that was set for it; nothing is before.",
                awaited.until().rfc5322()
            )),
            _ => {}
        }
        if !matches!(state, State::Expired) {
            for approval in &self.approvals {
                let at = approval.at.rfc5322();
                let counts = match approval.lapsed {
                    true => ", which counts no more",
                    false => "",
                };
                lines.push(format!("Approved by {} on {at}{counts}.", approval.by.name));
            }
        }
        if let Some(ended) = &self.ended {
            let what = match state {
                State::Cancelled => "Cancelled",
                State::Expired => "Expired",
                _ => "Declined",
            };
            let by = ended.by.as_ref().map(|by| format!(" by {by}"));
            let by = by.unwrap_or_default();
            lines.push(format!("{what}{by} on {}.", ended.at.rfc5322()));
            if let Some(reason) = &ended.reason {
                lines.extend(quoted(reason).lines().map(str::to_owned));
            }
        }
        lines
    }

    /// The waiting as JSON.
    pub(crate) fn json(&self, state: State) -> Value {
        let approval = |one: &Approval| {
            let at = one.at.to_string();
            json!({"by": one.by.name, "at": at, "reason": one.reason, "lapsed": one.lapsed})
        };
        let approvals: Vec<Value> = self.approvals.iter().map(approval).collect();
        let until = state.is_waiting().then(|| self.awaited.until().to_string());
        let approvers = match self.awaited {
            Awaited::Approval { approvers, .. } if state.is_waiting() => Some(approvers),
            _ => None,
        };
        let ended = self.ended.as_ref().map(
            |ended| json!({"by": ended.by, "at": ended.at.to_string(), "reason": ended.reason}),
        );
        json!({"until": until, "approvers": approvers, "approvals": approvals, "ended": ended})
    }
}

/// A recall that waits, as it was read.
pub(crate) struct Held {
    pub(crate) recall: Recall,
    pub(crate) wait: Wait,
    /// The row: an act upon the recall counts only while it is still this one.
    pub(crate) row: Vec<u8>,
}

impl Recalls {
    /// What a recall waits for, or has waited for; none where it never had to wait.
    pub fn wait_of(&self, id: RecallId) -> Result<Option<Wait>, RecallError> {
        let row = self.engine.get(&tables::wait(id))?;
        Ok(row.map(|row| Wait::decode(&row)).transpose()?)
    }

    /// A recall that waits or has waited.
    pub(crate) fn held(&self, id: RecallId) -> Result<Held, RecallError> {
        let row = self.engine.get(&tables::wait(id))?;
        let row = row.ok_or(RecallError::NoRecall)?;
        let wait = Wait::decode(&row)?;
        let recall = self.recall(id)?;
        Ok(Held { recall, wait, row })
    }

    /// The answer to a request that is on record.
    pub(crate) fn answer_on_record(&self, recall: &Recall) -> Result<Requested, RecallError> {
        Ok(match recall.state {
            State::Refused(refusal) => Requested::Refused(recall.id, refusal),
            State::AwaitingStepUp | State::AwaitingApproval | State::Planned => {
                let wait = self.wait_of(recall.id)?;
                // Another state by now: whoever asks is told that one the next time.
                let wait = wait.ok_or(tern_store::StoreError::Damaged)?;
                Requested::Waiting(recall.id, wait.awaited)
            }
            // What became of it is in its record.
            State::Running
            | State::Done
            | State::Restoring
            | State::Restored
            | State::Cancelled
            | State::Expired => Requested::Joined(recall.id),
        })
    }

    /// The recall of a requester that waits for the same and covers all that is asked for.
    pub(crate) fn waiting_in(
        &self,
        txn: &mut Transaction<'_>,
        requester: &Requester,
        asked: &Recall,
    ) -> Result<Option<Recall>, RecallError> {
        let Some(submission) = asked.submission else {
            return Ok(None);
        };
        let Some(found) = self.submission_found(asked)? else {
            return Ok(None);
        };
        let range = tables::waits_for(&who(requester, asked.state), submission);
        for (key, _) in txn.scan(&range, limits::MAX_WAITING)?.rows {
            let waiting = self.recall_in(txn, tables::read_waits(&key)?)?;
            let takes = waiting.takes_all_of(asked) && begins_no_later(&waiting, asked);
            // What a message says of itself when it is sent is said of that sending alone.
            let alone = waiting.id.is_expiry_of(&found);
            if waiting.state.is_waiting() && takes && !alone {
                return Ok(Some(waiting));
            }
        }
        Ok(None)
    }

    /// Why one more recall of a requester may not begin to wait in this state, where they have as many
    /// as one may have.
    pub(crate) fn waits_enough_in(
        &self,
        txn: &Transaction<'_>,
        requester: &Requester,
        state: State,
    ) -> Result<Option<Refusal>, RecallError> {
        let (most, refusal) = match state {
            State::Planned => (limits::MAX_PLANNED, Refusal::TooManyPlanned),
            _ => (limits::MAX_WAITING, Refusal::RateLimited),
        };
        let range = tables::waits_of(&who(requester, state));
        let page = txn.scan(&range, most)?;
        Ok((page.rows.len() >= most).then_some(refusal))
    }
}

/// Whether a recall that waits takes the message back no later than is asked for, once it is freed.
fn begins_no_later(waiting: &Recall, asked: &Recall) -> bool {
    match (waiting.expires, asked.expires) {
        (None, _) => true,
        (Some(at), Some(asked)) => at <= asked,
        (Some(_), None) => false,
    }
}

/// Puts a recall into a state of waiting, and on the lists of those that wait.
pub(crate) fn begin_in(txn: &mut Transaction<'_>, recall: &Recall, wait: &Wait) {
    txn.put(tables::wait(recall.id), wait.encode());
    let until = tables::waits_until(wait.awaited.until(), recall.id);
    let is_planned = matches!(wait.awaited, Awaited::Time { .. });
    let mut w = Writer::versioned(1);
    txn.put(until, w.byte(is_planned.into()).finish());
    if let Some(submission) = recall.submission {
        let key = tables::waits(&who(&wait.requester, recall.state), submission, recall.id);
        txn.put(key, Vec::new());
    }
}

/// Whether what waits, by its row on the list by time, waits for that time alone.
pub(crate) fn is_planned(row: &[u8]) -> Result<bool, Damaged> {
    Ok(Reader::of_version(row, 1)?.byte()? != 0)
}

/// Takes a recall off the lists of those that wait, unless something has happened to it since it
/// was read.
pub(crate) fn end_in(txn: &mut Transaction<'_>, held: &Held) -> Result<(), NotSealed> {
    let id = held.recall.id;
    if txn.get(&tables::wait(id))?.as_deref() != Some(&held.row) {
        return Err(NotSealed::Meanwhile);
    }
    txn.delete(tables::waits_until(held.wait.awaited.until(), id));
    if let Some(submission) = held.recall.submission {
        txn.delete(tables::waits(
            &who(&held.wait.requester, held.recall.state),
            submission,
            id,
        ));
    }
    Ok(())
}

/// Notes that whoever a recall waits for has been written to.
pub(crate) fn told_in(txn: &mut Transaction<'_>, held: &Held) -> Result<bool, RecallError> {
    if txn.get(&tables::wait(held.recall.id))?.as_deref() != Some(&held.row) {
        return Ok(false);
    }
    let wait = Wait {
        told: true,
        ..held.wait.clone()
    };
    txn.put(tables::wait(held.recall.id), wait.encode());
    Ok(true)
}

/// What tells one requester from another, and what they wait for themselves from what only its time
/// has to come for.
fn who(requester: &Requester, state: State) -> [u8; 16] {
    let kind = if state == State::Planned {
        "planned"
    } else {
        ""
    };
    match requester.account {
        Some(account) => RecallId::of_text(Some(account), kind).0,
        None => RecallId::of_text(None, &format!("{kind} {}", requester.name)).0,
    }
}

fn write_text(w: &mut Writer, text: Option<&String>) {
    w.option(text, |w, text| {
        w.text(text);
    });
}

fn write_account(w: &mut Writer, account: Option<AccountId>) {
    w.option(account, |w, account| {
        w.number(account.0.into());
    });
}

fn write_flag(w: &mut Writer, flag: Option<bool>) {
    w.option(flag, |w, flag| {
        w.byte(flag.into());
    });
}

fn write_requester(w: &mut Writer, requester: &Requester) {
    write_account(w, requester.account);
    w.text(&requester.name);
    write_authentication(w, &requester.authentication);
}

/// Writes how somebody had proved who they are.
pub(crate) fn write_authentication(w: &mut Writer, facts: &Authentication) {
    let number = |w: &mut Writer, n: u64| {
        w.number(n);
    };
    w.text(&facts.mechanism).list(&facts.factors, |w, factor| {
        w.text(factor);
    });
    w.option(facts.step_up_age_ms, number);
    write_text(w, facts.peer.as_ref());
    w.text(&facts.protocol);
    write_flag(w, facts.tls);
    write_text(w, facts.device.client.as_ref());
    w.option(facts.device.first_seen_age_ms, number);
    write_flag(w, facts.device.trusted);
}

fn read_requester(r: &mut Reader<'_>) -> Result<Requester, Damaged> {
    Ok(Requester {
        account: r.option(|r| r.number32().map(AccountId))?,
        name: r.text()?,
        authentication: read_authentication(r)?,
    })
}

/// Reads how somebody had proved who they are.
pub(crate) fn read_authentication(r: &mut Reader<'_>) -> Result<Authentication, Damaged> {
    let flag = |r: &mut Reader<'_>| r.byte().map(|flag| flag != 0);
    Ok(Authentication {
        mechanism: r.text()?,
        factors: r.list(Reader::text)?,
        step_up_age_ms: r.option(Reader::number)?,
        peer: r.option(Reader::text)?,
        protocol: r.text()?,
        tls: r.option(flag)?,
        device: Device {
            client: r.option(Reader::text)?,
            first_seen_age_ms: r.option(Reader::number)?,
            trusted: r.option(flag)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_all_that_the_question_needs_again() {
        let device = Device {
            client: Some("mutt".into()),
            first_seen_age_ms: Some(4),
            trusted: Some(false),
        };
        let wait = Wait {
            awaited: Awaited::Approval {
                approvers: 2,
                until: Timestamp(9),
            },
            requester: Requester {
                account: Some(AccountId(3)),
                name: "anna@example.org".into(),
                authentication: Authentication {
                    mechanism: "PLAIN".into(),
                    factors: vec!["password".into()],
                    step_up_age_ms: Some(7),
                    peer: Some("192.0.2.1".into()),
                    protocol: "imap".into(),
                    tls: Some(true),
                    device,
                },
            },
            requests_before: 4,
            approvals: vec![Approval {
                by: Requester {
                    account: None,
                    name: "root".into(),
                    authentication: Authentication::default(),
                },
                at: Timestamp(5),
                reason: Some("yes".into()),
                lapsed: true,
            }],
            ended: Some(Ended {
                by: None,
                at: Timestamp(6),
                reason: None,
            }),
            told: true,
        };
        assert_eq!(Wait::decode(&wait.encode()), Ok(wait.clone()));
        let other = Requester {
            account: None,
            ..wait.requester.clone()
        };
        let state = State::AwaitingApproval;
        assert_ne!(who(&wait.requester, state), who(&other, state));
        assert_ne!(who(&other, State::Planned), who(&other, state));
    }
}
