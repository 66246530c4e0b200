//! How often one account may do something, by the clock that nobody sets ([`tern_session::Rate`]).

use std::time::Duration;

use tern_base::AccountId;
use tokio::time::Instant;

/// So many times for each account; without a limit where that is zero.
pub(crate) struct Rate {
    rate: tern_session::Rate,
    begun: Instant,
}

impl Rate {
    /// So many within a period.
    pub(crate) fn new(most: u32, period: Duration) -> Self {
        Self {
            rate: tern_session::Rate::new(most, period),
            begun: Instant::now(),
        }
    }

    /// Takes one, or says how long it is until there is one.
    pub(crate) fn take(&self, account: AccountId, now: Instant) -> Result<(), Duration> {
        self.take_many(account, 1, now)
    }

    /// Takes so many at once, or none of them.
    pub(crate) fn take_many(
        &self,
        account: AccountId,
        many: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let since = now.saturating_duration_since(self.begun);
        self.rate.take_many(account, many, since)
    }
}
