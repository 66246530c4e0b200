//! The postman: tells push subscriptions what changed (RFC 8620 7.2), each when it wants to hear of it and
//! as often as it can take.
//!
//! Invariants:
//! - Of one subscription one request is under way at most. What changes meanwhile, or while it waits for
//!   another attempt, is one StateChange.
//! - What it was told is known durably before it is told more, so that a restart tells what is missing.
//! - One account, and one push service that answers slowly, hold a part of the requests, never all.
//!
//! Refuses to keep what is to be told: each attempt looks at what there is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tern_base::AccountId;
use tern_directory::{Proof, Subscription, SubscriptionId};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::Jmap;
use super::attempt::{Outcome, Stands, attempt};
use crate::clock;
use crate::https::limits::{
    MAX_PUSH_PACE, MAX_PUSH_WAIT, MAX_PUSHES, MAX_PUSHES_OF_ACCOUNT, MAX_VERIFICATIONS, PUSH_DRAIN,
    PUSH_PACE, PUSH_PACE_AFTER_429, PUSH_WAIT,
};
use crate::web_push::Bag;

/// A subscription of an account.
type Key = (AccountId, SubscriptionId);

/// What is known of one while the server runs.
#[derive(Debug)]
struct Standing {
    phase: Phase,
    /// Where it stands, as it was told or looked at last.
    stands: Option<Stands>,
    /// Attempts that failed since one did not.
    failures: u32,
    /// The shortest time between two messages.
    pace: Duration,
    /// When it was last told something.
    last: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It was told everything.
    Idle,
    /// There may be something to tell it from then on.
    Due(Instant),
    /// An attempt is under way; `again`: something changed since it began.
    Under { again: bool },
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            phase: Phase::Idle,
            stands: None,
            failures: 0,
            pace: PUSH_PACE,
            last: None,
        }
    }
}

impl Standing {
    /// When it may be told the next thing that changes.
    fn next(&self, now: Instant) -> Instant {
        self.last.map_or(now, |last| (last + self.pace).max(now))
    }

    /// How long it is left alone after so many failures, or as long as the other end says.
    fn wait(&self, asked: Option<Duration>) -> Duration {
        let doubled = 1 << self.failures.saturating_sub(1).min(16);
        let own = PUSH_WAIT.saturating_mul(doubled);
        asked
            .unwrap_or(own)
            .clamp(Duration::from_secs(1), MAX_PUSH_WAIT)
    }

    /// Takes in what came of an attempt; answers when the next is due, if one is.
    fn settle(&mut self, outcome: Outcome, now: Instant) -> Option<Instant> {
        let again = self.phase == Phase::Under { again: true };
        let asked = match outcome {
            Outcome::Told(stands) => {
                (self.stands, self.last, self.failures) = (stands, Some(now), 0);
                self.pace = (self.pace / 2).max(PUSH_PACE);
                return again.then(|| self.next(now));
            }
            Outcome::NothingToTell(stands) => {
                self.stands = stands;
                return again.then(|| self.next(now));
            }
            Outcome::Over => return None,
            Outcome::TooMany(asked) => {
                // RFC 8620 7.2: after a 429 it is told less often.
                self.pace = (self.pace * 2).clamp(PUSH_PACE_AFTER_429, MAX_PUSH_PACE);
                asked
            }
            Outcome::Failed(asked) => asked,
        };
        self.failures += 1;
        Some(now + self.wait(asked))
    }
}

/// Brings what is to be told to where it is wanted.
pub(crate) struct Postman {
    jmap: Arc<Jmap>,
    bag: Arc<Bag>,
    known: BTreeMap<Key, Standing>,
    due: BTreeSet<(Instant, Key)>,
    /// Attempts under way, by the task that makes them.
    under_way: HashMap<Id, Key>,
    attempts: JoinSet<Outcome>,
}

impl Postman {
    pub(in crate::https) fn new(jmap: Arc<Jmap>) -> Self {
        Self {
            bag: Arc::clone(&jmap.shared.hub.bag),
            jmap,
            known: BTreeMap::new(),
            due: BTreeSet::new(),
            under_way: HashMap::new(),
            attempts: JoinSet::new(),
        }
    }

