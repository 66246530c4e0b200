//! One change log under both protocols: whatever is done by IMAP's verbs and by JMAP's methods, what
//! `/changes` tells from any earlier state leads to what a fresh `/get` shows.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tern_base::{MailboxId, Modseq, OriginId, Uid};
use tern_mailbox::{
    Access, AppendRequest, FlagChange, FlagRequest, Flags, Hooks, Mailboxes, NoListener,
    SystemFlag, Transfer, Viewer,
};
use tern_session::ids;

use house::{BOB, House};

/// One act, of either protocol. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Act {
    ImapAppend(usize, u8),
    ImapStore(usize, usize, bool),
    ImapCopy(usize, usize, usize, bool),
    ImapExpunge(usize, usize),
    ImapDelete(usize),
    JmapCreate(usize, u8),
    JmapMove(usize, usize, usize),
    JmapFlag(usize, u8),
    JmapDestroy(usize),
    ImapMake(u8),
    /// A client looks at everything, and remembers it.
    Look,
}

fn act() -> impl Strategy<Value = Act> {
    let n = || 0..6_usize;
    prop_oneof![
        3 => (n(), 0..4_u8).prop_map(|(m, t)| Act::ImapAppend(m, t)),
        2 => (n(), n(), any::<bool>()).prop_map(|(m, u, on)| Act::ImapStore(m, u, on)),
        3 => (n(), n(), n(), any::<bool>()).prop_map(|(m, u, t, mv)| Act::ImapCopy(m, u, t, mv)),
        2 => (n(), n()).prop_map(|(m, u)| Act::ImapExpunge(m, u)),
        1 => n().prop_map(Act::ImapDelete),
        1 => (0..3_u8).prop_map(Act::ImapMake),
        3 => (n(), 0..4_u8).prop_map(|(m, t)| Act::JmapCreate(m, t)),
        3 => (n(), n(), n()).prop_map(|(e, a, b)| Act::JmapMove(e, a, b)),
        2 => (n(), 0..3_u8).prop_map(|(e, k)| Act::JmapFlag(e, k)),
        1 => n().prop_map(Act::JmapDestroy),
        3 => Just(Act::Look),
    ]
}

fn mailbox(house: &House, n: usize) -> MailboxId {
    let folders = house.mailboxes.folders(BOB).unwrap();
    folders[n % folders.len()].id
}

fn uid(house: &House, mailbox: MailboxId, n: usize) -> Option<Uid> {
    let view = house.mailboxes.view(BOB, mailbox).unwrap();
    let uids: Vec<Uid> = view.iter().map(|entry| entry.uid).collect();
    (!uids.is_empty()).then(|| uids[n % uids.len()])
}

fn email(house: &House, n: usize) -> Option<String> {
    let view = house.mailboxes.account_view(BOB).unwrap();
    let all: Vec<String> = view
        .iter()
        .map(|held| ids::email_id(BOB, held.message))
        .collect();
    (!all.is_empty()).then(|| all[n % all.len()].clone())
}

/// A letter of one of a few conversations.
fn letter(house: &mut House, thread: u8) -> Vec<u8> {
    let id = OriginId::new(house.now, &mut house.entropy);
    format!(
        "Subject: Re: talk {thread}\r\nMessage-ID: <{id}@x>\r\nReferences: <{thread}@x>\r\n\r\nx\r\n"
    )
    .into_bytes()
}

fn store(house: &House, m: usize, u: usize, on: bool) {
    let mailbox = mailbox(house, m);
    let Some(uid) = uid(house, mailbox, u) else {
        return;
    };
    let flags = Flags::of(if on { &[SystemFlag::Seen][..] } else { &[] });
    let request = FlagRequest {
        access: Access::owner(BOB, mailbox),
        uids: &[uid],
        change: &FlagChange::Set(flags),
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&request).unwrap();
}

fn imap(house: &mut House, act: &Act) {
    let now = house.now;
    match *act {
        Act::ImapAppend(n, thread) => {
            let content = letter(house, thread);
            let request = AppendRequest {
                account: BOB,
                mailbox: mailbox(house, n),
                content,
                flags: Flags::empty(),
                received: None,
                origin: OriginId::new(now, &mut house.entropy),
                by: Viewer::default().into(),
            };
            house.mailboxes.append(request, now).unwrap();
        }
        Act::ImapStore(m, u, on) => store(house, m, u, on),
        Act::ImapCopy(from, u, to, moving) => {
            let from = mailbox(house, from);
            let Some(uid) = uid(house, from, u) else {
                return;
            };
            let uids = [uid];
            let transfer = Transfer {
                from: Access::owner(BOB, from),
                uids: &uids,
                to: mailbox(house, to),
                by: None,
            };
            match moving {
                true => house.mailboxes.move_messages(&transfer, now).unwrap(),
                false => house.mailboxes.copy(&transfer, now).unwrap(),
            };
        }
        Act::ImapExpunge(m, u) => {
            let mailbox = mailbox(house, m);
            let Some(uid) = uid(house, mailbox, u) else {
                return;
            };
            house
                .mailboxes
                .expunge(&Access::owner(BOB, mailbox), &[uid], false, now)
                .unwrap();
        }
        Act::ImapMake(n) => {
            // It may be there already.
            let _ = house
                .mailboxes
                .create_folder(BOB, &format!("Made {n}"), None, now);
        }
        Act::ImapDelete(n) => {
            // The inbox stays.
            let _ = house
                .mailboxes
                .delete_folder(&Access::owner(BOB, mailbox(house, n)), now);
        }
        _ => {}
    }
}

