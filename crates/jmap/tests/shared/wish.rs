//! With whom mailboxes are shared, as it is when that is written, and who learns of it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tern_base::{AccountId, EmailAddress, MailboxId, SeededEntropy};
use tern_directory::{
    NewAccount, Principals, Target, Visible, add_members, create_account, create_group,
};
use tern_mailbox::{
    Acting, Grantee, Hooks, MailboxError, Mailboxes, NoListener, Rights, RightsChange,
};
use tern_session::sharing::{self, Wanted, Wish};
use tern_session::{RightsRequest, ids};
use tern_store::Verdict;

use crate::house::{BOB, CAROL, House};

const TEAM: Grantee = Grantee::Group(7);

fn mailbox(id: MailboxId) -> String {
    ids::mailbox_id(BOB, id)
}

fn rights(letters: &str) -> Rights {
    Rights::from_letters(letters).unwrap()
}

fn grants(house: &House, of: MailboxId) -> Vec<(Grantee, String)> {
    let all = house.mailboxes.grants(BOB, of).unwrap().into_iter();
    all.map(|(who, rights)| (who, rights.letters())).collect()
}

/// What somebody gets, by whatever protocol, also in the middle of another transaction.
fn give(house: &House, of: MailboxId, who: Grantee, letters: &str) {
    let done = tern_store::transact(&*house.engine, |txn| {
        let set = RightsChange::Set(rights(letters));
        let done = house.mailboxes.change_rights_in(txn, (BOB, of), who, set)?;
        Ok::<_, MailboxError>(Verdict::Commit(done))
    });
    done.unwrap();
}

/// A wish of Bob's, while somebody else does this.
fn wish(house: &House, of: MailboxId, wish: &Wish<'_>, meanwhile: (Grantee, &str)) {
    let connection = house.caller().connection();
    let mut entropy = SeededEntropy::new(2);
    let who = (BOB, "bob@example.org");
    let mut entry = || sharing::entry_of(who, &connection, house.now, &mut entropy);
    let (mailboxes, turn) = (&*house.mailboxes, Cell::new(0));
    let first = |_: &mut tern_store::Transaction<'_>| {
        turn.set(turn.get() + 1);
        // By then it is known whose rights change.
        if turn.get() == 2 {
            give(house, of, meanwhile.0, meanwhile.1);
        }
        Ok(of)
    };
    let done = house
        .sharing
        .change_together(mailboxes, wish, &mut entry, first);
    assert_eq!(done.unwrap(), of);
}

#[test]
fn what_others_give_and_take_meanwhile_counts() {
    let house = House::new();
    let one = house.folder(None, "One");
    let carol = Grantee::Account(CAROL);
    let of_bob = |named: BTreeMap<Grantee, (Wanted, bool)>, is_whole| Wish {
        owner: BOB,
        acting: &Acting::Owner,
        named,
        is_whole,
        is_new: false,
        also: None,
    };
    // What was taken away does not come back by something that is said of the rest.
    house.grant(one, "lrw");
    let seen = Wanted::Each(vec![(Rights::SEEN, true)]);
    let part = of_bob([(carol, (seen, true))].into(), false);
    wish(&house, one, &part, (carol, "w"));
    assert_eq!(grants(&house, one), [(carol, "lsw".to_owned())]);
    // Nobody stays who was added.
    let nobody = of_bob(BTreeMap::new(), true);
    wish(&house, one, &nobody, (TEAM, "lr"));
    assert_eq!(grants(&house, one), []);
    house.check();
}

