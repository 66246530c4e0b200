//! What is known to be on record as served, so that serving it again asks the store nothing.
//!
//! Invariant: says no more than the store does. A level is entered after its record is durable;
//! what is forgotten is only asked for again. Known is what was served to one client within one
//! span of [`limits::LAST_SERVED_MS`]. Ids of an account's messages lie close together, so two bytes
//! each in blocks hold a whole mailbox in little room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use quick_cache::sync::Cache;
use tern_base::{AccountId, Timestamp};

use crate::roll::ClientKey;
use crate::{Served, limits};

/// Ids of one block.
const BLOCK: usize = 512;

/// By message id: the level in the high byte, 0 is not known; the share in the low one.
type Block = [AtomicU16; BLOCK];

/// Who was served in which span of time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    account: AccountId,
    viewer: ClientKey,
    span: u64,
    block: u64,
}

/// What is known of all clients.
pub(crate) struct Exposed(Cache<Key, Arc<Block>>);

impl Default for Exposed {
    fn default() -> Self {
        Self(Cache::new(limits::EXPOSED_CACHE_BLOCKS))
    }
}

impl Exposed {
    /// What is known of a client, by a short name, that is served now.
    pub(crate) const fn window(&self, viewer: ClientKey, now: Timestamp) -> Window<'_> {
        let span = now.0 / limits::LAST_SERVED_MS;
        Window {
            exposed: self,
            viewer,
            span,
            last: None,
        }
    }
}

/// What is known of one client in the present span of time.
pub(crate) struct Window<'a> {
    exposed: &'a Exposed,
    viewer: ClientKey,
    span: u64,
    /// The block that was asked for last: neighbours follow each other.
    last: Option<(Key, Arc<Block>)>,
}

impl Window<'_> {
    fn key(&self, copy: &Served) -> Key {
        Key {
            account: copy.account,
            viewer: self.viewer,
            span: self.span,
            block: copy.message.0 / BLOCK as u64,
        }
    }

    /// Whether as much is on record.
    pub(crate) fn has(&mut self, copy: &Served) -> bool {
        let key = self.key(copy);
        if self.last.as_ref().is_none_or(|(last, _)| *last != key) {
            self.last = self.exposed.0.get(&key).map(|block| (key, block));
        }
        let known = self.last.as_ref().and_then(|(_, block)| slot(block, copy));
        known.is_some_and(|known| {
            let [level, share] = known.load(Ordering::Acquire).to_be_bytes();
            level >= copy.level as u8 && copy.share.0 & !share == 0
        })
    }

    /// As much is on record now.
    pub(crate) fn enter(&mut self, copy: &Served) {
        let key = self.key(copy);
        if self.last.as_ref().is_none_or(|(last, _)| *last != key) {
            let fresh = || Ok(Arc::new([const { AtomicU16::new(0) }; BLOCK]));
            let block: Result<_, std::convert::Infallible> =
                self.exposed.0.get_or_insert_with(&key, fresh);
            let Ok(block) = block;
            self.last = Some((key, block));
        }
        let known = self.last.as_ref().and_then(|(_, block)| slot(block, copy));
        if let Some(known) = known {
            let more = |old: u16| {
                let [level, share] = old.to_be_bytes();
                let level = level.max(copy.level as u8);
                Some(u16::from_be_bytes([level, share | copy.share.0]))
            };
            let _ = known.fetch_update(Ordering::Release, Ordering::Relaxed, more);
        }
    }
}

fn slot<'b>(block: &'b Block, copy: &Served) -> Option<&'b AtomicU16> {
    block.get((copy.message.0 % BLOCK as u64) as usize)
}

#[cfg(test)]
mod tests {
    use tern_base::{ContentDigest, MessageId, OriginId};

    use super::*;
    use crate::ExposureLevel::{self, Attachment, Body, Headers};
    use crate::Share;

    fn copy(account: u32, message: u64, level: ExposureLevel, share: u8) -> Served {
        Served {
            account: AccountId(account),
            message: MessageId(message),
            digest: ContentDigest([0; 16]),
            origin: OriginId([0; 16]),
            carries: false,
            level,
            share: Share(share),
        }
    }

    #[test]
    fn a_level_includes_the_lower_ones_and_is_never_lowered() {
        let known = Exposed::default();
        let mut known = known.window([1; 16], Timestamp(5));
        assert!(!known.has(&copy(1, 511, Headers, 0)));
        known.enter(&copy(1, 511, Body, 0b1));
        known.enter(&copy(1, 511, Headers, 0b10));
        for share in [0, 0b1, 0b10, 0b11] {
            assert!(known.has(&copy(1, 511, Headers, share)));
            assert!(known.has(&copy(1, 511, Body, share)));
        }
        assert!(!known.has(&copy(1, 511, Attachment, 0)));
        assert!(!known.has(&copy(1, 511, Body, 0b100)));
        for (account, message) in [(1, 510), (1, 1023), (2, 511)] {
            assert!(!known.has(&copy(account, message, Headers, 0)));
        }
    }

    #[test]
    fn each_client_and_each_span_of_time_has_its_own() {
        let known = Exposed::default();
        let now = Timestamp(5);
        known.window([1; 16], now).enter(&copy(1, 511, Body, 0));
        assert!(known.window([1; 16], now).has(&copy(1, 511, Body, 0)));
        assert!(!known.window([2; 16], now).has(&copy(1, 511, Body, 0)));
        let later = now.plus_millis(limits::LAST_SERVED_MS);
        assert!(!known.window([1; 16], later).has(&copy(1, 511, Body, 0)));
    }
}
