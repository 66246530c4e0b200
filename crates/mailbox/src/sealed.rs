//! The seals that readers ask, in memory.
//!
//! Invariant: every seal that is durable and active is here. It is put here before its row is committed, so
//! there is no moment in which the row is durable and content is served. A settled one stays for as long as
//! arrivals ask it, for whoever is half-way through a message that they found before the seal; no list looks
//! for copies under it, since there are none. What was settled before the start is not here: nobody is
//! half-way through anything. Which letters were forgotten lately is known, so that what is about to be served
//! of one is looked for again.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use tern_base::{AccountId, ContentDigest, OriginId, Timestamp};
use tern_store::Engine;

use crate::seal::{Seal, SealTag, read_key};
use crate::{Letter, MailboxError, tables};

/// The seals by their letter.
#[derive(Debug, Default)]
pub(crate) struct SealSet {
    /// How many letters have a seal here: where none has, nothing more is asked.
    letters: AtomicUsize,
    seals: RwLock<HashMap<ContentDigest, Vec<Seal>>>,
    forgotten: AtomicUsize,
    /// Letters of which a seal was forgotten since the last round of forgetting, and in the one before.
    lately: RwLock<[HashSet<ContentDigest>; 2]>,
}

impl SealSet {
    pub(crate) fn load(engine: &dyn Engine) -> Result<Self, MailboxError> {
        let set = Self::default();
        let mut next = Some(tables::whole(tables::SEAL_OF));
        while let Some(range) = next {
            let page = engine.scan(&range, 1_000)?;
            for (key, value) in &page.rows {
                let (digest, tag) = read_key(key)?;
                let seal = Seal::decode(tag, value)?;
                if seal.active {
                    set.insert(digest, seal);
                }
            }
            next = page.next;
        }
        Ok(set)
    }

    /// Whether an account's message that is a letter, or carries it, may not be served.
    pub(crate) fn covers(&self, letter: Letter, account: AccountId, origin: OriginId) -> bool {
        self.any(letter.digest, |seal| {
            seal.covers(account, origin, letter.carriage)
        })
    }

    /// The letters of which copies may still be in an account's mailboxes, under a seal.
    pub(crate) fn active_over(&self, account: AccountId) -> Vec<ContentDigest> {
        if self.letters.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let seals = self.seals.read().unwrap_or_else(PoisonError::into_inner);
        let is_over = |seal: &Seal| seal.active && seal.cover.covers(account);
        let of = seals.iter().filter(|(_, of)| of.iter().any(is_over));
        of.map(|(digest, _)| *digest).collect()
    }

    fn any(&self, digest: ContentDigest, fits: impl Fn(&Seal) -> bool) -> bool {
        if self.letters.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let seals = self.seals.read().unwrap_or_else(PoisonError::into_inner);
        seals.get(&digest).is_some_and(|of| of.iter().any(fits))
    }

    /// Adds a seal. One of the same tag stays beside it: which of the two counts shows only when
    /// the commit is through, and until then both hold.
    pub(crate) fn insert(&self, digest: ContentDigest, seal: Seal) {
        let mut seals = self.seals.write().unwrap_or_else(PoisonError::into_inner);
        seals.entry(digest).or_default().push(seal);
        self.letters.store(seals.len(), Ordering::SeqCst);
    }

    /// Puts what is durable of a tag in the place of whatever is held of it. The row is read under
    /// the lock: of two that do this, the later one sees the later row.
    pub(crate) fn reload(
        &self,
        digest: ContentDigest,
        tag: SealTag,
        durable: impl FnOnce() -> Result<Option<Seal>, MailboxError>,
    ) -> Result<(), MailboxError> {
        let mut seals = self.seals.write().unwrap_or_else(PoisonError::into_inner);
        let durable = durable()?;
        if durable.is_none() {
            self.note_forgotten(digest);
        }
        let of = seals.entry(digest).or_default();
        of.retain(|seal| seal.tag != tag);
        of.extend(durable);
        if of.is_empty() {
            seals.remove(&digest);
        }
        self.letters.store(seals.len(), Ordering::SeqCst);
        Ok(())
    }

    /// Begins a round of forgetting: what was forgotten before the last one is not lately any more.
    pub(crate) fn begin_to_forget(&self) {
        let mut lately = self.lately.write().unwrap_or_else(PoisonError::into_inner);
        let [last, before] = &mut *lately;
        *before = std::mem::take(last);
        self.forgotten.store(before.len(), Ordering::SeqCst);
    }

    /// Whether a seal of a letter was forgotten lately: a copy that was found before it may be gone.
    pub(crate) fn was_forgotten_lately(&self, digest: ContentDigest) -> bool {
        if self.forgotten.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let lately = self.lately.read().unwrap_or_else(PoisonError::into_inner);
        lately.iter().any(|letters| letters.contains(&digest))
    }

    /// To be called before the seal is forgotten.
    fn note_forgotten(&self, digest: ContentDigest) {
        let mut lately = self.lately.write().unwrap_or_else(PoisonError::into_inner);
        let [last, before] = &mut *lately;
        last.insert(digest);
        self.forgotten
            .store(last.len() + before.len(), Ordering::SeqCst);
    }

    /// Those whose time is over.
    pub(crate) fn over(&self, now: Timestamp) -> Vec<(ContentDigest, SealTag)> {
        let seals = self.seals.read().unwrap_or_else(PoisonError::into_inner);
        let of_letter = |(digest, of): (&ContentDigest, &Vec<Seal>)| {
            let over = of.iter().filter(|seal| seal.until <= now);
            over.map(|seal| (*digest, seal.tag)).collect::<Vec<_>>()
        };
        seals.iter().flat_map(of_letter).collect()
    }

    pub(crate) fn remove(&self, digest: ContentDigest, tag: SealTag) {
        self.note_forgotten(digest);
        let mut seals = self.seals.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = seals.get_mut(&digest) {
            of.retain(|seal| seal.tag != tag);
            if of.is_empty() {
                seals.remove(&digest);
            }
        }
        self.letters.store(seals.len(), Ordering::SeqCst);
    }
}
