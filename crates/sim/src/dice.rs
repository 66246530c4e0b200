//! Choices: every one follows from the seed.

use tern_base::{Entropy, SeededEntropy};

/// The one source of choices of a run.
#[derive(Clone, Debug)]
pub(crate) struct Dice(SeededEntropy);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut entropy = SeededEntropy::new(seed ^ 0x7465_726e_2d73_696d);
        // Neighbouring seeds part ways.
        let first = entropy.next_u64();
        Self(SeededEntropy::new(first))
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound as u64) as usize
    }

    /// True in so many of a thousand cases.
    pub(crate) fn chance(&mut self, per_mille: usize) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of these; `None` when there are none.
    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.below(of.len())).cloned()
    }

    /// Entropy for one call into the server.
    pub(crate) fn entropy(&mut self) -> SeededEntropy {
        SeededEntropy::new(self.0.next_u64())
    }
}
