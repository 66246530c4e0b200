//! Rows in flight: which rows the commits under way depend on, and which they write.
//!
//! Readers of a row share it, and so do blind writers; a reader and a writer exclude each other,
//! and a commit that both expects and writes a row has it alone. A commit takes all its claims at
//! once or waits, so there is no deadlock.
//!
//! Rows are known by a 64-bit hash: two rows with one hash wait for each other needlessly, and
//! nothing worse.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tern_store::{Batch, Operation};

/// How one commit uses a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    row: u64,
    reads: bool,
    writes: bool,
}

/// How many commits under way use a row.
#[derive(Clone, Copy, Debug, Default)]
struct Users {
    readers: u32,
    writers: u32,
}

impl Users {
    const fn admits(self, claim: Claim) -> bool {
        !(claim.reads && self.writers > 0 || claim.writes && self.readers > 0)
    }
}

/// A hash is its own hash.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

#[derive(Debug, Default)]
struct Table {
    rows: HashMap<u64, Users, BuildHasherDefault<Identity>>,
    waiting: usize,
}

/// The rows that commits under way use.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    table: Mutex<Table>,
    released: Condvar,
}

/// The claims of one commit, given back when dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    claims: &'a Claims,
    held: Vec<Claim>,
}

impl Claims {
    /// Claims every row of a batch; waits while another commit holds one of them the other way.
    pub(crate) fn take(&self, batch: &Batch) -> Held<'_> {
        let wanted = wanted(batch);
        let mut table = self.table();
        while !table.admits(&wanted) {
            table.waiting += 1;
            table = self
                .released
                .wait(table)
                .unwrap_or_else(PoisonError::into_inner);
            table.waiting -= 1;
        }
        for claim in &wanted {
            let users = table.rows.entry(claim.row).or_default();
            users.readers += u32::from(claim.reads);
            users.writers += u32::from(claim.writes);
        }
        Held {
            claims: self,
            held: wanted,
        }
    }

    /// Nothing panics under the lock, so the table behind a poisoned one is whole.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn admits(&self, wanted: &[Claim]) -> bool {
        wanted.iter().all(|claim| {
            self.rows
                .get(&claim.row)
                .is_none_or(|users| users.admits(*claim))
        })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut table = self.claims.table();
        for claim in &self.held {
            if let Some(users) = table.rows.get_mut(&claim.row) {
                users.readers -= u32::from(claim.reads);
                users.writers -= u32::from(claim.writes);
                if users.readers == 0 && users.writers == 0 {
                    table.rows.remove(&claim.row);
                }
            }
        }
        let waiting = table.waiting > 0;
        drop(table);
        if waiting {
            self.claims.released.notify_all();
        }
    }
}

/// One claim for each row of the batch. Blob pieces need none: nothing can expect one.
fn wanted(batch: &Batch) -> Vec<Claim> {
    let mut claims = Vec::with_capacity(batch.expectations().len() + batch.operations().len());
    for expectation in batch.expectations() {
        claims.push(Claim {
            row: hash(&expectation.key),
            reads: true,
            writes: false,
        });
    }
    for operation in batch.operations() {
        if let Operation::Put(key, _) | Operation::Delete(key) = operation {
            claims.push(Claim {
                row: hash(key),
                reads: false,
                writes: true,
            });
        }
    }
    claims.sort_unstable_by_key(|claim| claim.row);
    claims.dedup_by(|next, kept| {
        let same = next.row == kept.row;
        if same {
            kept.reads |= next.reads;
            kept.writes |= next.writes;
        }
        same
    });
    claims
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(expects: &[&[u8]], writes: &[&[u8]]) -> Batch {
        let mut batch = Batch::new();
        for key in expects {
            batch.expect(key.to_vec(), None);
        }
        for key in writes {
            batch.put(key.to_vec(), vec![]);
        }
        batch
    }

    #[test]
    fn readers_share_writers_share_and_they_exclude_each_other() {
        let reads = batch(&[b"a"], &[]);
        let writes = batch(&[], &[b"a"]);
        let both = batch(&[b"a"], &[b"a", b"a"]);
        let other = batch(&[b"b"], &[b"c"]);
        let cases = [
            (&reads, &reads, true),
            (&writes, &writes, true),
            (&reads, &writes, false),
            (&writes, &reads, false),
            (&both, &both, false),
            (&both, &reads, false),
            (&writes, &both, false),
            (&both, &other, true),
        ];
        for (first, second, together) in cases {
            let claims = Claims::default();
            let held = claims.take(first);
            let second = wanted(second);
            assert_eq!(claims.table().admits(&second), together, "{held:?}");
            drop(held);
            assert!(claims.table().admits(&second));
            assert!(claims.table().rows.is_empty());
        }
    }
}
