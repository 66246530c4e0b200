//! What is left after a kill, held against the ledger.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tern_interop::Tern;
use tern_interop::house::address;
use tern_interop::line::Reply;

use crate::identity::{Place, Seen};
use crate::ledger::{Ledger, Said, Submission};
use crate::load::RECIPIENTS;
use crate::session::{Result, expect_ok, imap, is_whole, number_after, token_of};

/// How many copies of each token somebody has, by folder.
type Copies = BTreeMap<String, BTreeMap<String, usize>>;

/// What everybody has.
pub(crate) struct Found {
    copies: BTreeMap<&'static str, Copies>,
    /// UIDs of the watcher's inbox.
    uids: BTreeSet<u32>,
    /// What each mailbox says of its UIDs.
    pub(crate) seen: BTreeMap<Place, Seen>,
    /// Messages that are not whole.
    torn: Vec<String>,
}

/// Reads every folder of everybody: every token, and the whole of what this round brought.
pub(crate) fn look(tern: &Tern, round: u64) -> Result<Found> {
    let mut found = Found {
        copies: BTreeMap::new(),
        uids: BTreeSet::new(),
        seen: BTreeMap::new(),
        torn: Vec::new(),
    };
    let fresh = format!("k{round}");
    for name in RECIPIENTS {
        let mut line = imap(tern, name)?;
        let mut copies = Copies::new();
        for folder in ["INBOX", "Archive", "Copies", "Box", "Sent", "Trash"] {
            let examined = line.imap(&format!("EXAMINE {folder}"))?;
            if !examined.is_ok() {
                continue;
            }
            let mut seen = seen_in(&examined);
            let header = "UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (X-Token)])";
            let mut whole = Vec::new();
            for answer in line.imap(header)?.untagged {
                let uid = number_after(&answer, "UID ").filter(|_| answer.contains(" FETCH "));
                let (Some(uid), Some(token)) = (uid, token_of(&answer)) else {
                    continue;
                };
                let places = copies.entry(token.to_owned()).or_default();
                *places.entry(folder.to_owned()).or_default() += 1;
                seen.named.insert(uid, token.to_owned());
                if name == "bob" && folder == "INBOX" {
                    found.uids.insert(uid);
                }
                if token.starts_with(&fresh) {
                    whole.push(uid);
                }
            }
            if let (Some(first), Some(last)) = (whole.first(), whole.last()) {
                let fetch = format!("UID FETCH {first}:{last} (UID BODY.PEEK[])");
                let answers = expect_ok("FETCH", line.imap(&fetch)?)?.untagged;
                let torn = answers.iter().filter_map(|answer| {
                    let token = token_of(answer)?;
                    (!is_whole(answer, token)).then(|| format!("{name}/{folder}: {token}"))
                });
                found.torn.extend(torn);
            }
            found.seen.insert((name, folder.to_owned()), seen);
        }
        found.copies.insert(name, copies);
    }
    Ok(found)
}

/// What the answer to an EXAMINE says of UIDs.
fn seen_in(examined: &Reply) -> Seen {
    let number = |word: &str| {
        let mut lines = examined.untagged.iter();
        lines.find_map(|line| number_after(line, word)).unwrap_or(0)
    };
    Seen {
        validity: number("[UIDVALIDITY "),
        next: number("[UIDNEXT "),
        named: BTreeMap::new(),
    }
}

/// How a recall stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recalled {
    id: String,
    state: String,
    /// The outcomes that some copy has.
    outcomes: BTreeSet<String>,
}

/// Every recall, by the Message-ID of its message.
pub(crate) type Recalls = BTreeMap<String, Recalled>;

/// How each message's recall stands.
pub(crate) fn recalls(tern: &Tern) -> Recalls {
    let rows = tern.recalls();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let recalled = |row: &Value| Recalled {
        id: text(row, "id"),
        state: text(row, "state"),
        outcomes: row["outcomes"]
            .as_object()
            .map_or_else(BTreeSet::new, |tally| tally.keys().cloned().collect()),
    };
    // The newest comes first, so the oldest would win: turn it round.
    rows.iter()
        .rev()
        .map(|row| (text(row, "messageId"), recalled(row)))
        .collect()
}

/// Whether everything that was asked for has come to an end.
pub(crate) fn is_settled(ledger: &Ledger, states: &Recalls, round: u64) -> bool {
    let fresh = format!("k{round}r");
    let open = ["running", "restoring"];
    let mut asked = ledger.submissions.iter().filter(|(token, submission)| {
        token.starts_with(&fresh) && submission.recall == Some(Said::Acknowledged)
    });
    states
        .values()
        .all(|recall| !open.contains(&recall.state.as_str()))
        && asked.all(|(token, _)| states.contains_key(&message_id(token)))
}

