//! Every row of a range, one after the other, by whoever may fail at each.
//!
//! Invariant: rows are shown as [`Read::visit`] shows them, without a copy where the engine can; the
//! first error, of the store or of whoever looks, ends it and is the answer.

use std::ops::ControlFlow;

use crate::{Range, Read, StoreError};

/// Loops over a range that can fail at each row.
pub trait ReadExt: Read {
    /// Shows each row of a range, in its order.
    fn each<E: From<StoreError>>(
        &self,
        range: &Range,
        mut look: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let all = self.each_until(range, |key, value| {
            look(key, value).map(ControlFlow::<(), ()>::Continue)
        });
        all.map(drop)
    }

    /// Shows each row of a range, in its order, until one is what is looked for: the answer is what
    /// was made of that one.
    fn each_until<T, E: From<StoreError>>(
        &self,
        range: &Range,
        mut look: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<T>, E>,
    ) -> Result<Option<T>, E> {
        let mut ended = Ok(None);
        self.visit(range, &mut |key, value| {
            ended = match look(key, value) {
                Ok(ControlFlow::Continue(())) => return true,
                Ok(ControlFlow::Break(found)) => Ok(Some(found)),
                Err(error) => Err(error),
            };
            false
        })?;
        ended
    }
}

impl<R: Read + ?Sized> ReadExt for R {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Engine as _, MemEngine};

    #[derive(Debug, PartialEq, Eq)]
    enum Why {
        Store(StoreError),
        Row(u8),
    }

    impl From<StoreError> for Why {
        fn from(error: StoreError) -> Self {
            Self::Store(error)
        }
    }

    /// As many rows as two pages hold.
    fn rows() -> (MemEngine, Range) {
        let engine = MemEngine::new();
        let mut batch = Batch::new();
        for n in 0..=crate::limits::MAX_PAGE as u32 {
            batch.put([&[1][..], &n.to_be_bytes()].concat(), vec![n as u8]);
        }
        engine.commit(batch).unwrap();
        (engine, Range::prefix(vec![1]))
    }

    #[test]
    fn each_row_is_shown_once_in_its_order() {
        let (engine, range) = rows();
        let mut seen = Vec::new();
        let all = engine.each(&range, |key, value| {
            seen.push((key.to_vec(), value.to_vec()));
            Ok::<_, StoreError>(())
        });
        assert_eq!(all, Ok(()));
        assert_eq!(seen.len(), crate::limits::MAX_PAGE + 1);
        assert!(seen.is_sorted_by(|one, next| one.0 < next.0));
    }

    #[test]
    fn what_is_looked_for_and_what_fails_end_it() {
        let (engine, range) = rows();
        let mut shown = 0;
        let mut until = |wanted: u8, found: Result<ControlFlow<u8>, Why>| {
            shown = 0;
            let mut found = Some(found);
            let ended = engine.each_until(&range, |_, value| {
                shown += 1;
                match value == [wanted] {
                    true => found.take().unwrap_or(Ok(ControlFlow::Continue(()))),
                    false => Ok(ControlFlow::Continue(())),
                }
            });
            (ended, shown)
        };
        assert_eq!(until(2, Ok(ControlFlow::Break(7))), (Ok(Some(7)), 3));
        assert_eq!(until(2, Err(Why::Row(2))), (Err(Why::Row(2)), 3));
        let all = crate::limits::MAX_PAGE + 1;
        assert_eq!(until(2, Ok(ControlFlow::Continue(()))), (Ok(None), all));
    }
}
