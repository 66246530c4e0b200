//! SORT and UID SORT (RFC 5256 3), by displayed names too (RFC 5957), with RETURN (ESORT of
//! RFC 5267).
//!
//! Invariant: what a message is compared by is packed into octets that compare the same way, so
//! that the whole is one sort however many criteria there are; ties go by sequence number. It
//! serves no content, and messages that are sealed have no place in the order.

use std::sync::Arc;

use tern_base::Modseq;
use tern_mailbox::Entry;
use tern_mime::{Address, MessageView};

use super::answer::{Answer, Failure, Sync};
use super::budget::StepBudget;
use super::collation::collated;
use super::held::Held;
use super::run::{Progress, Task};
use super::search::{Find, Gather, decoded, names_modseq};
use super::{Context, Here, Session};
use crate::command::Tag;
use crate::respond::data::Esearch;
use crate::search::{Ends, SearchReturn, Sort, SortKey};
use crate::sequence::ranges_of;

/// A SORT of which a part is done.
pub(super) struct SortTask {
    uid: bool,
    tag: Tag,
    /// `None` for the untagged SORT.
    returns: Option<SearchReturn>,
    criteria: Vec<(bool, SortKey)>,
    names_modseq: bool,
    /// The newest of what was found, and those of the first and the last in order.
    modseq: Modseq,
    ends: Ends<Modseq>,
    /// Octets that what is compared takes, and the memory for them.
    octets: u64,
    held: Held,
    phase: Phase,
}

enum Phase {
    Finding(Box<Find>),
    Reading {
        gather: Gather,
        keys: Vec<(Box<[u8]>, u32, Modseq)>,
    },
    /// The order, and how many of it were written where the response line is open.
    Writing {
        order: Vec<u32>,
        written: Option<usize>,
    },
}

impl Session {
    pub(super) fn sort(
        &mut self,
        sort: Sort,
        tag: &Tag,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        self.here()?;
        let names_modseq = names_modseq(&sort.key);
        if names_modseq {
            self.enable_condstore();
        }
        let viewer = self.viewer();
        let here = self.here()?;
        let returns = sort.returns.map(SearchReturn::or_all);
        let find = Find::new(&sort.key, here.selected, viewer, cx.now);
        if returns.is_some_and(|returns| returns.save) {
            // RFC 5182 2.1: a search that fails leaves nothing saved.
            here.selected.saved = Arc::default();
        }
        Ok(Task::Sort(SortTask {
            uid: sort.uid,
            tag: tag.clone(),
            returns,
            criteria: sort.criteria,
            names_modseq,
            modseq: Modseq(0),
            ends: None,
            octets: 0,
            held: Held::default(),
            phase: Phase::Finding(Box::new(find)),
        }))
    }
}

impl SortTask {
    /// Whether a response line is open.
    pub(super) const fn is_mid_response(&self) -> bool {
        matches!(
            self.phase,
            Phase::Writing {
                written: Some(_),
                ..
            }
        )
    }

    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &Context<'_>,
    ) -> Result<Progress, Failure> {
        let here = session.here()?;
        match &mut self.phase {
            Phase::Finding(find) if !find.is_done() => find.advance(&here, cx)?,
            Phase::Finding(find) => {
                let gather = Gather::new(std::mem::take(&mut find.found))?;
                let keys = Vec::new();
                self.phase = Phase::Reading { gather, keys };
            }
            Phase::Reading { gather, keys } if !gather.is_done() => {
                let (criteria, modseq) = (&self.criteria, &mut self.modseq);
                let octets = &mut self.octets;
                let mut take = |entry: &Entry, parsed: Option<&MessageView<'_>>| {
                    *modseq = entry.modseq.max(*modseq);
                    let key = packed(criteria, entry, parsed);
                    *octets += (key.len() + OF_KEY) as u64;
                    keys.push((key, entry.uid.0, entry.modseq));
                };
                let by_view =
                    |(_, key): &(bool, SortKey)| matches!(key, SortKey::Arrival | SortKey::Size);
                if criteria.iter().all(by_view) {
                    gather.entries(&here, cx, |entry| take(entry, None))?;
                } else {
                    gather.messages(&here, cx, |entry, parsed| take(entry, Some(parsed)))?;
                }
                self.held.grow_to(self.octets, session, cx)?;
            }
            Phase::Reading { keys, .. } => {
                // UIDs ascend as sequence numbers do.
                keys.sort_unstable();
                let (first, last) = (keys.first(), keys.last());
                self.ends = first.zip(last).map(|(first, last)| (first.2, last.2));
                let order = keys.iter().map(|(_, uid, _)| *uid).collect();
                let written = None;
                self.phase = Phase::Writing { order, written };
            }
            Phase::Writing { .. } => return Ok(self.write(here, &cx.budget)),
        }
        Ok(Progress::More)
    }

    fn write(&mut self, here: Here<'_>, budget: &StepBudget) -> Progress {
        let Phase::Writing { order, written } = &mut self.phase else {
            return Progress::More;
        };
        let selected = here.selected;
        let out = here.out;
        let number = |uid: u32| if self.uid { uid } else { selected.number(uid) };
        let modseqs = self.ends.filter(|_| self.names_modseq);
        // RFC 5267 3.1: the first and the last in the order.
        let ends = order.first().copied().zip(order.last().copied());
        if let Some(returns) = self.returns {
            let all = returns
                .all
                .then(|| ranges_of(order.iter().map(|uid| number(*uid))));
            let result = Esearch {
                uid: self.uid,
                min: ends.filter(|_| returns.min).map(|(first, _)| number(first)),
                max: ends.filter(|_| returns.max).map(|(_, last)| number(last)),
                all: all.as_deref(),
                partial: None,
                count: returns
                    .count
                    .then(|| u32::try_from(order.len()).unwrap_or(u32::MAX)),
                modseq: modseqs.map(|ends| returns.told_modseq(ends, self.modseq).0),
            };
            if returns.tells() {
                out.esearch(&self.tag, &result);
            }
            if returns.save {
                let saved = returns.saved_part(ends, None);
                let all = || order.iter().copied().collect();
                selected.saved = Arc::new(saved.unwrap_or_else(all));
            }
            return Progress::Done(answer(self.uid));
        }
        let start = written.unwrap_or_else(|| {
            out.raw(b"* SORT");
            0
        });
        let room = (budget.room(out) / 8).max(1);
        let mut left = order.iter().skip(start);
        for uid in left.by_ref().take(room) {
            out.byte(b' ').number(number(*uid));
        }
        if left.next().is_some() {
            *written = Some(start + room);
            return Progress::More;
        }
        *written = None;
        if modseqs.is_some() {
            out.raw(b" (MODSEQ ").number(self.modseq.0).byte(b')');
        }
        out.end_line();
        Progress::Done(answer(self.uid))
    }
}