    /// Works until the server stops. Attempts under way are given up soon then, and made again by the
    /// next start.
    pub(crate) async fn run(mut self, stopped: watch::Receiver<bool>) {
        self.work(stopped).await;
        // What was taken is noted, so that it is not told again.
        let end = async { while self.attempts.join_next().await.is_some() {} };
        let _ = timeout(PUSH_DRAIN, end).await;
    }

    async fn work(&mut self, mut stopped: watch::Receiver<bool>) {
        self.find_subscribed().await;
        while !*stopped.borrow() {
            self.begin_due();
            let next = match self.attempts.len() < MAX_PUSHES {
                true => self.due.first().map(|(at, _)| *at),
                false => None,
            };
            let far = || Instant::now() + MAX_PUSH_PACE;
            tokio::select! {
                _ = stopped.changed() => return,
                accounts = self.bag.take() => self.look(accounts).await,
                Some(done) = self.attempts.join_next_with_id() => self.settle(done),
                () = sleep_until(next.unwrap_or_else(far)) => {}
            }
        }
    }

    /// Tells the bag of every account that has subscriptions.
    async fn find_subscribed(&self) {
        let jmap = Arc::clone(&self.jmap);
        let work = move || {
            let mut from = Some(AccountId(0));
            while let Some(next) = from {
                let (accounts, more) = jmap.subscriptions.subscribed(next)?;
                accounts
                    .iter()
                    .for_each(|it| jmap.shared.hub.bag.subscribe(*it));
                from = more;
            }
            Ok::<_, tern_directory::DirectoryError>(())
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "push subscriptions could not be read"),
            Err(error) => tracing::error!(%error, "looking for push subscriptions failed"),
        }
    }

    /// Looks at which subscriptions accounts have now, and at whether there is something to tell them.
    async fn look(&mut self, accounts: Vec<AccountId>) {
        let jmap = Arc::clone(&self.jmap);
        let work = move || {
            let read = |account| (account, jmap.subscriptions.all(account, clock::now()));
            accounts.into_iter().map(read).collect::<Vec<_>>()
        };
        let Ok(read) = tokio::task::spawn_blocking(work).await else {
            return;
        };
        for (account, subscriptions) in read {
            match subscriptions {
                Ok(subscriptions) => self.took(account, &subscriptions),
                // Nothing is known of what changed: those that are known look for themselves.
                Err(error) => {
                    tracing::error!(%account, %error, "push subscriptions could not be read");
                    for key in self.keys_of(account) {
                        self.wake(key);
                    }
                }
            }
        }
    }

    fn keys_of(&self, account: AccountId) -> Vec<Key> {
        let ids = SubscriptionId(0)..=SubscriptionId(u32::MAX);
        let range = (account, *ids.start())..=(account, *ids.end());
        self.known.range(range).map(|(key, _)| *key).collect()
    }

    /// An account has these subscriptions, and something of it changed.
    fn took(&mut self, account: AccountId, subscriptions: &[Subscription]) {
        let is_there = |key: &Key| subscriptions.iter().any(|it| it.id == key.1);
        for key in self.keys_of(account) {
            if !is_there(&key) {
                self.forget(key);
            }
        }
        for subscription in subscriptions {
            // One whose code was sent waits for its client.
            if subscription.proof != Proof::Sent {
                self.wake((account, subscription.id));
            }
        }
        if subscriptions.is_empty() {
            self.bag.forget(account);
            // One that was made while the others were read is not to be missed.
            self.look_once_more(account);
        }
    }

    fn look_once_more(&self, account: AccountId) {
        let jmap = Arc::clone(&self.jmap);
        tokio::task::spawn_blocking(move || {
            let all = jmap.subscriptions.all(account, clock::now());
            if all.is_ok_and(|all| !all.is_empty()) {
                jmap.shared.hub.bag.subscribe(account);
            }
        });
    }

    /// There may be something to tell a subscription.
    fn wake(&mut self, key: Key) {
        let standing = self.known.entry(key).or_default();
        match &mut standing.phase {
            Phase::Idle => {
                let at = standing.next(Instant::now());
                self.put_off(key, at);
            }
            Phase::Due(_) => {}
            Phase::Under { again } => *again = true,
        }
    }

    fn put_off(&mut self, key: Key, until: Instant) {
        if let Some(standing) = self.known.get_mut(&key) {
            standing.phase = Phase::Due(until);
            self.due.insert((until, key));
        }
    }

    fn forget(&mut self, key: Key) {
        if let Some(Standing {
            phase: Phase::Due(at),
            ..
        }) = self.known.remove(&key)
        {
            self.due.remove(&(at, key));
        }
    }

    /// Begins the attempts that are due, as many as may be under way.
    fn begin_due(&mut self) {
        let now = Instant::now();
        let mut passed_over = Vec::new();
        while self.attempts.len() < MAX_PUSHES {
            let Some((at, key)) = self.due.pop_first() else {
                break;
            };
            if at > now {
                self.due.insert((at, key));
                break;
            }
            let of_account = self.under_way.values().filter(|it| it.0 == key.0).count();
            if of_account >= MAX_PUSHES_OF_ACCOUNT {
                passed_over.push(key);
                continue;
            }
            let Some(standing) = self.known.get_mut(&key) else {
                continue;
            };
            standing.phase = Phase::Under { again: false };
            let is_last_try = standing.failures + 1 >= MAX_VERIFICATIONS;
            let (jmap, stands) = (Arc::clone(&self.jmap), standing.stands.clone());
            let task = attempt(jmap, key.0, key.1, stands, is_last_try);
            let id = self.attempts.spawn(task).id();
            self.under_way.insert(id, key);
        }
        // The end of one of the account's own makes room for them.
        for key in passed_over {
            self.put_off(key, now + PUSH_PACE);
        }
    }

    fn settle(&mut self, done: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "an attempt to push failed");
                (error.id(), Outcome::Failed(None))
            }
        };
        let Some(key) = self.under_way.remove(&id) else {
            return;
        };
        if outcome == Outcome::Over {
            return self.forget(key);
        }
        // It may have gone meanwhile.
        let Some(standing) = self.known.get_mut(&key) else {
            return;
        };
        match standing.settle(outcome, Instant::now()) {
            Some(next) => self.put_off(key, next),
            None => standing.phase = Phase::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_are_waited_out_ever_longer_and_as_long_as_is_asked() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        let mut after = |outcome| {
            standing.phase = Phase::Under { again: false };
            standing.settle(outcome, now).map(|at| at - now)
        };
        let first = after(Outcome::Failed(None)).expect("another");
        let second = after(Outcome::Failed(None)).expect("another");
        assert_eq!((first, second), (PUSH_WAIT, PUSH_WAIT * 2));
        let asked = Duration::from_secs(7);
        assert_eq!(after(Outcome::Failed(Some(asked))), Some(asked));
        let day = Duration::from_secs(86_400);
        assert_eq!(after(Outcome::Failed(Some(day))), Some(MAX_PUSH_WAIT));
        for _ in 0..40 {
            assert!(after(Outcome::Failed(None)).expect("another") <= MAX_PUSH_WAIT);
        }
        assert_eq!(after(Outcome::Told(None)), None);
        assert_eq!(
            after(Outcome::Failed(None)),
            Some(PUSH_WAIT),
            "from the start"
        );
        assert_eq!(after(Outcome::NothingToTell(None)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_told_too_often_is_told_less_often() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        let mut changed_again = |outcome| {
            standing.phase = Phase::Under { again: true };
            standing.settle(outcome, now).map(|at| at - now)
        };
        assert_eq!(changed_again(Outcome::Told(None)), Some(PUSH_PACE));
        changed_again(Outcome::TooMany(None));
        let slow = changed_again(Outcome::Told(None)).expect("later");
        assert!(slow >= PUSH_PACE_AFTER_429 / 2 && slow > PUSH_PACE);
        for _ in 0..20 {
            changed_again(Outcome::Told(None));
        }
        assert_eq!(changed_again(Outcome::Told(None)), Some(PUSH_PACE));
    }
}