fn message_id(token: &str) -> String {
    format!("{token}@example.org")
}

/// Everything here that is not as it must be.
pub(crate) fn judge(ledger: &Ledger, found: &Found, states: &Recalls) -> Vec<String> {
    let mut wrong: Vec<String> = found
        .torn
        .iter()
        .map(|what| format!("not whole: {what}"))
        .collect();
    for uid in ledger.expunged.intersection(&found.uids) {
        wrong.push(format!("bob's UID {uid} was expunged and is there again"));
    }
    for (token, said) in &ledger.appended {
        let count = found.in_folder("carol", token, "Box");
        if count > 1 || (*said == Said::Acknowledged && count != 1) {
            wrong.push(format!(
                "{token}: appended ({said:?}), {count} times in the box"
            ));
        }
    }
    for (token, submission) in &ledger.submissions {
        let state = states.get(&message_id(token));
        let state = state.map(|recall| recall.state.as_str());
        wrong.extend(judge_recall(submission, state).map(|what| format!("{token}: {what}")));
        for what in judge_copies(token, submission, state, found) {
            wrong.push(format!("{token} ({state:?}, {submission:?}): {what}"));
        }
    }
    wrong
}

/// Of what erin had fetched whole before it was taken back in this round: how many messages that were, and
/// those that are not told of as exposed.
pub(crate) fn judge_exposure(
    ledger: &Ledger,
    states: &Recalls,
    round: u64,
    outcome: impl Fn(&str, &str) -> Option<String>,
) -> (usize, Vec<String>) {
    let fresh = format!("k{round}r");
    let served = ledger
        .served
        .iter()
        .filter(|token| token.starts_with(&fresh));
    let mut held = 0;
    let mut wrong = Vec::new();
    for token in served {
        let recall = states.get(&message_id(token));
        let Some(recall) = recall.filter(|recall| recall.state == "done") else {
            continue;
        };
        held += 1;
        let told = outcome(&recall.id, "erin");
        if told.as_deref() != Some("withdrawn-exposed") {
            let what = format!("{token}: erin has fetched it whole, and its recall says {told:?}");
            wrong.push(what);
        }
    }
    (held, wrong)
}

/// The outcome of somebody's copy, as the report has it.
pub(crate) fn outcome_in(report: &Value, name: &str) -> Option<String> {
    let recipient = address(name);
    let copies = report["copies"].as_array()?;
    let copy = copies
        .iter()
        .find(|copy| copy["recipient"] == recipient.as_str())?;
    copy["outcome"].as_str().map(str::to_owned)
}

/// What became of messages to the other server.
pub(crate) struct Outside {
    /// The state of what waits, by recipient.
    pub(crate) queue: BTreeMap<String, String>,
    /// Recipients whose message the other server took.
    pub(crate) taken: BTreeSet<String>,
}

/// Everything about messages to the other server that is not as it must be.
pub(crate) fn judge_outside(ledger: &Ledger, states: &Recalls, outside: &Outside) -> Vec<String> {
    let mut wrong = Vec::new();
    for (token, submission) in &ledger.submissions {
        let Some(address) = &submission.outside else {
            continue;
        };
        let recall = states.get(&message_id(token));
        let (item, taken) = (outside.queue.get(address), outside.taken.contains(address));
        let acknowledged = submission.said == Said::Acknowledged;
        let lost = acknowledged && recall.is_none() && item.is_none() && !taken;
        // An attempt that was under way is pending until its lease has ended.
        let waits = item.is_some_and(|item| item != "in flight");
        let done = recall.is_some_and(|recall| recall.state == "done");
        let lie = recall.is_some_and(|recall| taken && recall.outcomes.contains("prevented"));
        if lost || (done && waits) || lie {
            wrong.push(format!(
                "{token}: {recall:?}, in the queue: {item:?}, taken outside: {taken}"
            ));
        }
    }
    wrong
}

/// Whether a recall came to the end that it must come to.
fn judge_recall(submission: &Submission, state: Option<&str>) -> Option<String> {
    let asked = submission.recall == Some(Said::Acknowledged);
    let expected: &[&str] = match submission.restore {
        Some(Said::Acknowledged) => &["restored"],
        Some(Said::Asked) => &["done", "restored"],
        None => &["done"],
    };
    match state {
        None if asked || submission.reported => {
            Some("asked for a recall, and there is none".into())
        }
        Some(state) if !expected.contains(&state) => Some(format!("the recall is {state}")),
        _ => None,
    }
}

