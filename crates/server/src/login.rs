//! Verifying a login: the slow hash, a few at once, and patience that grows with failures.
//!
//! Invariant: at most as many Argon2 hashes run at once as there are cores, whoever asks; a failed
//! login is answered later the more of them came from its address. Refuses to say why it failed to
//! anybody but the log.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tern_base::{AccountId, Timestamp};
use tern_directory::{LoginFailure, Passwords};
use tern_store::Engine;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::clock::{self, OsEntropy};

/// What came of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    Accepted { account: AccountId, login: String },
    Refused,
    Throttled,
    Unavailable,
}

/// What is to be verified.
pub(crate) struct Attempt {
    pub(crate) act_as: Option<String>,
    pub(crate) login: String,
    pub(crate) password: Zeroizing<String>,
}

/// Verifies logins.
pub(crate) struct Logins {
    engine: Arc<dyn Engine>,
    passwords: Arc<Passwords>,
    hashers: Hashers,
    failures: Failures,
}

impl Logins {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        passwords: Arc<Passwords>,
        max_failures: u32,
    ) -> io::Result<Self> {
        Ok(Self {
            engine,
            passwords,
            hashers: Hashers::start()?,
            failures: Failures::new(max_failures),
        })
    }

    /// Verifies, and waits before it says no.
    pub(crate) async fn verify(&self, peer: IpAddr, attempt: Attempt) -> Verified {
        if self.failures.is_over(peer, clock::now()) {
            return Verified::Throttled;
        }
        // RFC 4616 2: nobody may act as somebody else here.
        let acts_as_other = |name: &String| !name.eq_ignore_ascii_case(&attempt.login);
        if attempt.act_as.as_ref().is_some_and(acts_as_other) {
            tokio::time::sleep(self.failures.add(peer, clock::now())).await;
            return Verified::Refused;
        }
        let (engine, passwords) = (Arc::clone(&self.engine), Arc::clone(&self.passwords));
        let (answer, answered) = oneshot::channel();
        self.hashers.run(Box::new(move || {
            // Whoever waited may be gone.
            let _ = answer.send(verify_now(&*engine, &passwords, &attempt));
        }));
        match answered.await {
            Ok(Verified::Refused) => {
                tokio::time::sleep(self.failures.add(peer, clock::now())).await;
                Verified::Refused
            }
            // A success forgets no failure: who has one account here must not guess at others.
            Ok(other) => other,
            Err(_) => Verified::Unavailable,
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads for slow hashes alone, as many as there are cores. They are few for the memory's sake,
/// too: an allocator keeps what a hash took (19 MiB) for the thread that took it.
struct Hashers(Sender<Job>);

impl Hashers {
    fn start() -> io::Result<Self> {
        let (sender, jobs) = channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores {
            let jobs = Arc::clone(&jobs);
            let builder = std::thread::Builder::new().name(String::from("passwords"));
            builder.spawn(move || {
                // The lock is held while waiting, so that one thread waits and the rest queue up.
                let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok(job) = next() {
                    job();
                }
            })?;
        }
        Ok(Self(sender))
    }

    fn run(&self, job: Job) {
        // The threads live as long as the sender; where they don't, the asker's channel is dropped
        // with the job, and it hears of that.
        let _ = self.0.send(job);
    }
}

fn verify_now(engine: &dyn Engine, passwords: &Passwords, attempt: &Attempt) -> Verified {
    let reader: &dyn tern_store::Read = engine;
    match tern_directory::login(reader, passwords, &attempt.login, &attempt.password) {
        Ok(login) => {
            let account = login.account.id;
            if login.needs_rehash {
                let password = &attempt.password;
                // The login is right whether or not the new hash could be stored.
                let _ = tern_directory::rehash_password(
                    engine,
                    account,
                    password,
                    passwords,
                    &mut OsEntropy,
                );
            }
            Verified::Accepted {
                account,
                login: login.account.address.to_string(),
            }
        }
        Err(LoginFailure::Store(error)) => {
            tracing::error!(%error, "login could not be verified");
            Verified::Unavailable
        }
        Err(why) => {
            // Quoted: the peer chose it, line ends included.
            tracing::info!(login = ?attempt.login, %why, "login refused");
            Verified::Refused
        }
    }
}

/// How long failures are remembered.
const WINDOW_MS: u64 = 10 * 60 * 1000;
/// Most addresses that are remembered.
const MAX_ADDRESSES: usize = 65_536;
/// The longest delay of an answer.
const MAX_DELAY_MS: u64 = 8_000;

/// Failed logins by address.
struct Failures {
    max: u32,
    by_address: Mutex<HashMap<IpAddr, (u32, Timestamp)>>,
}

impl Failures {
    fn new(max: u32) -> Self {
        Self {
            max: max.max(1),
            by_address: Mutex::default(),
        }
    }

    fn is_over(&self, peer: IpAddr, now: Timestamp) -> bool {
        let failures = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = failures.get(&network(peer));
        known.is_some_and(|(count, last)| *count >= self.max && now.millis_since(*last) < WINDOW_MS)
    }

    /// Counts a failure; answers how long to wait before it is told.
    fn add(&self, peer: IpAddr, now: Timestamp) -> Duration {
        let mut failures = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MAX_ADDRESSES {
            failures.retain(|_, (_, last)| now.millis_since(*last) < WINDOW_MS);
            if failures.len() >= MAX_ADDRESSES {
                // A flood from everywhere: the slow hash and the delay below are what is left.
                failures.clear();
            }
        }
        let (count, last) = failures.entry(network(peer)).or_insert((0, now));
        if now.millis_since(*last) >= WINDOW_MS {
            *count = 0;
        }
        *count = count.saturating_add(1);
        *last = now;
        let doublings = count.saturating_sub(1).min(6);
        Duration::from_millis((250 << doublings).min(MAX_DELAY_MS))
    }
}

/// The address that counts: of IPv6 the /64 network, which one customer has whole.
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let net = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(net))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_delay_then_refuse() {
        let failures = Failures::new(3);
        let peer: IpAddr = "192.0.2.1".parse().expect("an address");
        let now = Timestamp(1_000_000);
        let delays: Vec<u128> = (0..3)
            .map(|_| failures.add(peer, now).as_millis())
            .collect();
        assert_eq!(delays, [250, 500, 1_000]);
        assert!(failures.is_over(peer, now));
        assert!(!failures.is_over("192.0.2.2".parse().expect("an address"), now));
        assert!(!failures.is_over(peer, now.plus_millis(WINDOW_MS)));
        assert_eq!(
            failures.add(peer, now.plus_millis(WINDOW_MS)).as_millis(),
            250
        );
        for _ in 0..20 {
            assert!(failures.add(peer, now).as_millis() <= u128::from(MAX_DELAY_MS));
        }
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let cases = [
            ("2001:db8::1", "2001:db8::"),
            ("2001:db8::ffff:1", "2001:db8::"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.7", "192.0.2.7"),
        ];
        for (address, expected) in cases {
            let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
            assert_eq!(network(parse(address)), parse(expected));
        }
    }
}