fn jmap(house: &mut House, act: &Act) {
    let id_of = |house: &House, n: usize| ids::mailbox_id(BOB, mailbox(house, n));
    let set = match *act {
        Act::JmapCreate(n, thread) => {
            let into = id_of(house, n);
            let subject = format!("Re: talk {thread}");
            let references = json!([format!("{thread}@x")]);
            json!({"create": {"k": {"mailboxIds": {into: true}, "subject": subject, "references": references}}})
        }
        Act::JmapMove(e, a, b) => {
            let Some(email) = email(house, e) else { return };
            let (a, b) = (id_of(house, a), id_of(house, b));
            json!({"update": {email: {"mailboxIds": {a: true, b: true}}}})
        }
        Act::JmapFlag(e, n) => {
            let Some(email) = email(house, e) else { return };
            let patch = match n {
                0 => json!({"keywords/$seen": true}),
                1 => json!({"keywords/$seen": null, "keywords/label": true}),
                _ => json!({"keywords": {}}),
            };
            json!({"update": {email: patch}})
        }
        Act::JmapDestroy(e) => {
            let Some(email) = email(house, e) else { return };
            json!({"destroy": [email]})
        }
        _ => return,
    };
    let done = house.call("Email/set", set);
    for refused in ["notCreated", "notUpdated", "notDestroyed"] {
        assert_eq!(done[refused], Value::Null, "{act:?}");
    }
}

const TYPES: [&str; 3] = ["Email", "Mailbox", "Thread"];

/// What a client holds of one type.
#[derive(Clone, Debug, PartialEq)]
struct Replica {
    state: String,
    objects: BTreeMap<String, Value>,
}

fn properties(name: &str) -> Value {
    match name {
        "Email" => json!(["id", "mailboxIds", "keywords", "threadId", "size"]),
        _ => Value::Null,
    }
}

fn by_id(got: &Value) -> BTreeMap<String, Value> {
    let list = got["list"].as_array().unwrap().iter();
    list.map(|it| (it["id"].as_str().unwrap().to_owned(), it.clone()))
        .collect()
}

fn look(house: &mut House, name: &str) -> Replica {
    let args = json!({"ids": null, "properties": properties(name)});
    let got = house.call(&format!("{name}/get"), args);
    Replica {
        state: got["state"].as_str().unwrap().to_owned(),
        objects: by_id(&got),
    }
}

