//! Fan-outs too large for one transaction: the plan is made durable first, then brought where it
//! goes chunk by chunk, each chunk moving the job's cursor in its own transaction.
//!
//! The message is accepted by the commit that marks the job as begun. From there on any number of
//! runners may work on it, one after the other or at once: a chunk counts for whoever commits it.

use std::borrow::Cow;

use tern_base::{AccountId, Entropy, OriginId, Timestamp};
use tern_mailbox::Prepared;
use tern_recall::Target;
use tern_recall::submission::{
    forget_targets_in, reached_in, record_targets_in, refuse_targets_in, target_chunks,
};
use tern_store::{Bound, StoreError, Transaction, Verdict, limits as store_limits, transact};

use crate::accept::Acceptance;
use crate::entry::{Entry, Goal};
use crate::notice::Subject;
use crate::place::{Outcome, Position, targets_of};
use crate::report::Notice;
use crate::tables::{self, Job, Stage};
use crate::{Accepted, Delivery, DeliveryError, Resumed, limits};

/// How often a chunk whose commit lost its answer is tried again.
const UNKNOWN_ATTEMPTS: usize = 3;
/// Rows of a plan, and of where it leads, written in one batch.
const ROWS_PER_BATCH: usize = 16;
/// Plan rows removed in one batch.
const DROPPED_ROWS: usize = 1_000;

/// A row that is written before a job begins.
enum Row<'a> {
    /// Planned entries.
    Plan(u32, Vec<u8>),
    /// Where a submission leads.
    Targets(u32, &'a [Target]),
}

/// What one step of a job did.
enum Step {
    /// A chunk was done, or another runner did it.
    Moved,
    /// Every chunk is done: what is left is to finish.
    AllDone,
    /// There is no such job any more.
    Gone,
}

impl Delivery {
    /// Accepts a message by way of a job: what it comes to, once that is run.
    pub(crate) fn begin_job(&self, acceptance: &Acceptance) -> Result<Accepted, DeliveryError> {
        let job = self.write_plan(acceptance)?;
        self.begin(acceptance, &job)?;
        // Accepted. Whatever happens now, the rest is done by whoever runs it, or by `resume`.
        let count = |wanted: fn(&Goal) -> bool| {
            let entries = acceptance.entries.iter();
            entries.filter(|entry| wanted(&entry.goal)).count()
        };
        Ok(Accepted {
            origin: acceptance.facts.origin,
            message_id: acceptance.message_id(),
            local: count(|goal| matches!(goal, Goal::Local(..))),
            outside: count(|goal| matches!(goal, Goal::Outside(_))),
            late: Vec::new(),
            cut_off: None,
        })
    }

    /// Runs the fan-out of a message that was taken over: what became of it.
    pub fn fan_out(&self, begun: Accepted, now: Timestamp, entropy: &mut dyn Entropy) -> Accepted {
        self.run_begun(begun, None, now, entropy)
    }

