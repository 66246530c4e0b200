//! What is known to be on record as served, so that serving it again asks the store nothing.
//!
//! Invariant: says no more than the store does. A level is entered after its record is durable;
//! what is forgotten is only asked for again. Ids of an account's messages lie close together, so
//! one byte each in blocks holds a whole mailbox in little room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use quick_cache::sync::Cache;
use tern_base::{AccountId, MessageId};

use crate::{ExposureLevel, limits};

/// Ids of one block.
const BLOCK: usize = 512;

type Block = [AtomicU8; BLOCK];

/// The levels by account and message; 0 is not known.
pub(crate) struct Exposed(Cache<(AccountId, u64), Arc<Block>>);

impl Default for Exposed {
    fn default() -> Self {
        Self(Cache::new(limits::EXPOSED_CACHE_BLOCKS))
    }
}

impl Exposed {
    /// Whether as much is on record.
    pub(crate) fn has(&self, account: AccountId, message: MessageId, level: ExposureLevel) -> bool {
        let block = self.0.get(&(account, message.0 / BLOCK as u64));
        let slot = block.as_deref().and_then(|block| slot(block, message));
        slot.is_some_and(|known| known.load(Ordering::Acquire) >= level as u8)
    }

    /// As much is on record now.
    pub(crate) fn enter(&self, account: AccountId, message: MessageId, level: ExposureLevel) {
        let key = (account, message.0 / BLOCK as u64);
        let fresh = || Ok(Arc::new([const { AtomicU8::new(0) }; BLOCK]));
        let block: Result<_, std::convert::Infallible> = self.0.get_or_insert_with(&key, fresh);
        let Ok(block) = block;
        if let Some(known) = slot(&block, message) {
            known.fetch_max(level as u8, Ordering::Release);
        }
    }
}

fn slot(block: &Block, message: MessageId) -> Option<&AtomicU8> {
    block.get((message.0 % BLOCK as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_includes_the_lower_ones_and_is_never_lowered() {
        use ExposureLevel::{Attachment, Body, Headers};
        let known = Exposed::default();
        let (account, message) = (AccountId(1), MessageId(511));
        assert!(!known.has(account, message, Headers));
        known.enter(account, message, Body);
        known.enter(account, message, Headers);
        assert!(known.has(account, message, Headers) && known.has(account, message, Body));
        assert!(!known.has(account, message, Attachment));
        for other in [
            (account, MessageId(510)),
            (account, MessageId(1023)),
            (AccountId(2), message),
        ] {
            assert!(!known.has(other.0, other.1, Headers), "{other:?}");
        }
    }
}
