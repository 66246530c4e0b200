//! Rows of jobs: fan-outs too large for one transaction. Table bytes 0x61 to 0x63.
//!
//! | table | key after the table byte | value after the version byte |
//! |---|---|---|
//! | 0x61 job | origin 16 | [`Job`] |
//! | 0x62 plan | origin 16, row u32 | entries |
//! | 0x63 reports | origin 16, row u32 | reports that the sender is owed |
//!
//! A job that was begun holds one reference to its content. It has the plan rows from its cursor
//! on, and the report rows that it counts.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{BlobId, ContentDigest, EmailAddress, OriginId};
use tern_mailbox::SealTag;
use tern_store::Range;
use tern_store::key::{Key, KeyReader};

use crate::Refusal;
use crate::entry::{Entry, Facts, read_entries, read_facts, write_entry, write_facts};
use crate::report::{LocalAction, LocalReport};

const JOB: u8 = 0x61;
const PLAN: u8 = 0x62;
const REPORTS: u8 = 0x63;
const VERSION: u8 = 2;
const JOB_VERSION: u8 = 3;

/// How far a job has come before its chunks are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// So many rows of its plan are written. Nothing is owed to anybody.
    Planned(u32),
    /// The message is accepted.
    Begun,
    /// It was never accepted, and its rows are being removed.
    Dropped,
}

/// A fan-out under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) stage: Stage,
    pub(crate) facts: Facts,
    pub(crate) message_id: String,
    pub(crate) blob: BlobId,
    pub(crate) size: u32,
    pub(crate) digest: ContentDigest,
    /// How many plan rows there were.
    pub(crate) rows: u32,
    /// The cursor: the plan row that is next, and the entry in it.
    pub(crate) row: u32,
    pub(crate) offset: u32,
    /// How many entries are done: the number of the next.
    pub(crate) number: u32,
    /// How many of these led anywhere, and how many entries do at all.
    pub(crate) targets: u32,
    pub(crate) all_targets: u32,
    pub(crate) report_rows: u32,
    /// Reports kept, and reports that were too many to keep.
    pub(crate) reports: u32,
    pub(crate) omitted: u32,
    pub(crate) local: u32,
    pub(crate) outside: u32,
    pub(crate) late: Vec<SealTag>,
}

pub(crate) fn job_key(origin: OriginId) -> Vec<u8> {
    Key::table(JOB).array(&origin.0).finish()
}

pub(crate) fn plan_key(origin: OriginId, row: u32) -> Vec<u8> {
    Key::table(PLAN).array(&origin.0).u32(row).finish()
}

pub(crate) fn report_key(origin: OriginId, row: u32) -> Vec<u8> {
    Key::table(REPORTS).array(&origin.0).u32(row).finish()
}

pub(crate) fn jobs() -> Range {
    Range::prefix(vec![JOB])
}

pub(crate) fn plan_of(origin: OriginId) -> Range {
    Range::prefix(Key::table(PLAN).array(&origin.0).finish())
}

pub(crate) fn plans() -> Range {
    Range::prefix(vec![PLAN])
}

pub(crate) fn reports() -> Range {
    Range::prefix(vec![REPORTS])
}

/// The origin of any key, and the row where it has one.
pub(crate) fn read_key(key: &[u8]) -> Result<(OriginId, Option<u32>), Damaged> {
    let mut r = KeyReader::new(key);
    let origin = r.array().map(OriginId).ok_or(Damaged)?;
    Ok((origin, r.u32()))
}

impl Job {
    pub(crate) fn is_begun(&self) -> bool {
        self.stage == Stage::Begun
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(JOB_VERSION);
        match self.stage {
            Stage::Planned(rows) => w.byte(0).number(rows.into()),
            Stage::Begun => w.byte(1),
            Stage::Dropped => w.byte(2),
        };
        write_facts(&mut w, &self.facts);
        w.text(&self.message_id)
            .array(&self.blob.0)
            .number(self.size.into())
            .array(&self.digest.0);
        for number in [
            self.rows,
            self.row,
            self.offset,
            self.number,
            self.targets,
            self.all_targets,
            self.report_rows,
            self.reports,
            self.omitted,
            self.local,
            self.outside,
        ] {
            w.number(number.into());
        }
        w.list(&self.late, |w, tag| {
            w.array(&tag.0);
        });
        w.finish()
    }

