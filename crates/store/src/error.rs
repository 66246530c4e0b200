//! What can go wrong below, and whose fault it is.

use tern_base::Fault;
use tern_base::codec::Damaged;

/// Which of [`crate::limits`] a write is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bound {
    /// Everything that one commit writes.
    #[error("batch")]
    Batch,
    /// One key.
    #[error("key")]
    Key,
    /// One value.
    #[error("value")]
    Value,
    /// One piece of a blob.
    #[error("blob piece")]
    BlobPiece,
}

/// Why a read or a write was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room to write; nothing was written. It may be tried again when there is room.
    #[error("no space left to store")]
    Full,
    /// Too many writers wanted the same rows; nothing was written.
    #[error("too many writers at the same rows")]
    Busy,
    /// The commit's answer was lost: it is durable, or it never happened. Verbs are idempotent by
    /// id, so the caller may try again.
    #[error("the outcome of a commit is unknown")]
    Unknown,
    /// A key, value or batch over [`crate::limits`]: a defect of the caller.
    #[error("{what} of {size} bytes is over the limit")]
    TooLarge {
        /// Which bound.
        what: Bound,
        /// The size that was asked for, in bytes.
        size: usize,
    },
    /// Every number of a kind is given out, and none is given twice.
    #[error("no number is left to give out")]
    Exhausted,
    /// A stored row is not what its writer wrote.
    #[error("a stored row is damaged")]
    Damaged,
    /// The engine reports an error of its own.
    #[error("storage engine: {0}")]
    Engine(String),
}

impl StoreError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Full | Self::Busy | Self::Unknown => Fault::Temporary,
            Self::TooLarge { .. } | Self::Exhausted | Self::Damaged | Self::Engine(_) => {
                Fault::Ours
            }
        }
    }
}

impl From<Damaged> for StoreError {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

/// Why a batch was not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A row that the batch was computed from has changed since; nothing was written.
    #[error("a row changed since it was read")]
    Conflict,
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}
