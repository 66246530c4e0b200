//! A reader who follows the changes of somebody else's account has what there is for them, and learns
//! nothing of the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tern_base::{Entropy as _, MailboxId, SeededEntropy};
use tern_session::ids;

use crate::house::{BOB, CAROL, House};

/// What the reader has of one type.
struct Follower {
    of: &'static str,
    state: Value,
    ids: BTreeSet<String>,
}

impl Follower {
    fn new(house: &mut House, of: &'static str) -> Self {
        let mut follower = Self {
            of,
            state: Value::Null,
            ids: BTreeSet::new(),
        };
        (follower.ids, follower.state) = follower.there(house);
        follower
    }

    fn there(&self, house: &mut House) -> (BTreeSet<String>, Value) {
        let got = house.of_bob(&format!("{}/get", self.of), json!({"ids": null}));
        let list = got["list"].as_array().unwrap().iter();
        let ids = list.map(|one| one["id"].as_str().unwrap().to_owned());
        (ids.collect(), got["state"].clone())
    }

    fn follow(&mut self, house: &mut House, max: usize) {
        loop {
            let args = json!({"sinceState": self.state, "maxChanges": max});
            let name = format!("{}/changes", self.of);
            let mut args = args;
            args["accountId"] = "A1".into();
            let (answered, told) = house.try_call(&name, args);
            if answered == "error" {
                assert_eq!(told["type"], "cannotCalculateChanges", "{told}");
                (self.ids, self.state) = self.there(house);
                return;
            }
            let all = |name: &str| {
                let all = told[name].as_array().unwrap().iter();
                all.map(|id| id.as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            };
            for id in all("created") {
                assert!(self.ids.insert(id), "{told}");
            }
            for id in all("updated") {
                assert!(self.ids.contains(&id), "{told}");
            }
            for id in all("destroyed") {
                assert!(self.ids.remove(&id), "{told}");
            }
            self.state = told["newState"].clone();
            if told["hasMoreChanges"] == false {
                return;
            }
        }
    }
}

/// A random number below `below`.
fn random(entropy: &mut SeededEntropy, below: usize) -> usize {
    let mut octets = [0; 4];
    entropy.fill(&mut octets);
    u32::from_le_bytes(octets) as usize % below
}

struct World {
    house: House,
    mailboxes: Vec<MailboxId>,
    there: BTreeMap<String, BTreeSet<usize>>,
    entropy: SeededEntropy,
}

impl World {
    fn new(seed: u64) -> Self {
        let house = House::new();
        let mailboxes: Vec<MailboxId> = ["a", "b", "c", "d"]
            .iter()
            .map(|name| house.folder(None, name))
            .collect();
        house.grant(mailboxes[0], "lr");
        house.grant(mailboxes[1], "lr");
        Self {
            house,
            mailboxes,
            there: BTreeMap::new(),
            entropy: SeededEntropy::new(seed),
        }
    }

    fn pick(&mut self) -> Option<String> {
        let count = self.there.len();
        (count > 0).then(|| {
            let at = random(&mut self.entropy, count);
            self.there.keys().nth(at).unwrap().clone()
        })
    }

    fn some_mailboxes(&mut self) -> BTreeSet<usize> {
        let mut all: BTreeSet<usize> = (0..4)
            .filter(|_| random(&mut self.entropy, 3) == 0)
            .collect();
        if all.is_empty() {
            all.insert(random(&mut self.entropy, 4));
        }
        all
    }

    fn kept(&self, all: &BTreeSet<usize>) -> Vec<MailboxId> {
        all.iter().map(|n| self.mailboxes[*n]).collect()
    }

    fn step(&mut self) {
        match random(&mut self.entropy, 5) {
            0 | 1 => {
                let all = self.some_mailboxes();
                let kept = self.kept(&all);
                let subject = ["one", "two"][random(&mut self.entropy, 2)];
                let id = self.house.put(&kept, subject, "text");
                self.there.insert(id, all);
            }
            2 => {
                let Some(id) = self.pick() else { return };
                let all = self.some_mailboxes();
                let set = self.kept(&all).into_iter();
                let set: serde_json::Map<String, Value> = set
                    .map(|it| (ids::mailbox_id(BOB, it), true.into()))
                    .collect();
                self.house.bob_updates(&id, json!({"mailboxIds": set}));
                self.there.insert(id, all);
            }
            3 => {
                let Some(id) = self.pick() else { return };
                let set = [json!(true), Value::Null][random(&mut self.entropy, 2)].clone();
                self.house
                    .bob_updates(&id, json!({"keywords/$flagged": set}));
            }
            _ => {
                let Some(id) = self.pick() else { return };
                let who = std::mem::replace(&mut self.house.who, BOB);
                self.house.call("Email/set", json!({"destroy": [id]}));
                self.house.who = who;
                self.there.remove(&id);
            }
        }
    }

