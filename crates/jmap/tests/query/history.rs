//! Random histories: a client that follows `/queryChanges` has what a fresh `/query` finds.

use proptest::prelude::*;
use serde_json::{Value, json};
use tern_base::{MailboxId, Uid};
use tern_mailbox::{Access, FlagChange, FlagRequest, Flags, INBOX, SystemFlag, Transfer};

use crate::house::{ALICE, House};

#[derive(Clone, Debug)]
enum Act {
    Append(u32, usize, u64),
    Flag(u32, usize, u8),
    Copy(u32, usize, u32, bool),
    Expunge(u32, usize),
    Make(u8),
    Rename(u8, u8),
    Order(u8, u32),
    Delete(u8),
    Seal(usize),
    Withdraw(usize),
    Unseal(usize),
    Restore,
    Look(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let mailbox = || 1..6_u32;
    let nth = || 0..6_usize;
    prop_oneof![
        6 => (mailbox(), 0..9_usize, 0..9_u64).prop_map(|(m, n, at)| Act::Append(m, n, at)),
        4 => (mailbox(), nth(), 0..8_u8).prop_map(|(m, n, f)| Act::Flag(m, n, f)),
        4 => (mailbox(), nth(), mailbox(), any::<bool>())
            .prop_map(|(m, n, t, moving)| Act::Copy(m, n, t, moving)),
        2 => (mailbox(), nth()).prop_map(|(m, n)| Act::Expunge(m, n)),
        2 => (0..3_u8).prop_map(Act::Make),
        1 => (0..3_u8, 0..3_u8).prop_map(|(n, m)| Act::Rename(n, m)),
        1 => (0..3_u8, 0..3_u32).prop_map(|(n, order)| Act::Order(n, order)),
        1 => (0..3_u8).prop_map(Act::Delete),
        2 => (0..9_usize).prop_map(Act::Seal),
        2 => (0..9_usize).prop_map(Act::Withdraw),
        2 => (0..9_usize).prop_map(Act::Unseal),
        1 => Just(Act::Restore),
        8 => (0..QUERIES).prop_map(Act::Look),
    ]
}

/// Nine letters in three conversations.
fn letter(n: usize) -> Vec<u8> {
    let (thread, number) = (n / 3, n % 3);
    format!(
        "From: {}@example.org\r\nSubject: {}Topic {thread}\r\nMessage-ID: <{n}@example.org>\r\n\
         In-Reply-To: <{}@example.org>\r\n\r\nText {}\r\n",
        ["zoe", "adam", "bob"][number],
        ["", "Re: ", "Fwd: "][number],
        thread * 3,
        ["fish", "cake", "fish and cake"][(n * 5) % 3],
    )
    .into_bytes()
}

const QUERIES: usize = 11;

fn query(n: usize) -> (&'static str, Value) {
    let by = |property: &str| json!([{"property": property, "isAscending": false}]);
    let args = match n {
        0 => json!({}),
        1 => json!({"filter": {"inMailbox": "F1-1"}, "sort": by("receivedAt")}),
        2 => {
            json!({"filter": {"inMailbox": "F1-1"}, "sort": by("subject"), "collapseThreads": true})
        }
        3 => json!({"filter": {"notKeyword": "$seen"}, "sort": by("from")}),
        4 => {
            json!({"sort": [{"property": "hasKeyword", "keyword": "$flagged"}], "collapseThreads": true})
        }
        5 => json!({"filter": {"someInThreadHaveKeyword": "$work"}, "sort": by("size")}),
        6 => json!({"sort": [{"property": "allInThreadHaveKeyword", "keyword": "$seen"}]}),
        7 => json!({"filter": {"operator": "NOT", "conditions": [{"body": "fish"}]}}),
        8 => {
            json!({"filter": {"inMailboxOtherThan": ["F1-2"], "text": "cake"}, "collapseThreads": true})
        }
        9 => json!({"sort": [{"property": "name"}], "sortAsTree": true}),
        _ => {
            json!({"filter": {"name": "2"}, "filterAsTree": true, "sort": [{"property": "sortOrder"}]})
        }
    };
    (if n < 9 { "Email" } else { "Mailbox" }, args)
}

/// What a client remembers of a query.
struct Client {
    state: Value,
    ids: Vec<Value>,
}

impl Client {
    fn fresh(house: &mut House, n: usize) -> Self {
        let (kind, args) = query(n);
        let answer = house.call(&format!("{kind}/query"), args);
        Self {
            state: answer["queryState"].clone(),
            ids: answer["ids"].as_array().unwrap().clone(),
        }
    }

