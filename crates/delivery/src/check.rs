//! Verifies the tables of this crate, and counts what the queue and the jobs hold of contents.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::codec::Damaged;
use tern_base::{BlobId, OriginId};
use tern_store::{Finding, Read, ReadExt as _};

use crate::outbox::rows;
use crate::tables::{self, Job};
use crate::{Delivery, DeliveryError, heard};

/// What a check saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// References to contents that live queue items and jobs hold: what
    /// [`tern_mailbox::Upkeep::check`] asks for.
    pub references: BTreeMap<BlobId, u64>,
}

impl Delivery {
    /// Checks jobs, and counts references. Meant for a store at rest.
    pub fn check(&self) -> Result<Checked, DeliveryError> {
        let snapshot = self.engine.snapshot()?;
        let reader: &dyn Read = &*snapshot;
        let mut checked = Checked::default();
        let mut jobs = BTreeMap::new();
        reader.each(&tables::jobs(), |key, value| {
            let (origin, _) = tables::read_key(key)?;
            let job = Job::decode(origin, value)?;
            if job.is_begun() {
                *checked.references.entry(job.blob).or_default() += 1;
            }
            jobs.insert(origin, job);
            Ok::<_, DeliveryError>(())
        })?;
        let mut rows: BTreeMap<OriginId, (u32, u32)> = BTreeMap::new();
        reader.each(&tables::plans(), |key, value| {
            let (origin, row) = tables::read_key(key)?;
            let row = row.ok_or(Damaged)?;
            tables::decode_plan(value)?;
            rows.entry(origin).or_default().0 += 1;
            let fits = |job: &Job| (job.row..job.rows).contains(&row);
            if !jobs.get(&origin).is_some_and(fits) {
                checked.note(format!("plan row {row} of {origin} belongs to no job"));
            }
            Ok::<_, DeliveryError>(())
        })?;
        reader.each(&tables::reports(), |key, value| {
            let (origin, row) = tables::read_key(key)?;
            let row = row.ok_or(Damaged)?;
            tables::decode_reports(value)?;
            rows.entry(origin).or_default().1 += 1;
            let job = jobs.get(&origin);
            if job.is_none_or(|job| row >= job.report_rows) {
                checked.note(format!("report row {row} of {origin} belongs to no job"));
            }
            Ok::<_, DeliveryError>(())
        })?;
        for (origin, job) in jobs.iter().filter(|(_, job)| job.is_begun()) {
            let found = rows.get(origin).copied().unwrap_or_default();
            if found != (job.rows.saturating_sub(job.row), job.report_rows) {
                checked.note(format!(
                    "job {origin} lacks rows of its plan or its reports"
                ));
            }
        }
        checked.outbox(reader)?;
        let mut from = None;
        loop {
            let page = tern_queue::list(reader, from, 1_000)?;
            for item in page.items {
                *checked.references.entry(item.blob).or_default() += 1;
            }
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(checked),
            }
        }
    }
}

impl Checked {
    /// What holds its content is due, and nothing else is; what was heard was heard of a sending.
    fn outbox(&mut self, reader: &dyn Read) -> Result<(), DeliveryError> {
        let (mut held, mut there) = (BTreeMap::new(), BTreeSet::new());
        reader.each(&rows::all_sendings(), |key, value| {
            let (account, id) = rows::read_row_key(key)?;
            let row = rows::Row::decode(id, value)?;
            if row.kept.is_some() {
                there.insert((account, id));
            }
            if let Some(of) = row.kept.and_then(|kept| kept.held) {
                *self.references.entry(of.blob).or_default() += 1;
                held.insert((of.due, account, id), ());
            }
            Ok::<_, DeliveryError>(())
        })?;
        reader.each(&heard::rows::all(), |key, _| {
            let (account, id) = heard::rows::read_key(key)?;
            if !there.contains(&(account, id)) {
                self.note(format!(
                    "something was heard of {id}, which account {account} has not"
                ));
            }
            Ok::<_, DeliveryError>(())
        })?;
        reader.each(&rows::all_due(), |key, _| {
            if held.remove(&rows::read_due_key(key)?).is_none() {
                self.note("something is due that holds nothing to send".to_owned());
            }
            Ok::<_, DeliveryError>(())
        })?;
        for (_, account, id) in held.keys() {
            self.note(format!("sending {id} of account {account} is never due"));
        }
        Ok(())
    }

    fn note(&mut self, what: String) {
        self.findings.push(Finding(what));
    }
}
