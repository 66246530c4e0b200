//! The policies in force: loaded from their directories, asked by every recall, and replaced while
//! the server runs.
//!
//! Invariant: there is always a sound set in force. A change that is wrong leaves the last one, and
//! the log says what is wrong; `tern policy check` says it again.

pub(crate) mod files;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::tz::TimeZone;
use maxminddb::Reader;
use tern_audit::{Actor, Draft, EntryId};
use tern_base::{Entropy, Timestamp};
use tern_policy::{
    LocalTime, Policy, PolicyError, PolicySet, Question, Surroundings, Verdict, Visibility,
};
use tern_store::Engine;

use crate::config;

/// Why policies are not in force.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// A file or directory can't be read.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// There is nothing to load.
    #[error("no *.cedar file in {0}: nobody could do anything")]
    Empty(String),
    /// They are wrong.
    #[error("the policies are wrong:{}", lines(.0))]
    Wrong(Vec<PolicyError>),
    /// The country database can't be read.
    #[error("{0}: {1}")]
    Countries(PathBuf, String),
}

fn lines(errors: &[PolicyError]) -> String {
    errors.iter().map(|error| format!("\n  {error}")).collect()
}

/// The policies in force, and what they are told of the surroundings.
pub(crate) struct Policies {
    settings: config::Policy,
    zone: Option<TimeZone>,
    countries: Option<Reader<Vec<u8>>>,
    current: RwLock<Current>,
}

struct Current {
    set: Arc<PolicySet>,
    /// What was found last, sound or not, so that one change is looked at once.
    seen: String,
}

impl Policies {
    /// Loads what the configuration names.
    pub(crate) fn open(settings: &config::Policy) -> Result<Self, PoliciesError> {
        let set = files::load(&settings.directories)?;
        let path = &settings.country_database;
        let countries = match path.as_os_str().is_empty() {
            true => None,
            false => {
                let wrong = |error: maxminddb::MaxMindDbError| {
                    PoliciesError::Countries(path.clone(), error.to_string())
                };
                Some(Reader::open_readfile(path).map_err(wrong)?)
            }
        };
        Ok(Self {
            settings: settings.clone(),
            zone: settings.time_zone.zone(),
            countries,
            current: RwLock::new(Current {
                seen: set.digest().to_owned(),
                set,
            }),
        })
    }