#[test]
fn a_new_mailbox_is_shared_as_it_is_said_and_what_it_is_is_told() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    house.grant(one, "lrs");
    give(&house, one, TEAM, "lr");
    let mut make = |name: &str, with: Value| {
        let mut object = json!({"name": name, "parentId": mailbox(one)});
        if let Some(with) = with.get("is") {
            object["shareWith"] = with.clone();
        }
        let made = house.call("Mailbox/set", json!({"create": {"k": object}}));
        let told = made["created"]["k"].clone();
        let id = ids::parse_mailbox_id(BOB, told["id"].as_str().unwrap()).unwrap();
        (told, grants(&house, id))
    };
    let (told, held) = make("Private", json!({"is": null}));
    assert_eq!((told.get("shareWith"), held), (None, Vec::new()));
    let (told, held) = make("Hers", json!({"is": {"P2": {"mayReadItems": true}}}));
    assert_eq!(held, [(Grantee::Account(CAROL), "lr".to_owned())]);
    assert_eq!(told["shareWith"]["P2"]["maySetSeen"], false);
    // As the one around it, where nothing is said.
    let (told, held) = make("Theirs", json!({}));
    assert_eq!(held.len(), 2);
    assert_eq!(told["shareWith"]["P2"]["maySetSeen"], true);
    assert_eq!(told["shareWith"].as_object().unwrap().len(), 2);
    // Nobody hears of what they never had.
    house.who = CAROL;
    let got = house.call("ShareNotification/get", json!({"ids": null}));
    let names: Vec<&Value> = got["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|notice| &notice["name"])
        .collect();
    assert_eq!(names, ["Hers"]);
    // Who may not share makes nothing that others don't see.
    house.grant(one, "lrk");
    let object = json!({"name": "Mine", "parentId": mailbox(one), "shareWith": null});
    let told = house.of_bob("Mailbox/set", json!({"create": {"k": object}}));
    assert_eq!(told["notCreated"]["k"]["type"], "forbidden");
    house.check();
}

#[test]
fn whoever_has_something_gives_it_up() {
    let mut house = House::new();
    let (one, two) = (house.folder(None, "One"), house.folder(None, "Two"));
    house.grant(one, "lr");
    give(&house, one, TEAM, "lr");
    house.grant(two, "lr");
    house.who = CAROL;
    let set = |house: &mut House, of: MailboxId, patch: Value| {
        let told = house.of_bob("Mailbox/set", json!({"update": {mailbox(of): patch}}));
        (told["notUpdated"][mailbox(of)]["type"].clone(), told)
    };
    for patch in [
        json!({"shareWith/P2": null, "shareWith/PG7": null}),
        json!({"shareWith/PG7": null}),
        json!({"shareWith/P2": {}}),
        json!({"shareWith/P2/mayReadItems": null}),
        json!({"shareWith": {}}),
    ] {
        assert_eq!(
            set(&mut house, one, patch.clone()).0,
            "forbidden",
            "{patch}"
        );
    }
    let (error, _) = set(&mut house, one, json!({"shareWith/P2": null}));
    assert_eq!(error, Value::Null);
    assert_eq!(grants(&house, one), [(TEAM, "lr".to_owned())]);
    // With the last of it the account is there no more, and so it is told.
    let (error, told) = set(&mut house, two, json!({"shareWith/P2": null}));
    assert_eq!(error, Value::Null);
    assert_ne!(told["oldState"], told["newState"]);
    assert_eq!(
        house.error_of_bob("Mailbox/get", json!({"ids": null})),
        "accountNotFound"
    );
    house.check();
}

