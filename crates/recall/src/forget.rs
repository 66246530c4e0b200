//! Forgetting what came in from outside, once it need not be found any more.
//!
//! Invariants:
//! - What was asked for, what is under way and what a hold is about stays: whether a copy of it is held may
//!   show by nothing else. The transaction that forgets asks again.
//! - A look costs no more than so many rows, however many arrivals there are that stay: the next one goes on
//!   behind it. They are looked at from the first one again where what keeps them may have changed: holds, or a day.
//!
//! Refuses to remember between two processes how far it came: a start begins anew.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tern_base::{OriginId, Timestamp};
use tern_store::{Page, Range, Transaction, Verdict};

use crate::arrival::letters;
use crate::hold::Head;
use crate::status::each_row;
use crate::submission::Sent;
use crate::{
    Arrival, Hold, RecallError, Recalls, Submission, limits, onward, quoted, submission, tables,
};

/// Rows that are read at once.
const PAGE: usize = 200;
/// How long what stays is not looked at again, where no hold was changed or has ended.
const ANEW_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// How far the arrivals were looked at.
#[derive(Debug, Default)]
pub(crate) struct Forgetting {
    course: Mutex<Course>,
}

/// One course over the arrivals, the oldest first.
#[derive(Clone, Debug, Default)]
struct Course {
    /// Where it goes on; none where it begins.
    from: Option<Vec<u8>>,
    /// When it began.
    began: Timestamp,
    /// The holds that were in force then.
    holds: Head,
    /// The first time at which one of them ends.
    ends: Option<Timestamp>,
}

impl Course {
    /// Whether what was passed over might not stay any more.
    fn is_over(&self, holds: Head, now: Timestamp) -> bool {
        self.holds != holds
            || self.ends.is_some_and(|ends| ends <= now)
            || now.millis_since(self.began) >= ANEW_AFTER_MS
    }

    fn new(holds: Head, all: &[Hold], now: Timestamp) -> Self {
        let in_force = all.iter().filter(|hold| hold.is_in_force(now));
        Self {
            from: None,
            began: now,
            holds,
            ends: in_force.filter_map(|hold| hold.ends).min(),
        }
    }
}

