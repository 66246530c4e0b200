//! Rows that are read often and written seldom (who has an address, whether an account is open):
//! kept so that they need not be looked for in the write buffers and table files again.
//!
//! A row is kept with a version that it was read at. While nobody has touched it since
//! ([`Touched`]) it is what the newest state holds, and what a snapshot holds that was not made
//! before the row's last change. Absent rows are not kept, nor rows that were written a moment ago.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tern_store::StoreError;

use crate::touched::{Slot, Touched};

/// What is kept, in bytes of keys and values.
const MAX_BYTES: u64 = 16 << 20;
/// About how many rows that is.
const ROWS: usize = 100_000;
/// Longer values are not kept, in bytes.
const MAX_VALUE: usize = 1024;
/// A row is not kept until so many groups of commits have left it alone: it is likely to be one
/// that each change of its account writes.
const LULL: u64 = 1_000;

/// The rows.
pub(crate) struct Kept(Cache<Box<[u8]>, Row, Bytes>);

#[derive(Clone)]
struct Row {
    version: u64,
    value: Arc<[u8]>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Box<[u8]>, Row> for Bytes {
    fn weight(&self, key: &Box<[u8]>, row: &Row) -> u64 {
        (key.len() + row.value.len()) as u64 + 100
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self(Cache::with_weighter(ROWS, MAX_BYTES, Bytes))
    }
}

impl Kept {
    /// The value of a row: of the snapshot of this version, or else the newest. `read` asks the
    /// database.
    pub(crate) fn get(
        &self,
        touched: &Touched,
        snapshot: Option<u64>,
        key: &[u8],
        read: impl FnOnce() -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let slot = Slot::of(key);
        if let Some(row) = self.0.get(key) {
            let since = snapshot.map_or(row.version, |version| version.min(row.version));
            if touched.untouched(slot, since) {
                return Ok(Some(row.value.to_vec()));
            }
        }
        // Before the read: the value is of this version or a later one, and if later, touched.
        let version = snapshot.unwrap_or_else(|| touched.version());
        let value = read()?;
        if let Some(value) = value.as_deref().filter(|value| value.len() <= MAX_VALUE)
            && touched.untouched(slot, version.saturating_sub(LULL))
        {
            let value = value.into();
            self.0.insert(key.into(), Row { version, value });
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a row whose value in the database is `stored`; what came, and whether it was asked.
    fn read(kept: &Kept, touched: &Touched, snapshot: Option<u64>, stored: &str) -> (String, bool) {
        let mut asked = false;
        let value = kept.get(touched, snapshot, b"key", || {
            asked = true;
            Ok(Some(stored.as_bytes().to_vec()))
        });
        let value = value.unwrap().unwrap();
        (String::from_utf8(value).unwrap(), asked)
    }

    fn write(touched: &Touched, key: &[u8]) {
        let group = touched.begin();
        touched.note(Slot::of(key), group);
        touched.publish(group);
    }

    #[test]
    fn a_row_is_kept_until_it_is_touched() {
        let (kept, touched) = (Kept::default(), Touched::default());
        let old = |asked| ("old".to_owned(), asked);
        let new = |asked| ("new".to_owned(), asked);
        assert_eq!(read(&kept, &touched, None, "old"), old(true));
        let before = Some(touched.version());
        assert_eq!(read(&kept, &touched, None, "?"), old(false));
        assert_eq!(read(&kept, &touched, before, "?"), old(false));
        write(&touched, b"key");
        let after = Some(touched.version());
        assert_eq!(read(&kept, &touched, before, "old"), old(true));
        assert_eq!(read(&kept, &touched, None, "new"), new(true));
        assert_eq!(
            read(&kept, &touched, after, "new"),
            new(true),
            "just written"
        );
        for _ in 0..LULL {
            write(&touched, b"another");
        }
        assert_eq!(read(&kept, &touched, None, "new"), new(true));
        assert_eq!(read(&kept, &touched, None, "?"), new(false));
        assert_eq!(read(&kept, &touched, after, "?"), new(false));
        assert_eq!(
            read(&kept, &touched, before, "old"),
            old(true),
            "an older snapshot"
        );
    }
}