fn texts(ids: &Value) -> BTreeSet<String> {
    let ids = ids.as_array().unwrap().iter();
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Brings a replica up to date by what `/changes` tells, so many ids at a time.
fn follow(house: &mut House, name: &str, replica: &mut Replica, max: u64) {
    // Also what was gone again before it could be got.
    let mut told_of: BTreeSet<String> = replica.objects.keys().cloned().collect();
    loop {
        let args = json!({"sinceState": replica.state, "maxChanges": max});
        let changes = match house.try_call(&format!("{name}/changes"), args) {
            (answered, changes) if answered != "error" => changes,
            // One change of a conversation changes more mailboxes than that.
            (_, error) => {
                assert_eq!(error["type"], "cannotCalculateChanges");
                assert_eq!(name, "Mailbox");
                let args = json!({"sinceState": replica.state});
                house.call(&format!("{name}/changes"), args)
            }
        };
        let (created, updated) = (texts(&changes["created"]), texts(&changes["updated"]));
        let destroyed = texts(&changes["destroyed"]);
        let told = created.len() + updated.len() + destroyed.len();
        assert!(
            told as u64 <= max || changes["hasMoreChanges"] == false,
            "{name} {max} {changes}"
        );
        for id in &created {
            assert!(told_of.insert(id.clone()), "{name} {id} was there");
        }
        for id in updated.iter().chain(&destroyed) {
            assert!(told_of.contains(id), "{name} {id} was not there");
        }
        let wanted: Vec<&String> = created.union(&updated).collect();
        let args = json!({"ids": wanted, "properties": properties(name)});
        let got = house.call(&format!("{name}/get"), args);
        replica.objects.extend(by_id(&got));
        for id in &destroyed {
            replica.objects.remove(id);
            told_of.remove(id);
        }
        changes["newState"]
            .as_str()
            .unwrap()
            .clone_into(&mut replica.state);
        if changes["hasMoreChanges"] == false {
            return;
        }
        assert!(told > 0 || changes["oldState"] != changes["newState"]);
    }
}

/// How many histories: a few, or as many as `TERN_HISTORIES` says.
fn config() -> ProptestConfig {
    let asked = std::env::var("TERN_HISTORIES").ok();
    let cases = asked.and_then(|text| text.parse().ok()).unwrap_or(64);
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn changes_lead_from_any_state_to_what_there_is(
        acts in prop::collection::vec(act(), 1..50),
        max in 1..9_u64,
    ) {
        let mut house = House::new();
        let mut looks: Vec<[Replica; 3]> = Vec::new();
        for act in &acts {
            imap(&mut house, act);
            jmap(&mut house, act);
            if matches!(act, Act::Look) {
                looks.push(TYPES.map(|name| look(&mut house, name)));
            }
        }
        for replicas in looks {
            for (name, mut replica) in TYPES.into_iter().zip(replicas) {
                // All at once, then a few at a time.
                for max in [1_000, max] {
                    let mut copy = replica.clone();
                    follow(&mut house, name, &mut copy, max);
                    prop_assert_eq!(&copy, &look(&mut house, name), "{}", name);
                }
                replica.objects.clear();
            }
        }
        house.check();
    }
}

#[test]
fn what_changed_before_the_log_begins_is_not_told_in_part() {
    let mut house = House::new();
    imap(&mut house, &Act::ImapAppend(0, 0));
    let old = TYPES.map(|name| look(&mut house, name).state);
    imap(&mut house, &Act::ImapAppend(0, 1));
    let old_query = house.call("Email/query", json!({}))["queryState"].clone();
    imap(&mut house, &Act::ImapStore(0, 0, true));
    let log = Mailboxes::open(
        Arc::clone(&house.engine),
        [7; 32],
        Arc::new(NoListener),
        Hooks::none(),
    );
    assert!(log.unwrap().remembering(0).trim_log(BOB).unwrap());
    for (name, old) in TYPES.into_iter().zip(&old) {
        let since = |house: &mut House, state: &str| {
            house.try_call(&format!("{name}/changes"), json!({"sinceState": state}))
        };
        let (answered, error) = since(&mut house, old);
        assert_eq!(
            (answered.as_str(), &error["type"]),
            ("error", &json!("cannotCalculateChanges"))
        );
        let now = look(&mut house, name).state;
        let (_, told) = since(&mut house, &now);
        assert_eq!(told["updated"], json!([]), "{told}");
    }
    for kind in ["Email", "Mailbox"] {
        let args = json!({"sinceQueryState": old_query});
        let (answered, error) = house.try_call(&format!("{kind}/queryChanges"), args);
        assert_eq!(
            (answered.as_str(), &error["type"]),
            ("error", &json!("cannotCalculateChanges"))
        );
    }
    // Whoever listens is told to look at everything.
    let newest = house.mailboxes.newest_modseq(BOB).unwrap();
    let changed = tern_jmap::changed_types(&house.mailboxes, BOB, Modseq(2)).unwrap();
    assert_eq!(changed, (tern_jmap::Types::ALL, newest));
    house.check();
}

#[test]
fn a_change_of_many_at_once_is_followed_a_few_at_a_time() {
    // RFC 8620 5.2: each of them is one transaction.
    let mut house = House::new();
    for n in 0..40_u8 {
        imap(&mut house, &Act::ImapAppend(0, n));
    }
    let before = ["Email", "Thread"].map(|name| (name, look(&mut house, name)));
    let ids: Vec<String> = (0..40).filter_map(|n| email(&house, n)).collect();
    let seen: serde_json::Map<String, Value> = ids
        .iter()
        .map(|id| (id.clone(), json!({"keywords/$seen": true})))
        .collect();
    house.call("Email/set", json!({"update": seen}));
    let (some, _) = ids.split_at(20);
    house.call("Email/set", json!({"destroy": some}));
    for (name, replica) in before {
        for max in [1, 7, 39] {
            let mut copy = replica.clone();
            follow(&mut house, name, &mut copy, max);
            assert_eq!(copy, look(&mut house, name), "{name} {max}");
        }
        // States that were never given out.
        for amid in ["1.0", "1.01", "1.9999", ".1", "1.1.1"] {
            let ask = json!({"sinceState": amid, "maxChanges": 7});
            let error = house.error(&format!("{name}/changes"), ask);
            assert_eq!(error, "cannotCalculateChanges", "{amid}");
        }
    }
}
