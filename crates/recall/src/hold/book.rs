//! The holds that there are, and whether one covers a message.
//!
//! They are read once for each change of any of them: the head row counts the changes, and is what
//! a transaction depends on.

use std::sync::{Arc, PoisonError, RwLock};

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{OriginId, Timestamp};
use tern_mailbox::{Keeper, Leaving, MailboxError};
use tern_store::{Page, Range, Read, StoreError, Transaction, limits as store_limits};

use super::{Hold, HoldId};
use crate::arrival::on_record_in;
use crate::{Submission, tables};

/// The holds, as they were read last.
#[derive(Debug, Default)]
pub struct HoldBook {
    known: RwLock<Option<(u64, Arc<[Hold]>)>>,
}

/// How often holds were changed, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) changes: u64,
    pub(crate) count: u64,
}

impl Head {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut w = Writer::versioned(1);
        w.number(self.changes).number(self.count).finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 1)?;
        Ok(Self {
            changes: r.number()?,
            count: r.number()?,
        })
    }
}

/// The head of the holds, in a transaction that then depends on it.
pub(crate) fn head_in(txn: &mut Transaction<'_>) -> Result<Head, StoreError> {
    let row = txn.get(&tables::holds_head())?;
    Ok(row.map_or(Ok(Head::default()), |row| Head::decode(&row))?)
}

impl HoldBook {
    /// Every hold, in a transaction that then depends on all of them.
    pub(crate) fn all_in(&self, txn: &mut Transaction<'_>) -> Result<Arc<[Hold]>, StoreError> {
        let head = head_in(txn)?;
        self.all(head, |range| txn.scan(range, store_limits::MAX_PAGE))
    }

    /// The head of the holds, and every hold, at one moment.
    pub(crate) fn all_of(&self, reader: &dyn Read) -> Result<(Head, Arc<[Hold]>), StoreError> {
        let row = reader.get(&tables::holds_head())?;
        let head = row.map_or(Ok(Head::default()), |row| Head::decode(&row))?;
        let all = self.all(head, |range| reader.scan(range, store_limits::MAX_PAGE))?;
        Ok((head, all))
    }

    fn all(
        &self,
        head: Head,
        scan: impl Fn(&Range) -> Result<Page, StoreError>,
    ) -> Result<Arc<[Hold]>, StoreError> {
        if head.count == 0 {
            return Ok(Arc::default());
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((changes, all)) = &*known
            && *changes == head.changes
        {
            return Ok(Arc::clone(all));
        }
        drop(known);
        let mut all = Vec::new();
        let mut next = Some(tables::whole(tables::HOLD));
        while let Some(range) = next {
            let page = scan(&range)?;
            for (key, row) in &page.rows {
                let id = HoldId(*key.last_chunk().ok_or(StoreError::Damaged)?);
                all.push(Hold::decode(id, row)?);
            }
            next = page.next;
        }
        let all: Arc<[Hold]> = all.into();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some((head.changes, Arc::clone(&all)));
        Ok(all)
    }
}

impl Keeper for HoldBook {
    fn keeps(
        &self,
        txn: &mut Transaction<'_>,
        leaving: &Leaving<'_>,
        now: Timestamp,
    ) -> Result<bool, MailboxError> {
        let all = self.all_in(txn)?;
        let mut in_force = all.iter().filter(|hold| hold.is_in_force(now)).peekable();
        if in_force.peek().is_none() {
            return Ok(false);
        }
        let submission = on_record_in(txn, leaving.message.origin)?;
        for hold in in_force {
            if hold.fits(leaving, submission.as_ref())? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Hold {
    /// Whether a copy fits: by the submission that it came from, or as it is.
    pub(super) fn fits(
        &self,
        copy: &Leaving<'_>,
        submission: Option<&Submission>,
    ) -> Result<bool, MailboxError> {
        let scope = &self.scope;
        if scope.account.is_some_and(|account| account != copy.account) {
            return Ok(false);
        }
        if !scope.is_about_messages() || submission.is_some_and(|sent| self.fits_submission(sent)) {
            return Ok(true);
        }
        let row = copy.message;
        let is_letter = scope.digest.is_none_or(|digest| digest == row.digest);
        let times = [row.received, time_of(row.origin)];
        if !is_letter || !times.into_iter().any(|at| scope.covers_time(at)) {
            return Ok(false);
        }
        if scope.message_id.is_none() && scope.sender.is_none() && scope.subject.is_none() {
            return Ok(true);
        }
        let structure = copy.structure()?;
        // What can't be read might fit: it is kept.
        let Some(message) = structure.view() else {
            return Ok(true);
        };
        let wanted = scope.message_id.as_deref();
        if wanted.is_some_and(|wanted| message.message_id != Some(wanted)) {
            return Ok(false);
        }
        let subject = message.envelope.subject.unwrap_or_default();
        if !scope.covers_subject(&tern_mime::decode_header_text(subject)) {
            return Ok(false);
        }
        let Some(sender) = &scope.sender else {
            return Ok(true);
        };
        let from = [&message.envelope.from, &message.envelope.sender];
        let mut authors = from.into_iter().flatten().flatten();
        Ok(authors.any(|author| {
            let (Some(local), Some(host)) = (author.mailbox, author.host) else {
                return false;
            };
            let text = [local, b"@", host].concat();
            String::from_utf8_lossy(&text).to_lowercase() == sender.canonical()
        }))
    }
}

/// When a transaction began that brought something: an id begins with its time (RFC 9562 5.7).
fn time_of(origin: OriginId) -> Timestamp {
    let millis = origin.0.iter().take(6);
    Timestamp(millis.fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}