#[test]
fn of_a_mailbox_that_is_not_seen_nobody_is_notified() {
    let mut house = House::new();
    let one = house.folder(None, "Layoffs");
    let names = |house: &mut House| {
        let who = std::mem::replace(&mut house.who, CAROL);
        let got = house.call("ShareNotification/get", json!({"ids": null}));
        house.who = who;
        let list = got["list"].as_array().unwrap().iter();
        list.map(|one| (one["name"].clone(), one["newRights"].clone()))
            .collect::<Vec<_>>()
    };
    let by_imap = |house: &mut House, letters: &str| {
        let connection = house.caller().connection();
        let who = (BOB, "bob@example.org");
        let entry = sharing::entry_of(who, &connection, house.now, &mut house.entropy);
        let request = RightsRequest {
            owner: BOB,
            mailbox: one,
            grantee: Grantee::Account(CAROL),
            change: RightsChange::Set(rights(letters)),
            acting: &Acting::Owner,
        };
        let done = house.sharing.change(&house.mailboxes, &request, entry);
        assert_eq!(done.unwrap(), rights(letters));
    };
    for letters in ["i", "ip", "p", ""] {
        by_imap(&mut house, letters);
        assert_eq!(names(&mut house), [], "{letters}");
    }
    by_imap(&mut house, "li");
    by_imap(&mut house, "i");
    assert_eq!(names(&mut house).len(), 2, "given, and taken away");
    // By another name she sees it all the same.
    give(&house, one, Grantee::Anyone, "l");
    by_imap(&mut house, "ip");
    assert_eq!(names(&mut house).len(), 3);
    // What it is called by then is told, and who did it by name alone where she finds nobody.
    let patch = json!({"name": "Plans", "shareWith/P2": {"mayReadItems": true}});
    let told = house.call("Mailbox/set", json!({"update": {mailbox(one): patch}}));
    assert_eq!(told["notUpdated"], Value::Null);
    house.principals = Principals::new(Arc::clone(&house.engine), Visible::Own);
    house.who = CAROL;
    let got = house.call("ShareNotification/get", json!({"ids": null}));
    let last = got["list"].as_array().unwrap().last().unwrap();
    assert_eq!(last["name"], "Plans");
    let by = json!({"name": "bob", "email": null, "principalId": null});
    assert_eq!(last["changedBy"], by);
    house.check();
}

#[test]
fn the_state_of_who_may_share_moves_with_what_is_shared() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    house.grant(one, "lra");
    house.who = CAROL;
    let state = |house: &mut House| {
        let got = house.of_bob("Mailbox/get", json!({"ids": null}));
        got["state"].clone()
    };
    let before = state(&mut house);
    give(&house, one, TEAM, "lr");
    let after = state(&mut house);
    assert_ne!(before, after);
    let whole = json!({"update": {mailbox(one): {"shareWith": {"P2": {"mayShare": true}}}},
        "ifInState": before});
    assert_eq!(house.error_of_bob("Mailbox/set", whole), "stateMismatch");
    // It says nothing to whoever may not know.
    house.grant(one, "lr");
    let before = state(&mut house);
    give(&house, one, TEAM, "l");
    assert_eq!(state(&mut house), before);
}

/// Another mailbox of the account is so busy that its log forgets what the reader saw last.
#[test]
fn a_quiet_mailbox_is_followed_however_busy_the_rest_of_the_account_is() {
    let mut house = House::new();
    let (one, busy) = (house.folder(None, "One"), house.folder(None, "Busy"));
    let id = house.put(&[one], "one", "text");
    house.grant(one, "lrswite");
    house.who = CAROL;
    let of: Vec<(&str, Value)> = ["Email", "Thread", "Mailbox"]
        .map(|of| {
            let got = house.of_bob(&format!("{of}/get"), json!({"ids": []}));
            (of, got["state"].clone())
        })
        .into();
    let queries = ["Email", "Mailbox"].map(|of| {
        let got = house.of_bob(&format!("{of}/query"), json!({}));
        (of, got["queryState"].clone())
    });
    let forget = |house: &House| {
        let boxes = Mailboxes::open(
            Arc::clone(&house.engine),
            [7; 32],
            Arc::new(NoListener),
            Hooks::none(),
        );
        assert!(boxes.unwrap().remembering(1).trim_log(BOB).unwrap());
    };
    for n in 0..4 {
        house.put(&[busy], "busy", &format!("text {n}"));
    }
    forget(&house);
    for (of, state) in &of {
        let told = house.of_bob(&format!("{of}/changes"), json!({"sinceState": state}));
        assert_eq!(told["newState"], *state);
        assert_eq!(told["updated"], json!([]));
    }
    for (of, state) in &queries {
        let args = json!({"sinceQueryState": state});
        let told = house.of_bob(&format!("{of}/queryChanges"), args);
        assert_eq!(told["added"], json!([]), "{of}");
    }
    // What the reader does themselves leads on.
    let patch = json!({"update": {&id: {"keywords/$seen": true}}});
    let set = house.of_bob("Email/set", patch);
    assert_eq!(set["notUpdated"], Value::Null);
    assert_ne!(set["newState"], set["oldState"]);
    house.put(&[busy], "busy", "more");
    forget(&house);
    let told = house.of_bob("Email/changes", json!({"sinceState": set["newState"]}));
    assert_eq!(told["updated"], json!([]));
    house.check();
}