    fn seen(&self) -> BTreeSet<String> {
        let seen = self.there.iter();
        let seen = seen.filter(|(_, of)| of.iter().any(|mailbox| *mailbox < 2));
        seen.map(|(id, _)| id.clone()).collect()
    }
}

#[test]
fn whoever_follows_the_changes_has_what_there_is_for_them() {
    for seed in 0..6 {
        let mut world = World::new(seed);
        world.house.who = CAROL;
        let mut followers: Vec<Follower> = ["Email", "Thread", "Mailbox"]
            .into_iter()
            .map(|of| Follower::new(&mut world.house, of))
            .collect();
        let args = json!({"sort": [{"property": "hasKeyword", "keyword": "$flagged"}]});
        let first = world.house.of_bob("Email/query", args.clone());
        let mut results = first["ids"].as_array().unwrap().clone();
        let mut state = first["queryState"].clone();
        for round in 0..40 {
            for _ in 0..=random(&mut world.entropy, 4) {
                world.step();
            }
            let max = 1 + random(&mut world.entropy, 4);
            for follower in &mut followers {
                follower.follow(&mut world.house, max);
                let (there, _) = follower.there(&mut world.house);
                assert_eq!(follower.ids, there, "{} {seed} {round}", follower.of);
            }
            assert_eq!(followers[0].ids, world.seen());
            let mut since = args.clone();
            since["sinceQueryState"] = state;
            let told = world.house.of_bob("Email/queryChanges", since);
            results.retain(|id| !told["removed"].as_array().unwrap().contains(id));
            for added in told["added"].as_array().unwrap() {
                let at = added["index"].as_u64().unwrap() as usize;
                results.insert(at, added["id"].clone());
            }
            let fresh = world.house.of_bob("Email/query", args.clone());
            assert_eq!(json!(results), fresh["ids"], "{seed} {round}");
            state = told["newQueryState"].clone();
        }
        world.house.check();
    }
}

#[test]
fn no_state_says_what_happens_where_a_reader_does_not_look() {
    let mut world = World::new(1);
    let seen = world
        .house
        .put(&[world.mailboxes[0], world.mailboxes[2]], "seen", "text");
    world.house.who = CAROL;
    let states = |house: &mut House| {
        let mut all = Vec::new();
        for of in ["Email", "Thread", "Mailbox"] {
            all.push(house.of_bob(&format!("{of}/get"), json!({"ids": []}))["state"].clone());
        }
        for of in ["Email", "Mailbox"] {
            all.push(house.of_bob(&format!("{of}/query"), json!({}))["queryState"].clone());
        }
        all
    };
    let before = states(&mut world.house);
    let hidden = world.house.put(&[world.mailboxes[2]], "hidden", "text");
    world
        .house
        .bob_updates(&hidden, json!({"keywords/$seen": true}));
    let other = ids::mailbox_id(BOB, world.mailboxes[3]);
    world
        .house
        .bob_updates(&seen, json!({format!("mailboxIds/{other}"): true}));
    world.house.who = BOB;
    let destroy = json!({"destroy": [hidden]});
    world.house.call("Email/set", destroy);
    world.house.who = CAROL;
    assert_eq!(states(&mut world.house), before);
    // A new one that inherits its rights is one more that is read.
    world.house.folder(Some(world.mailboxes[0]), "another");
    let mailboxes = world.house.of_bob("Mailbox/get", json!({"ids": null}));
    assert_eq!(mailboxes["list"].as_array().unwrap().len(), 3);
    assert_ne!(states(&mut world.house), before);
    let again = states(&mut world.house);
    world.house.put(&[world.mailboxes[3]], "unseen", "text");
    assert_eq!(states(&mut world.house), again);
    // A number of the account is no state of a reader's, nor is one of the owner's.
    world.house.who = BOB;
    let own = world.house.call("Email/get", json!({"ids": []}))["state"].clone();
    world.house.who = CAROL;
    for state in [own, json!("1"), json!("x".repeat(32)), again[2].clone()] {
        let kind = world
            .house
            .error_of_bob("Email/changes", json!({"sinceState": state}));
        assert_eq!(kind, "cannotCalculateChanges", "{state}");
    }
}

#[test]
fn other_rights_are_another_state() {
    let mut world = World::new(1);
    world.house.who = CAROL;
    let state = |house: &mut House, of: &str| {
        let got = house.of_bob(&format!("{of}/get"), json!({"ids": []}));
        got["state"].clone()
    };
    let (emails, mailboxes) = (
        state(&mut world.house, "Email"),
        state(&mut world.house, "Mailbox"),
    );
    // What may be done there is told of the mailbox, and shows no other message.
    world.house.grant(world.mailboxes[0], "lrs");
    assert_eq!(state(&mut world.house, "Email"), emails);
    let since = json!({"sinceState": mailboxes});
    assert_eq!(
        world.house.error_of_bob("Mailbox/changes", since),
        "cannotCalculateChanges"
    );
    world.house.grant(world.mailboxes[2], "lr");
    let since = json!({"sinceState": emails});
    assert_eq!(
        world.house.error_of_bob("Email/changes", since),
        "cannotCalculateChanges"
    );
}
