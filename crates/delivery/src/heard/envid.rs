//! The envelope id with which a sending leaves, where its client names none (RFC 3461 4.4, RFC 8621 7).
//!
//! It is the id of the submission and a code. A report that names it with the code comes from who was
//! handed the message, or from here: the code is in no header, so whoever merely received the message does
//! not have it. What is handed over for one domain alone has a code that speaks for no other.
//!
//! Refuses to say who sent a report: a code may have been passed on.

use std::collections::BTreeSet;

use tern_base::{Domain, OriginId};
use tern_queue::Item;

/// An envelope id that was made here, as far as its form tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EnvelopeId<'a> {
    pub(super) origin: OriginId,
    code: &'a str,
}

/// For whomever the message goes to.
pub(crate) fn for_all(key: &[u8; 32], origin: OriginId) -> String {
    issue(key, origin, "")
}

/// Gives items of a message that leave together an id of their own, where all are of one domain and the
/// message has one that was made here.
pub(crate) fn narrow(key: &[u8; 32], items: &mut [Item]) {
    let Some(origin) = items.first().map(|item| item.origin) else {
        return;
    };
    let domains = items.iter().map(|item| item.recipient.domain().as_str());
    let domains: BTreeSet<&str> = domains.collect();
    let ([domain], wide) = (&Vec::from_iter(domains)[..], for_all(key, origin)) else {
        return;
    };
    let narrow = issue(key, origin, domain);
    for item in items {
        if item.dsn.envid.as_deref() == Some(&wide) {
            item.dsn.envid = Some(narrow.clone());
        }
    }
}

fn issue(key: &[u8; 32], origin: OriginId, domain: &str) -> String {
    format!("{origin}.{}", code(key, origin, domain))
}

fn code(key: &[u8; 32], origin: OriginId, domain: &str) -> String {
    let text = [b"envelope-id".as_slice(), &origin.0, domain.as_bytes()].concat();
    let hex = tern_mime::blob_id(key, &text).to_string();
    hex.get(..32).unwrap_or_default().to_owned()
}

impl<'a> EnvelopeId<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (origin, code) = text.trim().split_once('.')?;
        let origin = OriginId::from_hex(origin)?;
        Some(Self { origin, code })
    }

    /// Whether whoever names it may speak for recipients of this domain.
    pub(super) fn speaks_for(&self, key: &[u8; 32], domain: &Domain) -> bool {
        let is = |domain: &str| {
            let expected = code(key, self.origin, domain);
            // Every octet is looked at, so that the time tells nothing of where they differ.
            let pairs = expected.bytes().zip(self.code.bytes());
            expected.len() == self.code.len() && pairs.fold(0, |all, (a, b)| all | (a ^ b)) == 0
        };
        is(domain.as_str()) | is("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_speaks_for_its_domain_or_for_all_and_is_not_guessed() {
        let (key, origin) = ([1; 32], OriginId([2; 16]));
        let domain = |text: &str| Domain::parse(text).expect("a domain");
        let (near, far) = (domain("near.example"), domain("far.example"));
        let speaks = |text: &str, domain: &Domain| {
            let id = EnvelopeId::parse(text).expect("an id");
            assert_eq!(id.origin, origin);
            id.speaks_for(&key, domain)
        };
        let all = for_all(&key, origin);
        assert!(all.len() <= 100, "RFC 3461 4.4");
        assert!(speaks(&all, &near) && speaks(&all, &far));
        let narrow = issue(&key, origin, "far.example");
        assert!(speaks(&narrow, &far) && !speaks(&narrow, &near));
        for forged in [
            format!("{origin}."),
            format!("{origin}.{}", "0".repeat(32)),
            issue(&[9; 32], origin, ""),
            issue(&key, origin, "FAR.example"),
        ] {
            assert!(!speaks(&forged, &far), "{forged}");
        }
        for other in ["", "QQ314159", "x.y", &*format!("{origin}")] {
            assert_eq!(EnvelopeId::parse(other), None, "{other}");
        }
    }
}