    pub(crate) fn run_begun(
        &self,
        begun: Accepted,
        prepared: Option<&Prepared>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Accepted {
        match self.run(begun.origin, prepared, now, entropy) {
            Ok(Some(done)) => done,
            // Another runner finished it, and tells of its seals.
            Ok(None) => begun,
            Err(error) => Accepted {
                cut_off: Some(error),
                ..begun
            },
        }
    }

    /// Writes the plan, and a job that is not begun yet.
    fn write_plan(&self, acceptance: &Acceptance) -> Result<Job, DeliveryError> {
        let prepared = &acceptance.prepared;
        let origin = acceptance.facts.origin;
        let rows = plan_rows(&acceptance.entries);
        let targets = targets_of(&acceptance.facts, &acceptance.entries);
        let mut job = Job {
            stage: Stage::Planned(0),
            facts: acceptance.facts.clone(),
            message_id: acceptance.message_id(),
            blob: prepared.blob,
            size: prepared.size(),
            digest: prepared.digest,
            rows: rows.len() as u32,
            row: 0,
            offset: 0,
            number: 0,
            targets: 0,
            all_targets: targets.len() as u32,
            report_rows: 0,
            reports: 0,
            omitted: 0,
            local: 0,
            outside: 0,
            late: Vec::new(),
        };
        // What an attempt at the same left behind: it was not accepted.
        self.drop_unbegun(origin)?;
        // Where it leads is on record before any copy goes there: a seal that falls half-way
        // speaks for those that are yet to come.
        let plan = (0..).zip(rows).map(|(row, bytes)| Row::Plan(row, bytes));
        let leads = target_chunks(&targets).into_iter();
        let leads = leads.map(|(first, chunk)| Row::Targets(first, chunk));
        let all: Vec<Row<'_>> = plan.chain(leads).collect();
        let mut written = 0;
        for batch in all.chunks(ROWS_PER_BATCH) {
            let before = (written > 0).then(|| job.clone());
            let after = written + batch.len() as u32;
            job.stage = Stage::Planned(after);
            transact(&*self.engine, |txn| {
                // The grace time may have passed meanwhile, and the rows before with it.
                if read_job(txn, origin)? != before {
                    return Err(StoreError::Busy);
                }
                txn.put(tables::job_key(origin), job.encode());
                for row in batch {
                    match row {
                        Row::Plan(row, bytes) => {
                            txn.put(tables::plan_key(origin, *row), bytes.clone());
                        }
                        Row::Targets(first, chunk) => {
                            record_targets_in(txn, origin, *first, chunk);
                        }
                    }
                }
                Ok(Verdict::Commit(()))
            })?;
            written = after;
        }
        Ok(job)
    }

    /// The commit that accepts.
    fn begin(&self, acceptance: &Acceptance, job: &Job) -> Result<(), DeliveryError> {
        let origin = acceptance.facts.origin;
        let begun = Job {
            stage: Stage::Begun,
            ..job.clone()
        };
        let done = transact(&*self.engine, |txn| {
            // The grace time may have passed meanwhile, and the plan with it.
            if read_job(txn, origin)?.as_ref() != Some(job) {
                return Err(StoreError::Busy.into());
            }
            txn.put(tables::job_key(origin), begun.encode());
            self.mailboxes.link_blob_in(txn, &acceptance.prepared, 1)?;
            acceptance.record_in(txn)?;
            reached_in(txn, origin, 0, job.all_targets);
            Ok::<_, DeliveryError>(Verdict::Commit(()))
        });
        match done {
            Err(DeliveryError::Store(StoreError::Unknown)) => {
                match self.engine.get(&tables::job_key(origin))? {
                    Some(row) if Job::decode(origin, &row)?.is_begun() => Ok(()),
                    _ => Err(StoreError::Unknown.into()),
                }
            }
            done => done,
        }
    }

    /// Goes on with fan-outs that were cut off: at start, and now and then. One that can't go on does
    /// not keep back the others.
    pub fn resume(
        &self,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Resumed, DeliveryError> {
        let mut resumed = Resumed::default();
        let mut next = Some(tables::jobs());
        while let Some(range) = next {
            let page = self.engine.scan(&range, 1_000)?;
            for (key, value) in &page.rows {
                let (origin, _) = tables::read_key(key)?;
                match self.resume_one(origin, value, now, entropy) {
                    Ok(done) => resumed.finished.extend(done),
                    Err(error) => resumed.failed.push((origin, error)),
                }
            }
            next = page.next;
        }
        Ok(resumed)
    }

    fn resume_one(
        &self,
        origin: OriginId,
        row: &[u8],
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Accepted>, DeliveryError> {
        let job = Job::decode(origin, row)?;
        if job.is_begun() {
            return self.run(origin, None, now, entropy);
        }
        if now.millis_since(job.facts.received) > limits::UNBEGUN_GRACE_MS {
            self.drop_unbegun(origin)?;
        }
        Ok(None)
    }

    /// Removes a plan that was never accepted: whoever sent the message was not told that it was.
    ///
    /// Whoever still writes the plan reads and changes the job with each batch of rows, and finds
    /// it dropped or gone: no row is written after the last was removed, and none is missed here.
    fn drop_unbegun(&self, origin: OriginId) -> Result<(), DeliveryError> {
        loop {
            let more = transact(&*self.engine, |txn| {
                let Some(job) = read_job(txn, origin)?.filter(|job| !job.is_begun()) else {
                    return Ok::<_, StoreError>(Verdict::Abandon(false));
                };
                let page = txn.scan(&tables::plan_of(origin), DROPPED_ROWS)?;
                for (key, _) in page.rows {
                    txn.delete(key);
                }
                let more = page.next.is_some() || forget_targets_in(txn, origin, DROPPED_ROWS)?;
                let stage = Stage::Dropped;
                match more {
                    false => txn.delete(tables::job_key(origin)),
                    true => txn.put(tables::job_key(origin), Job { stage, ..job }.encode()),
                }
                Ok(Verdict::Commit(more))
            })?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Runs a job to its end. `None` when another runner ended it.
    fn run(
        &self,
        origin: OriginId,
        prepared: Option<&Prepared>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Accepted>, DeliveryError> {
        let mut own = None;
        let mut most = tern_mailbox::limits::CHUNK;
        let mut unknown = 0;
        loop {
            let Some(row) = self.engine.get(&tables::job_key(origin))? else {
                return Ok(None);
            };
            let job = Job::decode(origin, &row)?;
            let prepared = match (prepared, &own) {
                (Some(prepared), _) | (None, Some(prepared)) => prepared,
                (None, None) => own.insert(self.prepare_again(&job, now)?),
            };
            let step = match job.row < job.rows {
                true => self.chunk(&job, prepared, most, now),
                false => self.finish(&job, prepared, now, entropy),
            };
            match step {
                Ok(Step::Moved) => {}
                Ok(Step::AllDone) => return Ok(Some(accepted(job))),
                Ok(Step::Gone) => return Ok(None),
                // The costs are estimates: what does not fit is brought in smaller chunks.
                Err(DeliveryError::Store(StoreError::TooLarge {
                    what: Bound::Batch, ..
                })) if most > 1 && job.row < job.rows => {
                    most /= 2;
                }
                Err(DeliveryError::Store(StoreError::Unknown)) if unknown < UNKNOWN_ATTEMPTS => {
                    unknown += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn prepare_again(&self, job: &Job, now: Timestamp) -> Result<Prepared, DeliveryError> {
        let content = self.mailboxes.read_blob_of(job.blob, job.size)?;
        let mut prepared = self
            .mailboxes
            .prepare_with_digest(content, job.digest, now)?;
        match job.facts.submitter {
            None => self.recognise_again(&mut prepared)?,
            Some(_) => self.attribute_again(&mut prepared, job.facts.origin)?,
        }
        Ok(prepared)
    }

    /// Brings the next entries where they go, at most so many.
    fn chunk(
        &self,
        job: &Job,
        prepared: &Prepared,
        most: usize,
        now: Timestamp,
    ) -> Result<Step, DeliveryError> {
        let origin = job.facts.origin;
        let plan_key = tables::plan_key(origin, job.row);
        let Some(row) = self.engine.get(&plan_key)? else {
            // Another runner was here between the two reads; or damage, which the cursor tells.
            let still = self.engine.get(&tables::job_key(origin))?;
            return match still {
                Some(row) if Job::decode(origin, &row)? == *job => Err(StoreError::Damaged.into()),
                _ => Ok(Step::Moved),
            };
        };
        let entries = tables::decode_plan(&row)?;
        let rest = entries.get(job.offset as usize..).unwrap_or_default();
        let chunk = rest.get(..chunk_length(rest, most)).unwrap_or(rest);
        let accounts: Vec<AccountId> = chunk.iter().filter_map(Entry::account).collect();
        self.mailboxes.transact_unasked(&accounts, |txn| {
            if read_job(txn, origin)?.as_ref() != Some(job) {
                return Ok(Verdict::Abandon(Step::Moved));
            }
            let at = Position {
                number: job.number,
                target: job.targets,
            };
            let outcome = self.place_in(txn, prepared, &job.facts, chunk, at, now)?;
            let mut moved = job.clone();
            if chunk.len() == rest.len() {
                txn.delete(plan_key.clone());
                moved.row += 1;
                moved.offset = 0;
            } else {
                moved.offset += chunk.len() as u32;
            }
            moved.number += chunk.len() as u32;
            moved.targets += outcome.targets;
            reached_in(txn, origin, moved.targets, job.all_targets);
            refuse_targets_in(txn, origin, &outcome.refused)?;
            keep(txn, &mut moved, outcome);
            txn.put(tables::job_key(origin), moved.encode());
            Ok::<_, DeliveryError>(Verdict::Commit(Step::Moved))
        })
    }

    /// Removes a job whose chunks are all done, and tells the sender what is owed.
    fn finish(
        &self,
        job: &Job,
        prepared: &Prepared,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Step, DeliveryError> {
        let origin = job.facts.origin;
        let content = || Ok(Cow::Borrowed(prepared.content()));
        let subject = Subject {
            facts: &job.facts,
            content: &content,
        };
        let told = self.told_of(job.facts.submitter, origin)?;
        self.commit(&subject, told, now, entropy, |txn| {
            if read_job(txn, origin)?.is_none() {
                return Ok((Step::Gone, None));
            }
            let mut reports = Vec::new();
            for row in 0..job.report_rows {
                let key = tables::report_key(origin, row);
                let value = txn.get(&key)?.ok_or(StoreError::Damaged)?;
                reports.extend(tables::decode_reports(&value)?);
                txn.delete(key);
            }
            txn.delete(tables::job_key(origin));
            self.mailboxes.unlink_blob_in(txn, job.blob, now)?;
            let notice = Notice::about(&job.facts, reports, job.omitted as usize);
            Ok((Step::AllDone, notice))
        })
    }
}

/// Adds what a chunk did to its job.
fn keep(txn: &mut Transaction<'_>, job: &mut Job, outcome: Outcome) {
    job.local += outcome.local as u32;
    job.outside += outcome.outside as u32;
    for tag in outcome.late {
        if !job.late.contains(&tag) {
            job.late.push(tag);
        }
    }
    let mut reports = outcome.reports;
    if job.facts.mail_from.is_none() {
        reports.clear();
    }
    let room = limits::MAX_REPORTED.saturating_sub(job.reports as usize);
    job.omitted += reports.len().saturating_sub(room) as u32;
    reports.truncate(room);
    let mut rest = &reports[..];
    while !rest.is_empty() {
        let (row, taken) = tables::encode_reports(rest, limits::REPORT_ROW_BYTES);
        txn.put(tables::report_key(job.facts.origin, job.report_rows), row);
        job.report_rows += 1;
        rest = rest.get(taken..).unwrap_or_default();
    }
    job.reports += reports.len() as u32;
}

fn accepted(job: Job) -> Accepted {
    Accepted {
        origin: job.facts.origin,
        message_id: job.message_id,
        local: job.local as usize,
        outside: job.outside as usize,
        late: job.late,
        cut_off: None,
    }
}

/// Cuts a plan into rows: each within the bound of a value, and no more than one chunk is likely
/// to take.
fn plan_rows(entries: &[Entry]) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    let mut rest = entries;
    while !rest.is_empty() {
        let chunk = rest.get(..chunk_length(rest, tern_mailbox::limits::CHUNK));
        let (row, taken) = tables::encode_plan(chunk.unwrap_or(rest), limits::PLAN_ROW_BYTES);
        rows.push(row);
        rest = rest.get(taken.max(1)..).unwrap_or_default();
    }
    rows
}

/// How many entries one transaction takes: at least one, at most `most`.
fn chunk_length(entries: &[Entry], most: usize) -> usize {
    let mut cost = 0;
    let fitting = entries.iter().take(most).take_while(|entry| {
        cost += entry.cost();
        cost <= limits::CHUNK_BYTES
    });
    fitting.count().max(1).min(entries.len())
}

fn read_job(txn: &mut Transaction<'_>, origin: OriginId) -> Result<Option<Job>, StoreError> {
    let row = txn.get(&tables::job_key(origin))?;
    Ok(row.map(|row| Job::decode(origin, &row)).transpose()?)
}

/// A batch of plan rows stays within the store's bound.
const _: () = assert!(ROWS_PER_BATCH * (limits::PLAN_ROW_BYTES + 4_096) <= store_limits::MAX_BATCH);