    /// The set in force.
    pub(crate) fn current(&self) -> Arc<PolicySet> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.set)
    }

    /// Whether the policies are read from directories, and can change.
    pub(crate) fn are_files(&self) -> bool {
        !self.settings.directories.is_empty()
    }

    /// Looks at the files again: the new set where they changed, or in any case.
    ///
    /// # Errors
    /// They are wrong; the last set stays in force. Said once for each change, unless asked for in
    /// any case.
    pub(crate) fn reload(
        &self,
        in_any_case: bool,
    ) -> Result<Option<Arc<PolicySet>>, PoliciesError> {
        if !self.are_files() {
            return Ok(None);
        }
        let found = files::read(&self.settings.directories)?;
        let digest = PolicySet::digest_of(&found);
        {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            if current.seen == digest && !in_any_case {
                return Ok(None);
            }
            current.seen = digest;
        }
        let set = Arc::new(PolicySet::load(&found).map_err(PoliciesError::Wrong)?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.set = Arc::clone(&set);
        Ok(Some(set))
    }

    /// Puts on record which policies are in force from now on.
    pub(crate) fn record(
        &self,
        engine: &dyn Engine,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<(), tern_audit::AuditError> {
        let set = self.current();
        let id = EntryId::new(now, entropy);
        let entry = Draft::new(id, now, Actor::Server, "policy.load")
            .detail("digest", set.digest())
            .detail("policies", set.rules().count() as u64);
        tern_audit::append(engine, &entry)?;
        Ok(())
    }

    fn surroundings(&self, question: &Question) -> Surroundings {
        let peer = question.authentication.peer.as_ref();
        let peer: Option<IpAddr> = peer.and_then(|peer| peer.parse().ok());
        Surroundings {
            networks: peer.map(|peer| self.networks_of(peer)),
            country: peer.and_then(|peer| self.country_of(peer)),
            local: self.local_time(question.now),
        }
    }

    fn networks_of(&self, peer: IpAddr) -> Vec<String> {
        let networks = self.settings.networks.iter();
        networks
            .filter(|(_, parts)| parts.iter().any(|part| part.holds(peer)))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The country of an address. What the database does not know, or can't say, is not known.
    fn country_of(&self, peer: IpAddr) -> Option<String> {
        let found = self.countries.as_ref()?.lookup(peer.to_canonical()).ok()?;
        let country: maxminddb::geoip2::Country<'_> = found.decode().ok()??;
        country.country.iso_code.map(str::to_owned)
    }

    fn local_time(&self, now: Timestamp) -> Option<LocalTime> {
        let zone = self.zone.as_ref()?;
        let moment = jiff::Timestamp::from_millisecond(i64::try_from(now.0).ok()?).ok()?;
        let local = moment.to_zoned(zone.clone());
        Some(LocalTime {
            hour: u8::try_from(local.hour()).ok()?,
            weekday: u8::try_from(local.weekday().to_monday_one_offset()).ok()?,
        })
    }
}

impl Policy for Policies {
    fn decide(&self, question: &Question) -> Verdict {
        let mut question = question.clone();
        question.surroundings = self.surroundings(&question);
        self.current().decide(&question)
    }

    fn looks_at_unread(&self) -> bool {
        self.current().looks_at_unread()
    }

    fn visibility(&self, question: &Question, is_party: bool) -> Option<Visibility> {
        let mut question = question.clone();
        question.surroundings = self.surroundings(&question);
        self.current().visibility(&question, is_party)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> config::Policy {
        toml::from_str(text).expect("settings")
    }

    /// 2026-07-01 was a Wednesday; 22:30 UTC is half past midnight, Thursday, in summertime.
    #[test]
    fn the_surroundings_are_named_as_configured() {
        let policies = Policies::open(&settings(
            "time_zone = \"Europe/Amsterdam\"\n\
             networks = { office = [\"192.0.2.0/24\"], site = [\"192.0.0.0/16\"], far = [\"::/0\"] }",
        ))
        .expect("open");
        let local = policies
            .local_time(Timestamp(1_782_945_000_000))
            .expect("known");
        assert_eq!((local.hour, local.weekday), (0, 4));
        let networks = policies.networks_of("192.0.2.9".parse().expect("an address"));
        assert_eq!(networks, ["office", "site"]);
        let none = Policies::open(&settings("")).expect("open");
        assert_eq!(none.local_time(Timestamp(1_782_945_000_000)), None);
    }

    #[test]
    fn a_wrong_change_leaves_the_last_good_set() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.cedar");
        let write = |text: &str| std::fs::write(&file, text).expect("written");
        let all = "@id(\"all\")\npermit (principal, action, resource);\n";
        write(all);
        let policies =
            Policies::open(&settings(&format!("directories = [{:?}]", dir.path()))).expect("open");
        let first = policies.current();
        assert!(policies.reload(false).expect("unchanged").is_none());
        write("permit;");
        let error = policies.reload(false).expect_err("wrong").to_string();
        assert!(error.contains("a.cedar:1:"), "{error}");
        assert!(Arc::ptr_eq(&first, &policies.current()));
        assert!(policies.reload(false).expect("said before").is_none());
        assert!(policies.reload(true).is_err(), "asked for");
        write(&all.replace("all", "new"));
        let new = policies.reload(false).expect("sound").expect("changed");
        assert!(new.rule("new").is_some());
        assert!(Arc::ptr_eq(&new, &policies.current()));
        std::fs::remove_file(&file).expect("removed");
        assert!(matches!(
            policies.reload(false),
            Err(PoliciesError::Empty(_))
        ));
        assert!(Arc::ptr_eq(&new, &policies.current()));
    }

    /// A country database that knows 192.0.2.0/24 alone, in the format of MaxMind DB 2.0.
    fn database() -> Vec<u8> {
        const BITS: u8 = 24;
        let text = |text: &str| [&[0x40 | text.len() as u8], text.as_bytes()].concat();
        let map = |pairs: &[(&str, Vec<u8>)]| {
            let mut bytes = vec![0xe0 | pairs.len() as u8];
            for (key, value) in pairs {
                bytes.extend([text(key), value.clone()].concat());
            }
            bytes
        };
        let number = |n: u8| vec![0xa1, n];
        let record = |n: u32| n.to_be_bytes()[1..].to_vec();
        let mut bytes = Vec::new();
        let network = u32::from_be_bytes([192, 0, 2, 0]);
        for bit in 0..BITS {
            // Towards the network, and nowhere: as many as there are nodes is "not found".
            let on = match bit + 1 == BITS {
                true => u32::from(BITS) + 16,
                false => u32::from(bit) + 1,
            };
            let (on, off) = (record(on), record(BITS.into()));
            match network >> (31 - bit) & 1 {
                0 => bytes.extend([on, off].concat()),
                _ => bytes.extend([off, on].concat()),
            }
        }
        bytes.extend([0; 16]);
        bytes.extend(map(&[("country", map(&[("iso_code", text("NL"))]))]));
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        bytes.extend(map(&[
            ("node_count", vec![0xc1, BITS]),
            ("record_size", number(24)),
            ("ip_version", number(4)),
            ("database_type", text("Test-Country")),
            ("languages", vec![0x00, 0x04]),
            ("binary_format_major_version", number(2)),
            ("binary_format_minor_version", number(0)),
            ("build_epoch", vec![0x01, 0x02, 1]),
            ("description", vec![0xe0]),
        ]));
        bytes
    }

    #[test]
    fn a_country_is_known_where_the_database_knows_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("country.mmdb");
        std::fs::write(&file, database()).expect("written");
        let named = format!("country_database = {file:?}");
        let policies = Policies::open(&settings(&named)).expect("open");
        let country = |peer: &str| policies.country_of(peer.parse().expect("an address"));
        assert_eq!(country("192.0.2.77").as_deref(), Some("NL"));
        assert_eq!(country("::ffff:192.0.2.77").as_deref(), Some("NL"));
        assert_eq!(country("198.51.100.1"), None);
        assert_eq!(country("2001:db8::1"), None);
        std::fs::write(&file, b"nonsense").expect("written");
        let wrong = Policies::open(&settings(&named));
        assert!(matches!(wrong, Err(PoliciesError::Countries(..))));
    }
}
