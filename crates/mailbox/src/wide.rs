//! Letters that came to many accounts at once: what is served of their copies is also on record by letter,
//! so that whoever seals it need not look into every account before its seal.
//!
//! Invariant: of a letter that is among them, every copy that was served anything has its row by letter
//! ([`tables::exposure`]), also while it is in a mailbox. So a letter comes among them only while it
//! has no copy yet, and is in memory before its first copy is committed; it is durable with that. After a
//! restart one of which that commit failed is an ordinary letter, of which some rows are more than
//! needed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use tern_base::ContentDigest;
use tern_store::Engine;

use crate::{MailboxError, limits, tables};

/// The letters.
#[derive(Debug, Default)]
pub(crate) struct Wide {
    any: AtomicBool,
    letters: RwLock<HashSet<ContentDigest>>,
}

impl Wide {
    pub(crate) fn load(engine: &dyn Engine) -> Result<Self, MailboxError> {
        let mut letters = HashSet::new();
        let mut next = Some(tables::whole(tables::WIDE));
        while let Some(range) = next {
            let page = engine.scan(&range, tern_store::limits::MAX_PAGE)?;
            for (key, _) in &page.rows {
                let digest = key.get(1..).and_then(|rest| rest.first_chunk());
                letters.insert(ContentDigest(*digest.ok_or(tern_base::codec::Damaged)?));
            }
            next = page.next;
        }
        Ok(Self {
            any: AtomicBool::new(!letters.is_empty()),
            letters: RwLock::new(letters),
        })
    }

    /// Whether a letter is among them.
    pub(crate) fn has(&self, digest: ContentDigest) -> bool {
        if !self.any.load(Ordering::SeqCst) {
            return false;
        }
        let letters = self.letters.read().unwrap_or_else(PoisonError::into_inner);
        letters.contains(&digest)
    }

    /// Takes a letter among them that is about to come to many accounts, unless it has a copy already, or
    /// they are too many. Answers whether it is among them.
    pub(crate) fn take(
        &self,
        engine: &dyn Engine,
        digest: ContentDigest,
    ) -> Result<bool, MailboxError> {
        if self.has(digest) {
            return Ok(true);
        }
        // Under the lock: who records what was served of a copy asks after that is committed.
        let mut letters = self.letters.write().unwrap_or_else(PoisonError::into_inner);
        self.any.store(true, Ordering::SeqCst);
        let copies = engine.scan(&tables::copies(digest), 1)?;
        if !copies.rows.is_empty() || letters.len() >= limits::MAX_WIDE_LETTERS {
            return Ok(letters.contains(&digest));
        }
        letters.insert(digest);
        Ok(true)
    }
}