fn judge_copies(
    token: &str,
    submission: &Submission,
    state: Option<&str>,
    found: &Found,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut having = 0;
    for name in RECIPIENTS {
        let is_recipient = submission.recipients.contains(&name);
        let places = found.places(name, token);
        let count: usize = places.values().sum();
        having += usize::from(is_recipient && count > 0);
        if !is_recipient || state == Some("done") {
            if count > 0 {
                wrong.push(format!("{name} has it in {places:?}"));
            }
            continue;
        }
        if name == "dave" {
            wrong.extend(judge_moves(submission, &places));
        } else if count > 1 {
            wrong.push(format!("{name} has it {count} times: {places:?}"));
        }
    }
    let whole = having == submission.recipients.len();
    let lost = submission.said == Said::Acknowledged && !whole;
    if state != Some("done") && (lost || (having > 0 && !whole)) {
        wrong.push(format!("{having} of {:?} have it", submission.recipients));
    }
    wrong
}

/// The mover has it once in inbox or archive, and as often in the copies as it was copied.
fn judge_moves(submission: &Submission, places: &BTreeMap<String, usize>) -> Option<String> {
    let count = |folder: &str| places.get(folder).copied().unwrap_or(0);
    let (inbox, archive, copies) = (count("INBOX"), count("Archive"), count("Copies"));
    let exists = inbox + archive + copies > 0;
    // A copy is a message of its own only until it is copied again: one round may copy it once more.
    let once = !exists || inbox + archive == 1;
    let moved = match submission.moved {
        Some(Said::Acknowledged) => archive == 1,
        Some(Said::Asked) => true,
        None => archive == 0,
    };
    let copied = match submission.copied {
        Some(Said::Acknowledged) => copies >= 1,
        Some(Said::Asked) => true,
        None => copies == 0,
    };
    let right = once && (!exists || (moved && copied));
    (!right).then(|| format!("dave has it in {places:?}"))
}

impl Found {
    fn places(&self, name: &str, token: &str) -> BTreeMap<String, usize> {
        self.copies
            .get(name)
            .and_then(|copies| copies.get(token))
            .cloned()
            .unwrap_or_default()
    }

    fn in_folder(&self, name: &str, token: &str, folder: &str) -> usize {
        self.places(name, token).get(folder).copied().unwrap_or(0)
    }

