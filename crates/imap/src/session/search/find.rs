//! What SEARCH, SORT and THREAD share: the messages of the mailbox that pass a search key.
//!
//! Invariant: every look is charged to the step's budget, so that a step ends in time, beside its last
//! message, however many conditions there are. A message that is gone or
//! sealed by the time its content is looked at is not found; what the view alone answers is. Where a
//! text was found in a body, that is on record before the answer is told, whichever way it goes: a
//! message that NOT leaves out says as much of its text as one that is found.

use roaring::RoaringBitmap;
use tern_base::{AccountId, MessageId, Modseq, Timestamp};
use tern_mailbox::{Entry, ExposureLevel, Finds, MailboxError, MessageRow, Served, Share, Viewer};

use super::super::answer::Failure;
use super::super::fetch::Walk;
use super::super::reading::Reading;
use super::super::selected::Selected;
use super::super::{Context, Here};
use super::rows::with_structures;
use super::subject::Subject;
use super::test::Test;
use super::text::Needle;
use crate::limits::{FEW_TEXTS, MESSAGES_PER_PIECE, STRUCTURES_PER_READ};
use crate::search::SearchKey;

/// How far the words of the account were asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    Unasked,
    /// As far as they are in memory. More outlasted a restart.
    InPart,
    /// Those are being read, since many bodies would have to be.
    Loading,
    Known,
}

/// A search of which a part is done.
pub(in crate::session) struct Find {
    test: Test,
    /// What is known of where its texts stand, without reading.
    finds: Finds,
    words: Words,
    walk: Walk,
    /// Candidates whose content is yet to be looked at.
    pending: std::vec::IntoIter<Entry>,
    pub(in crate::session) found: RoaringBitmap,
    /// The newest of what was found.
    pub(super) modseq: Modseq,
    /// Modseqs of the first and the last found.
    pub(super) ends: Option<(Modseq, Modseq)>,
    scratch: String,
    /// Who is told what is found.
    viewer: Viewer,
}

impl Find {
    /// Looks for `key` among the messages that the client knows of.
    pub(in crate::session) fn new(
        key: &SearchKey,
        selected: &Selected,
        viewer: Viewer,
        now: Timestamp,
    ) -> Self {
        Self {
            test: Test::new(key, selected, now),
            finds: Finds::default(),
            words: Words::Unasked,
            walk: Walk::new(selected.known.clone()),
            pending: Vec::new().into_iter(),
            found: RoaringBitmap::new(),
            modseq: Modseq(0),
            ends: None,
            scratch: String::new(),
            viewer,
        }
    }

    /// Whether all messages were looked at.
    pub(in crate::session) fn is_done(&self) -> bool {
        self.pending.len() == 0 && self.walk.is_done()
    }

    /// Looks at some more messages.
    pub(in crate::session) fn advance(
        &mut self,
        here: &Here<'_>,
        cx: &Context<'_>,
    ) -> Result<(), Failure> {
        if self.words == Words::Unasked {
            self.words = match self.ask_words(here, cx) {
                true => Words::InPart,
                false => Words::Known,
            };
        }
        if self.words == Words::Loading {
            let loaded = cx.mailboxes.load_words(here.account)?;
            cx.budget.octets(loaded.octets);
            cx.budget.piece();
            if !loaded.more {
                self.ask_words(here, cx);
                self.words = Words::Known;
            }
            return Ok(());
        }
        if self.pending.len() > 0 {
            return self.look_into(here, cx);
        }
        self.look_at(here, cx)?;
        if self.words == Words::InPart && self.pending.len() > FEW_TEXTS {
            self.words = Words::Loading;
        }
        Ok(())
    }

    /// Asks the words of the account that are in memory. Answers whether there are more.
    fn ask_words(&mut self, here: &Here<'_>, cx: &Context<'_>) -> bool {
        let mut needles = Vec::new();
        self.test.each_in_body(&mut |needle| needles.push(needle));
        if needles.is_empty() {
            return false;
        }
        let words = cx.mailboxes.words(here.account);
        self.finds = words.find(needles.into_iter().flat_map(Needle::pieces));
        words.is_unread()
    }