/// What a message takes beside the octets that it is compared by.
const OF_KEY: usize = size_of::<(Box<[u8]>, u32, Modseq)>() + 16;

fn answer(uid: bool) -> Answer {
    let sync = if uid { Sync::Full } else { Sync::KeepNumbers };
    Answer::ok("Sort completed", sync)
}

/// What a message is compared by. REVERSE turns the octets of its criterion over.
fn packed(
    criteria: &[(bool, SortKey)],
    entry: &Entry,
    parsed: Option<&MessageView<'_>>,
) -> Box<[u8]> {
    let mut out = Vec::new();
    for (reverse, key) in criteria {
        let start = out.len();
        match (key, parsed) {
            (SortKey::Arrival, _) => out.extend(entry.received.0.to_be_bytes()),
            (SortKey::Size, _) => out.extend(entry.size.to_be_bytes()),
            (_, None) => {}
            // RFC 5256 2.2: the internal date where there is no sent date.
            (SortKey::Date, Some(parsed)) => {
                out.extend(parsed.sent_at.unwrap_or(entry.received).0.to_be_bytes());
            }
            (key, Some(parsed)) => push_text(&mut out, &text(*key, parsed)),
        }
        if *reverse {
            for octet in out.iter_mut().skip(start) {
                *octet = !*octet;
            }
        }
    }
    out.into_boxed_slice()
}

/// The text as it is compared, and an end that is less than all that it holds.
fn push_text(out: &mut Vec<u8>, text: &str) {
    let text = collated(text);
    out.extend(text.bytes().filter(|octet| *octet != 0));
    out.push(0);
}

fn text(key: SortKey, parsed: &MessageView<'_>) -> String {
    let envelope = &parsed.envelope;
    let (list, display) = match key {
        SortKey::From => (&envelope.from, false),
        SortKey::To => (&envelope.to, false),
        SortKey::Cc => (&envelope.cc, false),
        SortKey::DisplayFrom => (&envelope.from, true),
        SortKey::DisplayTo => (&envelope.to, true),
        _ => return parsed.base_subject.to_owned(),
    };
    let Some(first) = list.iter().flatten().next() else {
        return String::new();
    };
    if display {
        return displayed(first);
    }
    // RFC 5256 3: the local part of the first address.
    String::from_utf8_lossy(first.mailbox.unwrap_or_default()).into_owned()
}

/// RFC 5957 3: the display name, or else the address.
fn displayed(address: &Address<&[u8]>) -> String {
    if let Some(name) = address.name.filter(|name| !name.is_empty()) {
        return decoded(name);
    }
    let lossy = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    let mut out = lossy(address.mailbox.unwrap_or_default());
    if let Some(host) = address.host {
        out.push('@');
        out.push_str(&lossy(host));
    }
    out
}