    /// How many messages everybody has together.
    pub(crate) fn count(&self) -> usize {
        let places = self.copies.values().flat_map(BTreeMap::values);
        places.flat_map(BTreeMap::values).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Event;

    /// One message to bob and dave, acknowledged; what of it is asked further; who has it where.
    fn judged(further: &[Event], state: Option<&str>, places: &[(&'static str, &str)]) -> usize {
        let mut ledger = Ledger::default();
        ledger.note(Event::Submit {
            token: "k0r0".to_owned(),
            recipients: vec!["bob", "dave"],
            outside: None,
            said: Said::Acknowledged,
        });
        further.iter().for_each(|event| ledger.note(event.clone()));
        let mut found = Found {
            copies: BTreeMap::new(),
            seen: BTreeMap::new(),
            uids: BTreeSet::from([7]),
            torn: Vec::new(),
        };
        for (name, folder) in places {
            let places = found
                .copies
                .entry(name)
                .or_default()
                .entry("k0r0".to_owned());
            *places.or_default().entry((*folder).to_owned()).or_default() += 1;
        }
        let states = state.map(|state| (message_id("k0r0"), recalled(state, &[])));
        judge(&ledger, &found, &states.into_iter().collect()).len()
    }

    fn recalled(state: &str, outcomes: &[&str]) -> Recalled {
        Recalled {
            id: String::new(),
            state: state.to_owned(),
            outcomes: outcomes.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    /// One message that goes outside, acknowledged; its recall; whether it waits and was taken.
    fn judged_outside(recall: Option<Recalled>, item: Option<&str>, taken: bool) -> usize {
        let mut ledger = Ledger::default();
        let address = "k0r0@elsewhere.test".to_owned();
        ledger.note(Event::Submit {
            token: "k0r0".to_owned(),
            recipients: Vec::new(),
            outside: Some(address.clone()),
            said: Said::Acknowledged,
        });
        let states = recall.map(|recall| (message_id("k0r0"), recall));
        let item = item.map(|item| (address.clone(), item.to_owned()));
        let outside = Outside {
            queue: item.into_iter().collect(),
            taken: taken.then_some(address).into_iter().collect(),
        };
        judge_outside(&ledger, &states.into_iter().collect(), &outside).len()
    }

    #[test]
    fn what_was_served_must_be_told() {
        let mut ledger = Ledger::default();
        for token in ["k3r0", "k3r1", "k2r0"] {
            ledger.note(Event::Fetched(token.to_owned()));
        }
        let states = Recalls::from([
            (message_id("k3r0"), recalled("done", &[])),
            (message_id("k3r1"), recalled("restored", &[])),
            (message_id("k2r0"), recalled("done", &[])),
        ]);
        let judged = |told: Option<&str>| {
            let outcome = |_: &str, name: &str| {
                assert_eq!(name, "erin");
                told.map(str::to_owned)
            };
            let (held, wrong) = judge_exposure(&ledger, &states, 3, outcome);
            (held, wrong.len())
        };
        assert_eq!(judged(Some("withdrawn-exposed")), (1, 0));
        assert_eq!(judged(Some("withdrawn-unexposed")), (1, 1));
        assert_eq!(judged(None), (1, 1));
    }

    #[test]
    fn what_leaves_is_judged() {
        let done = |outcome: &str| Some(recalled("done", &[outcome]));
        let cases = [
            (None, Some("ready"), false, 0, "it waits"),
            (None, None, true, 0, "it was taken"),
            (None, None, false, 1, "it was lost"),
            (done("prevented"), None, false, 0, "it was stopped"),
            (
                done("prevented"),
                None,
                true,
                1,
                "said to be stopped, and taken",
            ),
            (done("relayed"), None, true, 0, "it was too late"),
            (
                done("pending"),
                Some("in flight"),
                false,
                0,
                "not known yet",
            ),
            (
                done("prevented"),
                Some("ready"),
                false,
                1,
                "recalled, and waits",
            ),
        ];
        for (recall, item, taken, expected, what) in cases {
            assert_eq!(judged_outside(recall, item, taken), expected, "{what}");
        }
    }

    #[test]
    fn what_is_as_it_must_be_passes() {
        let both = [("bob", "INBOX"), ("dave", "INBOX")];
        let moved = Event::Move("k0r0".to_owned(), Said::Acknowledged);
        let recalled = Event::Recall("k0r0".to_owned(), Said::Acknowledged);
        let restored = Event::Restore("k0r0".to_owned(), Said::Acknowledged);
        assert_eq!(judged(&[], None, &both), 0);
        assert_eq!(
            judged(
                std::slice::from_ref(&moved),
                None,
                &[("bob", "INBOX"), ("dave", "Archive")]
            ),
            0
        );
        assert_eq!(
            judged(std::slice::from_ref(&recalled), Some("done"), &[]),
            0
        );
        assert_eq!(judged(&[recalled, restored], Some("restored"), &both), 0);
    }

    #[test]
    fn what_was_lost_or_came_back_is_found() {
        let both = [("bob", "INBOX"), ("dave", "INBOX")];
        let event = |make: fn(String, Said) -> Event| [make("k0r0".to_owned(), Said::Acknowledged)];
        assert_eq!(judged(&[], None, &[("bob", "INBOX")]), 1, "a lost delivery");
        assert_eq!(
            judged(&[], None, &[both[0], both[0], both[1]]),
            1,
            "delivered twice"
        );
        assert_eq!(
            judged(&[], None, &[both[0], both[1], ("erin", "INBOX")]),
            1,
            "to a stranger"
        );
        assert_eq!(
            judged(&event(Event::Recall), Some("done"), &both),
            2,
            "recalled and there"
        );
        assert_eq!(
            judged(&event(Event::Recall), None, &both),
            1,
            "a recall that was forgotten"
        );
        assert_eq!(
            judged(&event(Event::Recall), Some("refused"), &both),
            1,
            "a recall refused"
        );
        assert_eq!(judged(&event(Event::Move), None, &both), 1, "a lost move");
        assert_eq!(judged(&event(Event::Copy), None, &both), 1, "a lost copy");
        let twice = [both[0], both[1], ("dave", "Archive")];
        assert_eq!(
            judged(&event(Event::Move), None, &twice),
            1,
            "moved and there still"
        );
        assert_eq!(
            judged(&[Event::Expunged(7)], None, &both),
            1,
            "a UID that came back"
        );
        assert_eq!(
            judged(&event(Event::Append), None, &both),
            1,
            "a lost append"
        );
    }
}
