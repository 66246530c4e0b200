//! That a UID names one message for ever (RFC 9051 2.3.1.1), whatever is killed in between.
//!
//! Invariant: what was seen is never forgotten, so that a UID which is given out again is found however
//! long its message has been gone.

use std::collections::BTreeMap;

/// Whose mailbox, and its name.
pub(crate) type Place = (&'static str, String);

/// A mailbox as a session was told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// UIDVALIDITY
    pub(crate) validity: u32,
    /// UIDNEXT
    pub(crate) next: u32,
    /// The token of the message that each UID names.
    pub(crate) named: BTreeMap<u32, String>,
}

/// Everything that sessions were told of UIDs so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identities(BTreeMap<Place, Seen>);

impl Identities {
    /// A session was told under load that this UID names this message.
    pub(crate) fn told(&mut self, place: Place, uid: u32, token: String) -> Option<String> {
        let known = self.0.entry(place.clone()).or_default();
        let before = known.named.insert(uid, token.clone());
        let before = before.filter(|before| *before != token)?;
        Some(format!("{place:?}: UID {uid} named {before}, now {token}"))
    }

    /// Holds a mailbox against all that was told of it. Answers what contradicts that.
    pub(crate) fn look(&mut self, place: &Place, now: &Seen) -> Vec<String> {
        let known = self.0.entry(place.clone()).or_default();
        let mut wrong = Vec::new();
        if known.validity != 0 && known.validity != now.validity {
            let (before, now) = (known.validity, now.validity);
            wrong.push(format!("UIDVALIDITY was {before} and is {now}"));
        }
        if now.next < known.next {
            wrong.push(format!("UIDNEXT was {} and is {}", known.next, now.next));
        }
        let highest = known.named.keys().chain(now.named.keys()).max();
        if let Some(uid) = highest.filter(|uid| **uid >= now.next) {
            wrong.push(format!(
                "UID {uid} was given out, and UIDNEXT is {}",
                now.next
            ));
        }
        for (uid, token) in &now.named {
            match known.named.get(uid) {
                Some(before) if before != token => {
                    wrong.push(format!("UID {uid} named {before}, and names {token}"));
                }
                None if *uid < known.next => wrong.push(format!(
                    "UID {uid} is new, below the UIDNEXT {} that was told",
                    known.next
                )),
                _ => {}
            }
        }
        known.validity = now.validity;
        known.next = now.next;
        known.named.extend(now.named.clone());
        wrong
            .iter()
            .map(|what| format!("{place:?}: {what}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(validity: u32, next: u32, named: &[(u32, &str)]) -> Seen {
        Seen {
            validity,
            next,
            named: named
                .iter()
                .map(|(uid, token)| (*uid, (*token).to_owned()))
                .collect(),
        }
    }

    /// How many contradictions the second look finds after the first.
    fn contradictions(first: &Seen, second: &Seen) -> usize {
        let place = ("bob", "INBOX".to_owned());
        let mut known = Identities::default();
        assert_eq!(known.look(&place, first), [""; 0]);
        known.look(&place, second).len()
    }

    #[test]
    fn a_mailbox_that_goes_on_contradicts_nothing() {
        let before = seen(9, 3, &[(1, "a"), (2, "b")]);
        assert_eq!(contradictions(&before, &before), 0, "nothing happened");
        assert_eq!(
            contradictions(&before, &seen(9, 3, &[(2, "b")])),
            0,
            "one is gone"
        );
        let grown = seen(9, 5, &[(1, "a"), (2, "b"), (4, "c")]);
        assert_eq!(
            contradictions(&before, &grown),
            0,
            "one came, another came and went"
        );
    }

    #[test]
    fn what_a_crash_takes_back_is_found() {
        let before = seen(9, 3, &[(1, "a"), (2, "b")]);
        let cases = [
            (seen(8, 3, &[]), "another UIDVALIDITY"),
            (
                seen(9, 2, &[(1, "a")]),
                "UIDNEXT went back, below what was given out",
            ),
            (seen(9, 3, &[(1, "a"), (2, "c")]), "a UID given out twice"),
            (seen(9, 3, &[(3, "c")]), "a UID that UIDNEXT does not know"),
        ];
        for (after, what) in cases {
            assert!(contradictions(&before, &after) > 0, "{what}");
        }
        let gone = seen(9, 5, &[(1, "a")]);
        let below = seen(9, 6, &[(1, "a"), (2, "c")]);
        assert_eq!(
            contradictions(&gone, &below),
            1,
            "one that is new below UIDNEXT"
        );
    }

    #[test]
    fn what_was_told_under_load_holds() {
        let place = || ("carol", "Box".to_owned());
        let mut known = Identities::default();
        assert_eq!(known.told(place(), 7, "a".into()), None);
        assert_eq!(known.told(place(), 7, "a".into()), None);
        assert!(known.told(place(), 7, "b".into()).is_some());
        let mut known = Identities::default();
        assert_eq!(known.told(place(), 7, "a".into()), None);
        assert_eq!(
            known.look(&place(), &seen(1, 7, &[])).len(),
            1,
            "APPENDUID and no UIDNEXT"
        );
        assert_eq!(
            known.look(&place(), &seen(1, 9, &[(7, "b")])).len(),
            1,
            "another message"
        );
    }
}