    /// RFC 8620 5.6: out with what was removed, then in with what was added, from the lowest index.
    fn follow(&mut self, house: &mut House, n: usize) {
        let (kind, mut args) = query(n);
        args["sinceQueryState"] = self.state.clone();
        args["calculateTotal"] = true.into();
        let (name, answer) = house.try_call(&format!("{kind}/queryChanges"), args);
        if name == "error" {
            assert_eq!(answer["type"], "cannotCalculateChanges");
            *self = Self::fresh(house, n);
            return;
        }
        let removed = answer["removed"].as_array().unwrap();
        self.ids.retain(|id| !removed.contains(id));
        for added in answer["added"].as_array().unwrap() {
            let index = usize::try_from(added["index"].as_u64().unwrap()).unwrap();
            assert!(!self.ids.contains(&added["id"]), "it is there already");
            self.ids.insert(index, added["id"].clone());
        }
        assert_eq!(answer["total"], self.ids.len());
        self.state = answer["newQueryState"].clone();
    }
}

fn nth(house: &House, mailbox: u32, n: usize) -> Option<Uid> {
    let uids = house.uids(MailboxId(mailbox));
    (!uids.is_empty()).then(|| uids[n % uids.len()])
}

fn play(house: &mut House, act: &Act) {
    let now = house.now;
    match *act {
        Act::Append(mailbox, n, at) => {
            let exists = house.mailboxes.view(ALICE, MailboxId(mailbox)).is_ok();
            let mailbox = if exists { MailboxId(mailbox) } else { INBOX };
            // What comes under a seal is not shown.
            house.append(mailbox, &letter(n), at, Flags::empty());
        }
        Act::Flag(mailbox, n, bits) => {
            let Some(uid) = nth(house, mailbox, n) else {
                return;
            };
            let mut flags = Flags::empty();
            flags.set(SystemFlag::Seen, bits & 1 != 0);
            flags.set(SystemFlag::Flagged, bits & 2 != 0);
            if bits & 4 != 0 {
                flags.add_keyword("$work");
            }
            let request = FlagRequest {
                access: Access::owner(ALICE, MailboxId(mailbox)),
                uids: &[uid],
                change: &FlagChange::Set(flags),
                unchanged_since: None,
                by: None,
            };
            house.mailboxes.change_flags(&request).unwrap();
        }
        Act::Copy(from, n, to, moving) => {
            let Some(uid) = nth(house, from, n) else {
                return;
            };
            let transfer = Transfer {
                from: Access::owner(ALICE, MailboxId(from)),
                uids: &[uid],
                to: MailboxId(to),
                by: None,
            };
            let _ = match moving {
                true => house.mailboxes.move_messages(&transfer, now),
                false => house.mailboxes.copy(&transfer, now),
            };
        }
        Act::Expunge(mailbox, n) => {
            let Some(uid) = nth(house, mailbox, n) else {
                return;
            };
            let of = MailboxId(mailbox);
            let _ = house
                .mailboxes
                .expunge(&Access::owner(ALICE, of), &[uid], false, now);
        }
        Act::Make(_) | Act::Rename(..) | Act::Order(..) | Act::Delete(_) => arrange(house, act),
        Act::Seal(n) => house.seal(&letter(n)),
        Act::Withdraw(n) => house.withdraw(&letter(n)),
        Act::Unseal(n) => house.unseal(&letter(n)),
        Act::Restore => house.restore_all(),
        Act::Look(_) => {}
    }
}

/// What is done to mailboxes.
fn arrange(house: &House, act: &Act) {
    let now = house.now;
    let folder = |house: &House, n: u8| {
        let mut folders = house.mailboxes.folders(ALICE).unwrap().into_iter();
        folders.find(|folder| folder.path.ends_with(&format!("Made {n}")))
    };
    match *act {
        Act::Make(n) => {
            let path = format!("Made {n}");
            let _ = house.mailboxes.create_folder(ALICE, &path, None, now);
        }
        Act::Rename(n, below) => {
            let Some(folder) = folder(house, n) else {
                return;
            };
            let path = format!("Made {below}/Made {n}");
            let _ = house
                .mailboxes
                .rename_folder(&Access::owner(ALICE, folder.id), &path, now);
        }
        Act::Order(n, order) => {
            let Some(folder) = folder(house, n) else {
                return;
            };
            let change = tern_mailbox::FolderChange {
                sort_order: Some(order),
                ..Default::default()
            };
            house
                .mailboxes
                .change_folder(ALICE, folder.id, &change)
                .unwrap();
        }
        Act::Delete(n) => {
            let Some(folder) = folder(house, n) else {
                return;
            };
            let _ = house
                .mailboxes
                .delete_folder(&Access::owner(ALICE, folder.id), now);
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn a_client_that_follows_the_changes_has_what_a_fresh_query_finds(
        acts in prop::collection::vec(act(), 1..80),
    ) {
        let mut house = House::new();
        let mut clients: Vec<Client> =
            (0..QUERIES).map(|n| Client::fresh(&mut house, n)).collect();
        for act in &acts {
            play(&mut house, act);
            if let Act::Look(n) = *act {
                clients[n].follow(&mut house, n);
                let fresh = Client::fresh(&mut house, n);
                prop_assert_eq!(&clients[n].ids, &fresh.ids, "{:?}", query(n));
                prop_assert_eq!(&clients[n].state, &fresh.state);
            }
        }
    }
}