    pub(crate) fn decode(origin: OriginId, bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, JOB_VERSION)?;
        let stage = match r.byte()? {
            0 => Stage::Planned(r.number32()?),
            1 => Stage::Begun,
            2 => Stage::Dropped,
            _ => return Err(Damaged),
        };
        Ok(Self {
            stage,
            facts: read_facts(&mut r, origin)?,
            message_id: r.text()?,
            blob: BlobId(r.array()?),
            size: r.number32()?,
            digest: ContentDigest(r.array()?),
            rows: r.number32()?,
            row: r.number32()?,
            offset: r.number32()?,
            number: r.number32()?,
            targets: r.number32()?,
            all_targets: r.number32()?,
            report_rows: r.number32()?,
            reports: r.number32()?,
            omitted: r.number32()?,
            local: r.number32()?,
            outside: r.number32()?,
            late: r.list(|r| r.array().map(SealTag))?,
        })
    }
}

/// As many entries as fit one plan row.
pub(crate) fn encode_plan(entries: &[Entry], most: usize) -> (Vec<u8>, usize) {
    let mut row = Writer::versioned(VERSION).finish();
    let mut taken = 0;
    let mut before = None;
    for entry in entries {
        let mut w = Writer::default();
        write_entry(&mut w, entry, before);
        let bytes = w.finish();
        if taken > 0 && row.len() + bytes.len() > most {
            break;
        }
        row.extend_from_slice(&bytes);
        taken += 1;
        before = Some(entry);
    }
    (row, taken)
}

pub(crate) fn decode_plan(bytes: &[u8]) -> Result<Vec<Entry>, Damaged> {
    read_entries(&mut Reader::of_version(bytes, VERSION)?)
}

/// As many reports of a chunk as fit one row. At least one, where there is any.
pub(crate) fn encode_reports(reports: &[LocalReport], most: usize) -> (Vec<u8>, usize) {
    let mut size = 0;
    let fitting = reports.iter().take_while(|report| {
        let mut w = Writer::default();
        write_report(&mut w, report);
        size += w.finish().len();
        size <= most
    });
    let taken = fitting.count().max(1).min(reports.len());
    let mut w = Writer::versioned(VERSION);
    w.list(reports.get(..taken).unwrap_or(reports), write_report);
    (w.finish(), taken)
}

fn write_report(w: &mut Writer, report: &LocalReport) {
    w.text(&report.recipient.to_string());
    w.option(report.original.as_deref(), |w, original| {
        w.text(original);
    });
    match &report.action {
        LocalAction::Failed(refusal) => w.byte(0).byte(refusal.number()),
        LocalAction::Delivered => w.byte(1),
        LocalAction::Expanded => w.byte(2),
    };
}

pub(crate) fn decode_reports(bytes: &[u8]) -> Result<Vec<LocalReport>, Damaged> {
    Reader::of_version(bytes, VERSION)?.list(|r| {
        Ok(LocalReport {
            recipient: EmailAddress::parse(&r.text()?).map_err(|_| Damaged)?,
            original: r.option(Reader::text)?,
            action: match r.byte()? {
                0 => LocalAction::Failed(Refusal::from_number(r.byte()?)?),
                1 => LocalAction::Delivered,
                2 => LocalAction::Expanded,
                _ => return Err(Damaged),
            },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_that_a_job_keeps_is_read_again() {
        let refusals = (1..).map_while(|number| Refusal::from_number(number).ok());
        let refused: Vec<LocalAction> = refusals.map(LocalAction::Failed).collect();
        assert!(refused.contains(&LocalAction::Failed(Refusal::TooLong)));
        let done = [LocalAction::Delivered, LocalAction::Expanded];
        let report = |action| LocalReport {
            recipient: EmailAddress::parse("bob@example.org").unwrap(),
            original: Some("rfc822;b@example.org".to_owned()),
            action,
        };
        let all: Vec<LocalReport> = refused.into_iter().chain(done).map(report).collect();
        let (row, taken) = encode_reports(&all, usize::MAX);
        assert_eq!(taken, all.len());
        assert_eq!(decode_reports(&row), Ok(all));
    }
}