#[test]
fn a_conversation_that_is_left_counts_in_each_of_its_mailboxes() {
    let mut house = House::new();
    let all = ["A", "B", "Private"].map(|name| house.folder(None, name));
    let [a, b, private] = all;
    for shared in [a, b] {
        house.grant(shared, "lr");
    }
    let unread = house.put(&[a], "talk", "unread");
    let read = house.put(&[b], "talk", "read");
    house.call(
        "Email/set",
        json!({"update": {read: {"keywords/$seen": true}}}),
    );
    for goes in [false, true] {
        house.who = CAROL;
        let got = house.of_bob("Mailbox/get", json!({"ids": [mailbox(b)]}));
        assert_eq!(got["list"][0]["unreadThreads"], 1);
        house.who = BOB;
        let to = json!({mailbox(private): true});
        house.call(
            "Email/set",
            json!({"update": {&unread: {"mailboxIds": to}}}),
        );
        if goes {
            house.call("Email/set", json!({"destroy": [&unread]}));
        }
        house.who = CAROL;
        let told = house.of_bob("Mailbox/changes", json!({"sinceState": got["state"]}));
        assert_eq!(told["updated"], json!([mailbox(a), mailbox(b)]), "{goes}");
        house.who = BOB;
        if !goes {
            let back = json!({mailbox(a): true});
            house.call(
                "Email/set",
                json!({"update": {&unread: {"mailboxIds": back}}}),
            );
        }
    }
    house.check();
}

#[test]
fn what_is_in_a_mailbox_shows_to_nobody_who_may_not_read_it() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    house.put(&[one], "one", "text");
    house.grant(one, "lx");
    house.who = CAROL;
    let told = house.of_bob("Mailbox/set", json!({"destroy": [mailbox(one)]}));
    assert_eq!(told["notDestroyed"][mailbox(one)]["type"], "forbidden");
    house.grant(one, "lrx");
    let told = house.of_bob("Mailbox/set", json!({"destroy": [mailbox(one)]}));
    assert_eq!(
        told["notDestroyed"][mailbox(one)]["type"],
        "mailboxHasEmail"
    );
    assert_eq!(house.mailboxes.folder(BOB, "One").unwrap().id, one);
}

/// Groups of more accounts than are told of one update.
#[test]
fn one_update_tells_so_many_and_no_more() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    let address = |name: &str| EmailAddress::parse(&format!("{name}@example.org")).unwrap();
    let mut shared = serde_json::Map::new();
    let mut all = Vec::new();
    for group in 0..3 {
        let made = create_group(
            &*house.engine,
            &address(&format!("group{group}")),
            "",
            house.now,
        );
        let id = made.unwrap().id;
        let mut members = Vec::new();
        for n in 0..200 {
            let name = format!("member{group}-{n}");
            let new = NewAccount {
                address: address(&name),
                display_name: name.clone(),
                quota_bytes: 0,
            };
            let account = create_account(&*house.engine, &new, house.now).unwrap().id;
            let boxes = &house.mailboxes;
            boxes.create_account(account, 0, &[], house.now).unwrap();
            members.push(Target::Account(account));
            all.push(account);
        }
        add_members(&*house.engine, id, &members).unwrap();
        shared.insert(format!("PG{}", id.0), json!({"mayReadItems": true}));
    }
    let patch = json!({"update": {mailbox(one): {"shareWith": shared}}});
    let told = house.call("Mailbox/set", patch);
    assert_eq!(told["notUpdated"], Value::Null);
    let notices = |account: &AccountId| house.mailboxes.share_notices(*account).unwrap().all.len();
    assert_eq!(
        all.iter().map(notices).sum::<usize>(),
        tern_session::limits::MAX_NOTIFIED_TOGETHER
    );
    assert_eq!(grants(&house, one).len(), 3);
    house.check();
}