impl Forgetting {
    fn lock(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recalls {
    /// Forgets what came in so long ago that it need not be found any more, that was never asked for, and
    /// that no hold is about; of so many as one look goes over. To be called now and then; answers how
    /// many there were.
    pub fn forget_arrivals(&self, now: Timestamp) -> Result<u64, RecallError> {
        let (head, all) = self.holds.all_of(&*self.engine.snapshot()?)?;
        let holds: Vec<&Hold> = all.iter().filter(|hold| hold.is_in_force(now)).collect();
        let mut course = self.forgetting.lock().clone();
        if course.is_over(head, now) {
            self.forget_rest()?;
            course = Course::new(head, &all, now);
        }
        let before = Timestamp(now.0.saturating_sub(self.settings.arrivals_ms()));
        let mut range = tables::arrivals_between(Timestamp(0), before);
        if let Some(from) = &course.from {
            range = range.starting_at(from.clone());
        }
        let (mut forgotten, mut looked_at) = (0, 0);
        let mut next: Option<Range> = Some(range).filter(|range| range.start < range.end);
        while let Some(range) = next.take_if(|_| looked_at < limits::ARRIVALS_LOOKED_AT) {
            let page = self.engine.scan(&range, PAGE)?;
            for id in self.free_to_go(&page, &holds)? {
                forgotten += u64::from(self.forget_arrival(id, now)?);
            }
            looked_at += page.rows.len();
            // What comes of age later begins where this ends.
            course.from = Some(
                page.next
                    .as_ref()
                    .map_or(range.end, |next| next.start.clone()),
            );
            *self.forgetting.lock() = course.clone();
            next = page.next;
        }
        Ok(forgotten)
    }

    /// Those of a page that nothing seems to keep. That is only read here: most of what is as old as this
    /// stays.
    fn free_to_go(&self, page: &Page, holds: &[&Hold]) -> Result<Vec<OriginId>, RecallError> {
        let mut free = Vec::new();
        for (key, row) in &page.rows {
            let found = Arrival::of_row(key, row)?.submission;
            if !holds.iter().any(|hold| hold.is_about(&found)) {
                free.push(found.id);
            }
        }
        for row_of in [tables::spoken_of, tables::under_way] {
            if free.is_empty() {
                break;
            }
            let keys: Vec<_> = free.iter().map(|id| row_of(*id)).collect();
            let mut rows = self.engine.get_many(&keys)?.into_iter();
            free.retain(|_| rows.next().is_none_or(|row| row.is_none()));
        }
        Ok(free)
    }

    /// It is forgotten at once: nobody finds one of which a part is gone. What is left of where it led goes after it.
    fn forget_arrival(&self, id: OriginId, now: Timestamp) -> Result<bool, RecallError> {
        let is_forgotten = tern_store::transact(&*self.engine, |txn| {
            let is_asked_for = txn.get(&tables::spoken_of(id))?.is_some();
            let is_kept = is_asked_for || txn.get(&tables::under_way(id))?.is_some();
            let arrival = txn.get(&tables::arrival(id))?;
            let arrival = arrival.map(|row| Arrival::decode(id, &row)).transpose()?;
            let found = arrival.map(|arrival| arrival.submission);
            if is_kept || self.is_held_in(txn, found.as_ref(), now)? {
                return Ok(Verdict::Abandon(false));
            }
            if let Some(submission) = found {
                self.forget_letters_in(txn, &submission)?;
                quoted::forget_in(txn, &submission);
                onward::forget_in(txn, &submission);
            }
            txn.delete(tables::arrival(id));
            forget_some_in(txn, id)?;
            Ok::<_, RecallError>(Verdict::Commit(true))
        })?;
        if is_forgotten {
            self.forget_rest_of(id)?;
        }
        Ok(is_forgotten)
    }

    /// Goes on with what was cut off.
    fn forget_rest(&self) -> Result<(), RecallError> {
        let mut begun = Vec::new();
        each_row(&*self.engine, tables::whole(tables::FORGOTTEN), |key, _| {
            begun.push(tables::read_forgotten(key)?);
            Ok(())
        })?;
        begun.into_iter().try_for_each(|id| self.forget_rest_of(id))
    }

    fn forget_rest_of(&self, id: OriginId) -> Result<(), RecallError> {
        let key = tables::forgotten(id);
        while self.engine.get(&key)?.is_some() {
            tern_store::transact(&*self.engine, |txn| {
                forget_some_in(txn, id)?;
                Ok::<_, RecallError>(Verdict::Commit(()))
            })?;
        }
        Ok(())
    }

    /// Forgets that an arrival was the first to bring its letters, but for those of which there is a
    /// copy: that one is still nobody's here to take back.
    fn forget_letters_in(
        &self,
        txn: &mut Transaction<'_>,
        submission: &Submission,
    ) -> Result<(), RecallError> {
        for digest in letters(submission) {
            let key = tables::letter(digest);
            let known = txn.get(&key)?.map(|row| Sent::decode(&row)).transpose()?;
            let is_first = known.is_some_and(|known| known.latest == submission.id);
            if is_first
                && self.mailboxes.first_copies(digest, 1)?.is_empty()
                && self.mailboxes.carriers(digest)?.is_empty()
            {
                txn.delete(key);
            }
        }
        Ok(())
    }
}

/// Forgets some rows of where an arrival led; while there are more, a mark leads to them.
fn forget_some_in(txn: &mut Transaction<'_>, id: OriginId) -> Result<(), RecallError> {
    match submission::forget_targets_in(txn, id, limits::FORGOTTEN_AT_ONCE)? {
        true => txn.put(tables::forgotten(id), Vec::new()),
        false => txn.delete(tables::forgotten(id)),
    }
    Ok(())
}
