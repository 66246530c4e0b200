//! The policies in force: loaded from their directories, asked by every recall, and replaced while
//! the server runs.
//!
//! Invariant: there is always a sound set in force, and which it is is on record before it is. A change that is
//! wrong, or not whole yet, leaves the last one, and the log says what is wrong; `tern policy check` says it again.

pub(crate) mod files;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::tz::TimeZone;
use maxminddb::Reader;
use tern_audit::{Actor, Draft, EntryId};
use tern_base::{Entropy, Timestamp};
use tern_policy::{
    Effect, LocalTime, Policy, PolicyError, PolicySet, Question, Surroundings, Verdict, Visibility,
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
    /// A change takes every condition away.
    #[error(
        "nothing forbids anything any more, nor asks for a second factor or approval: \
         if that is meant, SIGHUP puts it in force"
    )]
    Lax,
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
    /// What one look has found that nobody asked for.
    settling: Option<String>,
}

/// What a look at the files has found.
#[derive(Debug)]
pub(crate) enum Look {
    /// What was there before.
    Unchanged,
    /// A change that may not be whole: to be looked at again soon.
    Settling,
    /// A sound set, to be recorded and then put in force.
    Changed(Arc<PolicySet>),
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
                settling: None,
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

    /// Looks at the files again. A change that nobody `asked` for is taken when a second look finds the same:
    /// whoever writes files, or several of them, is not done in one moment.
    ///
    /// # Errors
    /// They are wrong, or lose every condition that nobody asked to lose; the last set stays in force. Said once
    /// for each change, unless asked for.
    pub(crate) fn look(&self, asked: bool) -> Result<Look, PoliciesError> {
        if !self.are_files() {
            return Ok(Look::Unchanged);
        }
        let found = files::read(&self.settings.directories)?;
        let digest = PolicySet::digest_of(&found);
        let last = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            let before = current.settling.take();
            if !asked && current.seen == digest {
                return Ok(Look::Unchanged);
            }
            if !asked && before.as_ref() != Some(&digest) {
                current.settling = Some(digest);
                return Ok(Look::Settling);
            }
            current.seen = digest;
            Arc::clone(&current.set)
        };
        let set = PolicySet::load(&found).map_err(PoliciesError::Wrong)?;
        let has_conditions =
            |set: &PolicySet| set.rules().any(|rule| rule.effect != Effect::Permit);
        if !asked && has_conditions(&last) && !has_conditions(&set) {
            return Err(PoliciesError::Lax);
        }
        Ok(Look::Changed(Arc::new(set)))
    }

    /// Puts a set in force: once it is on record.
    pub(crate) fn adopt(&self, set: Arc<PolicySet>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.set = set;
    }

    /// Has the next look find what the last one found, since it could not be put in force.
    pub(crate) fn forget_look(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let in_force = current.set.digest().to_owned();
        current.settling = Some(std::mem::replace(&mut current.seen, in_force));
    }

    /// Puts on record which policies are in force from now on.
    pub(crate) fn record(
        set: &PolicySet,
        engine: &dyn Engine,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<(), tern_audit::AuditError> {
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
        let look = |asked| policies.look(asked);
        // What nobody asked for is looked at twice.
        let settled = || {
            assert!(matches!(look(false), Ok(Look::Settling)));
            look(false)
        };
        let changed = |look: Result<Look, PoliciesError>| match look {
            Ok(Look::Changed(set)) => set,
            other => panic!("{other:?}"),
        };
        assert!(matches!(look(false), Ok(Look::Unchanged)));
        write("permit;");
        let error = settled().expect_err("wrong").to_string();
        assert!(error.contains("a.cedar:1:"), "{error}");
        assert!(Arc::ptr_eq(&first, &policies.current()));
        assert!(matches!(look(false), Ok(Look::Unchanged)), "said before");
        assert!(look(true).is_err(), "asked for");
        write(&all.replace("all", "new"));
        let new = changed(settled());
        assert!(new.rule("new").is_some());
        assert!(
            Arc::ptr_eq(&first, &policies.current()),
            "it is not on record yet"
        );
        policies.forget_look();
        let new = changed(look(false));
        policies.adopt(Arc::clone(&new));
        assert!(Arc::ptr_eq(&new, &policies.current()));
        assert!(matches!(look(false), Ok(Look::Unchanged)));
        std::fs::remove_file(&file).expect("removed");
        assert!(matches!(look(false), Err(PoliciesError::Empty(_))));
        assert!(Arc::ptr_eq(&new, &policies.current()));
    }

    #[test]
    fn what_is_being_written_is_not_in_force() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("written");
        };
        let permit = "@id(\"all\")\npermit (principal, action, resource);\n";
        let forbid =
            "@id(\"none\")\n@reason(\"policy-denied\")\nforbid (principal, action, resource);\n";
        write("a.cedar", permit);
        write("b.cedar", forbid);
        let policies =
            Policies::open(&settings(&format!("directories = [{:?}]", dir.path()))).expect("open");
        // Caught in the middle: an empty file, then half of one, then all of it.
        write("b.cedar", "");
        assert!(matches!(policies.look(false), Ok(Look::Settling)));
        write("b.cedar", "@id(\"none\")");
        assert!(matches!(policies.look(false), Ok(Look::Settling)));
        write("b.cedar", forbid);
        assert!(matches!(policies.look(false), Ok(Look::Unchanged)));
        // A file that stays empty is no policy, and one that is gone takes the last condition with it.
        write("b.cedar", "// nothing\n");
        assert!(matches!(policies.look(false), Ok(Look::Settling)));
        let empty = policies.look(false).expect_err("empty").to_string();
        assert!(empty.contains("b.cedar"), "{empty}");
        std::fs::remove_file(dir.path().join("b.cedar")).expect("removed");
        assert!(matches!(policies.look(false), Ok(Look::Settling)));
        assert!(matches!(policies.look(false), Err(PoliciesError::Lax)));
        assert!(policies.current().rule("none").is_some());
        assert!(
            matches!(policies.look(true), Ok(Look::Changed(_))),
            "asked for"
        );
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
