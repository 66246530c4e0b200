//! What a recall needs of the shell: threads, and the secrets that second factors are looked at with.

use tern_base::Timestamp;
use tern_directory::CodeRefused;
use tern_recall::RecallId;

use crate::Caller;

/// What only the shell can do for a recall.
pub trait RecallDesk: Sync {
    /// Carries out what is durably asked for, as far as that can be done now; the rest is left to the
    /// server's chores.
    fn carry_out(&self, id: RecallId, now: Timestamp);

    /// Looks at a code of the caller's second factor, shown for this recall: the kind of the factor, or
    /// why not. `None` where it can't be looked at now. Either way it is on record.
    fn show_code(
        &self,
        caller: &Caller,
        code: &str,
        id: RecallId,
        now: Timestamp,
    ) -> Option<Result<&'static str, CodeRefused>>;
}

/// Where no recall is asked for: what is durably asked for is left to the server's chores.
#[derive(Clone, Copy, Debug)]
pub struct NoDesk;

impl RecallDesk for NoDesk {
    fn carry_out(&self, _: RecallId, _: Timestamp) {}

    fn show_code(
        &self,
        _: &Caller,
        _: &str,
        _: RecallId,
        _: Timestamp,
    ) -> Option<Result<&'static str, CodeRefused>> {
        None
    }
}
