//! From which networks accounts have logged in of late, kept over a restart: by them alone its owner is told from
//! whoever guesses at an account.
//!
//! Invariants: no name of an account is kept, but a digest under a key that is made for this file; what is kept is
//! bounded. A file that is damaged is as good as none: everybody is a stranger, as at the first start, and nobody is
//! locked out by that.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::{fmt, fs};

use tern_base::{Entropy, Timestamp};

use crate::net::Network;

/// Most networks of accounts that are remembered, and how long.
const MAX_KNOWN: usize = 262_144;
/// See [`MAX_KNOWN`].
const KNOWN_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// The time of a login is exact to this: a further one on the same day is no change.
const EXACT_MS: u64 = 24 * 60 * 60 * 1000;
/// Octets of the longest line that is read.
const MAX_LINE: u64 = 128;

/// The first line: what it is, and which version of it.
const HEAD: &str = "tern known networks 1";

/// The networks.
pub(super) struct Known {
    key: [u8; 32],
    networks: HashMap<(u64, Network), Timestamp>,
    is_changed: bool,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({})", self.networks.len())
    }
}

impl Known {
    /// None, under a key of their own.
    pub(super) fn none(entropy: &mut dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        Self {
            key,
            networks: HashMap::new(),
            is_changed: false,
        }
    }

    /// Those of a file; none where there is no such file, or it can't be read.
    pub(super) fn read(path: &Path, entropy: &mut dyn Entropy) -> Self {
        let most = (MAX_KNOWN as u64 + 2) * MAX_LINE;
        let text = match fs::metadata(path) {
            Ok(file) if file.len() <= most => fs::read_to_string(path),
            Ok(_) => Err(io::ErrorKind::FileTooLarge.into()),
            Err(error) => Err(error),
        };
        match text.map(|text| Self::parse(&text)) {
            Ok(Some(known)) => known,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::none(entropy),
            Ok(None) | Err(_) => {
                tracing::warn!(path = %path.display(), "where accounts logged in from can't be read");
                Self::none(entropy)
            }
        }
    }

    /// The key of [`digest`].
    pub(super) const fn key(&self) -> [u8; 32] {
        self.key
    }

    /// Whether an account has logged in from there of late.
    pub(super) fn holds(&self, account: u64, peer: IpAddr, now: Timestamp) -> bool {
        let at = self.networks.get(&(account, Network::wide(peer)));
        at.is_some_and(|at| now.millis_since(*at) < KNOWN_MS)
    }

    /// Remembers that it has.
    pub(super) fn note(&mut self, account: u64, peer: IpAddr, now: Timestamp) {
        let place = (account, Network::wide(peer));
        let noted = self.networks.get(&place);
        if noted.is_some_and(|at| now.0.abs_diff(at.0) < EXACT_MS) {
            return;
        }
        if self.networks.len() >= MAX_KNOWN {
            // More than this server has people: the older half is let go.
            let mut times: Vec<Timestamp> = self.networks.values().copied().collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or(now);
            self.networks.retain(|_, at| *at > middle);
        }
        self.networks.insert(place, now);
        self.is_changed = true;
    }

    /// What is to be written, where something has changed since it was taken last.
    pub(super) fn take_text(&mut self, now: Timestamp) -> Option<String> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        self.networks
            .retain(|_, at| now.millis_since(*at) < KNOWN_MS);
        let key = blake3::Hash::from_bytes(self.key).to_hex();
        let mut text = format!("{HEAD}\n{key}\n");
        for ((account, network), at) in &self.networks {
            let (Network::Wide(ip) | Network::Narrow(ip)) = network;
            let _ = writeln!(text, "{account:016x} {ip} {at}", at = at.0);
        }
        Some(text)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let key = *blake3::Hash::from_hex(lines.next()?).ok()?.as_bytes();
        let network = |line: &str| {
            let mut parts = line.split(' ');
            let account = u64::from_str_radix(parts.next()?, 16).ok()?;
            let network = Network::wide(parts.next()?.parse().ok()?);
            let at = Timestamp(parts.next()?.parse().ok()?);
            Some(((account, network), at))
        };
        let networks: HashMap<_, _> = lines.map(network).collect::<Option<_>>()?;
        (networks.len() <= MAX_KNOWN).then_some(Self {
            key,
            networks,
            is_changed: false,
        })
    }
}

/// What stands for an account.
pub(super) fn digest(key: &[u8; 32], account: &str) -> u64 {
    let digest = blake3::keyed_hash(key, account.as_bytes());
    let first = digest.as_bytes().first_chunk().copied();
    u64::from_le_bytes(first.unwrap_or_default())
}

/// Writes the file, whole or not at all.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let unnamed = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&unnamed)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unnamed, path)
}

#[cfg(test)]
mod tests {
    use tern_base::SeededEntropy;

    use super::*;

    const NOW: Timestamp = Timestamp(2_000_000_000_000);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_was_known_is_known_to_the_next_start_and_damage_is_as_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("known");
        let mut entropy = SeededEntropy::new(1);
        let mut known = Known::read(&path, &mut entropy);
        assert_eq!(known.take_text(NOW), None, "nothing to be written");
        let anna = digest(&known.key, "anna@example.org");
        for peer in ["192.0.2.1", "2001:db8::1"] {
            known.note(anna, ip(peer), NOW);
        }
        let text = known.take_text(NOW).expect("changed");
        assert!(!text.contains("anna"));
        write(&path, &text).expect("written");
        known.note(anna, ip("192.0.2.7"), NOW.plus_millis(1_000));
        assert_eq!(known.take_text(NOW), None, "the same network and day");

        let known = Known::read(&path, &mut entropy);
        assert_eq!(digest(&known.key, "anna@example.org"), anna);
        for (peer, is_known) in [
            ("192.0.2.200", true),
            ("2001:db8:0:7::1", true),
            ("198.51.100.1", false),
        ] {
            assert_eq!(known.holds(anna, ip(peer), NOW), is_known, "{peer}");
        }
        let later = NOW.plus_millis(KNOWN_MS);
        assert!(!known.holds(anna, ip("192.0.2.1"), later));
        assert!(!known.holds(digest(&known.key, "bob@example.org"), ip("192.0.2.1"), NOW));

        for damaged in [
            text.replace(' ', ""),
            text.replacen('1', "2", 1),
            text + "x",
        ] {
            fs::write(&path, damaged).expect("written");
            let known = Known::read(&path, &mut entropy);
            assert!(!known.holds(anna, ip("192.0.2.1"), NOW));
            assert_ne!(
                digest(&known.key, "anna@example.org"),
                anna,
                "a key of its own"
            );
        }
    }
}