    /// What the view answers; what it does not is left for [`Self::look_into`].
    fn look_at(&mut self, here: &Here<'_>, cx: &Context<'_>) -> Result<(), Failure> {
        let view = cx
            .mailboxes
            .view(here.account, here.selected.access.mailbox)?;
        let (conditions, out) = (self.test.count(), &*here.out);
        let mut pending = Vec::new();
        let mut hits = Vec::new();
        let (test, finds, scratch) = (&self.test, &self.finds, &mut self.scratch);
        let by = reading(here, cx);
        self.walk.walk(&here.selected.known, &view, |_, _, entry| {
            cx.budget.tests(1, conditions);
            let Some(entry) = entry else {
                return !cx.budget.is_spent(out);
            };
            let known = (finds, &mut *scratch);
            let mut subject = Subject::new(by, entry, known);
            match subject.passes_so_far(test) {
                Some(true) if !subject.is_by_words => hits.push((entry.uid.0, entry.modseq)),
                Some(false) => {}
                Some(true) | None => pending.push(entry.clone()),
            }
            !cx.budget.is_spent(out) && pending.len() < MESSAGES_PER_PIECE
        });
        for (uid, modseq) in hits {
            self.hit(uid, modseq);
        }
        self.pending = pending.into_iter();
        Ok(())
    }

    /// Reads rows and content of the candidates. What a body was found to say is on record before
    /// the answer is told.
    fn look_into(&mut self, here: &Here<'_>, cx: &Context<'_>) -> Result<(), Failure> {
        let looked = self.look_into_some(here, cx)?;
        let by_body: Vec<Served> = looked.iter().filter_map(|one| one.served).collect();
        let recorded = match by_body.is_empty() {
            true => Ok(()),
            false => cx.mailboxes.record_served(&by_body, &self.viewer, cx.now),
        };
        for Looked {
            entry,
            passes,
            served,
        } in looked
        {
            let told = match (served, &recorded) {
                (None, _) | (_, Ok(())) => Ok(()),
                // Some of them: each by itself, so that only those are left out.
                (Some(one), Err(MailboxError::Sealed)) => {
                    cx.mailboxes.record_served(&[one], &self.viewer, cx.now)
                }
                (_, Err(error)) => Err(error.clone()),
            };
            match told {
                Ok(()) if passes => self.hit(entry.uid.0, entry.modseq),
                // Left out, as a sealed one is whatever it says.
                Ok(()) | Err(MailboxError::Sealed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The candidates of which something is told, until the step has done its work.
    fn look_into_some(
        &mut self,
        here: &Here<'_>,
        cx: &Context<'_>,
    ) -> Result<Vec<Looked>, Failure> {
        let candidates = self.pending.as_slice();
        let ids: Vec<_> = candidates.iter().map(|entry| entry.message).collect();
        let rows = cx.mailboxes.messages(here.account, &ids)?;
        cx.budget.rows(ids.len());
        let mut looked = Vec::new();
        let by = reading(here, cx);
        for rows in rows.chunks(STRUCTURES_PER_READ) {
            for known in with_structures(cx.mailboxes, rows)? {
                let Some(entry) = self.pending.next() else {
                    return Ok(looked);
                };
                let Some((row, structure)) = known else {
                    continue;
                };
                let known = (&self.finds, &mut self.scratch);
                let subject = Subject::new(by, &entry, known);
                let mut subject = subject.with_row(row, structure);
                let passes = subject.passes(&self.test);
                cx.budget.octets(subject.work.total());
                let by_body = subject.was_found_in_body();
                match passes {
                    Ok(passes)
                        if (passes || by_body) && !cx.mailboxes.is_sealed(here.account, row) =>
                    {
                        let served = by_body.then(|| served(here.account, entry.message, row));
                        looked.push(Looked {
                            entry,
                            passes,
                            served,
                        });
                    }
                    Ok(_) | Err(MailboxError::Sealed | MailboxError::NoMessage) => {}
                    Err(error) => return Err(error.into()),
                }
                if cx.budget.is_spent(here.out) {
                    return Ok(looked);
                }
            }
        }
        Ok(looked)
    }

    fn hit(&mut self, uid: u32, modseq: Modseq) {
        // Candidates come behind hits of the same step, so not in order.
        let first = self.found.min().is_none_or(|least| uid < least);
        let last = self.found.max().is_none_or(|most| uid > most);
        let (low, high) = self.ends.unwrap_or((modseq, modseq));
        self.ends = Some((
            if first { modseq } else { low },
            if last { modseq } else { high },
        ));
        self.found.insert(uid);
        self.modseq = self.modseq.max(modseq);
    }
}

/// How messages of the selected mailbox are read.
const fn reading<'a>(here: &Here<'_>, cx: &Context<'a>) -> Reading<'a> {
    Reading {
        mailboxes: cx.mailboxes,
        memory: cx.memory,
        owner: here.account,
        holder: here.holder,
    }
}

/// A candidate that passes, or that does not because of what its body says.
struct Looked {
    entry: Entry,
    passes: bool,
    /// What the answer serves of it.
    served: Option<Served>,
}

/// What is served of a message by the answer to a search whose text its body has.
fn served(account: AccountId, message: MessageId, row: &MessageRow) -> Served {
    Served::of((account, message), row, ExposureLevel::Preview, Share::NONE)
}
