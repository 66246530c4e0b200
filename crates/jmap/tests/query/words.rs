//! Searches after a restart: words that were kept say the same as content, and put the same on record.

use std::sync::Arc;

use serde_json::{Value, json};
use tern_base::MailboxId;
use tern_mailbox::{Flags, Hooks, INBOX, Mailboxes, NoListener};
use tern_store::{Batch, Engine as _};

use crate::house::{ALICE, House};

const MESSAGES: usize = 400;
const SENT: MailboxId = MailboxId(2);

fn letter(n: usize) -> Vec<u8> {
    format!(
        "From: {} <p{}@example.org>\r\nSubject: Topic {}\r\nMessage-ID: <{n}@example.org>\r\n\r\n\
         Number {n} of\r\n many {}\r\n",
        ["Zoe", "Adam", "Fishmonger"][n % 3],
        n % 50,
        n % 7,
        ["fish", "CAKE", "fish and cake", "Ärger", "5 \u{212a}elvin"][n % 5],
    )
    .into_bytes()
}

/// A house with mail, as it is after a restart: with the words of a search before it, or without.
fn after_restart(with_words: bool) -> House {
    let mut house = House::new();
    for n in 0..MESSAGES {
        let mailbox = if n % 4 == 0 { SENT } else { INBOX };
        house.append(mailbox, &letter(n), n as u64, Flags::empty());
    }
    if with_words {
        for held in house.mailboxes.account_view(ALICE).unwrap().iter() {
            house.mailboxes.want_words(ALICE, held.message);
        }
        assert!(house.upkeep.make_words(100).unwrap());
    }
    restart(&mut house);
    house
}

fn restart(house: &mut House) {
    let engine = house.engine.clone();
    let (listener, hooks) = (Arc::new(NoListener), Hooks::none());
    let opened = Mailboxes::open(engine, [7; 32], listener, hooks);
    let opened = opened.unwrap().into_opened();
    house.mailboxes = opened.mailboxes;
    house.sealing = opened.sealing;
    house.upkeep = opened.upkeep;
}

/// Takes all content away, so that whoever reads it fails.
fn lose_content(house: &House) {
    let mut batch = Batch::new();
    let all: Vec<_> = house
        .mailboxes
        .account_view(ALICE)
        .unwrap()
        .iter()
        .map(|it| it.message)
        .collect();
    for row in house.mailboxes.messages(ALICE, &all).unwrap() {
        batch.delete_blob(row.unwrap().unwrap().blob, 1);
    }
    house.engine.commit(batch).unwrap();
}

/// What a filter finds, counted and in order.
fn find(house: &mut House, filter: &Value) -> Value {
    let sort = json!([{"property": "receivedAt", "isAscending": true}]);
    let args = json!({"filter": filter, "sort": sort, "calculateTotal": true});
    let mut answer = house.call("Email/query", args);
    json!([answer["ids"].take(), answer["total"].take()])
}

/// What is on record as served by now, of each message.
fn ledgers(house: &House) -> Vec<String> {
    let view = house.mailboxes.account_view(ALICE).unwrap();
    let ledger = |message| format!("{:?}", house.sealing.ledger(ALICE, message).unwrap());
    view.iter().map(|held| ledger(held.message)).collect()
}

#[test]
fn kept_words_find_what_content_says_and_put_the_same_on_record() {
    let not = |filter: Value| json!({"operator": "NOT", "conditions": [filter]});
    let filters = [
        json!({"text": "fish"}),
        json!({"body": "fish"}),
        json!({"body": "isH"}),
        json!({"body": "\"of many\""}),
        json!({"text": "\"fish and\" zoe"}),
        json!({"body": "nowhere"}),
        json!({"body": "ÄRGER"}),
        json!({"body": "kelvin"}),
        json!({"subject": "topic 3", "body": "cake"}),
        not(json!({"body": "fish"})),
        not(json!({"text": "e"})),
        json!({"operator": "OR", "conditions": [{"body": "number 7"}, {"from": "adam"}]}),
        json!({"operator": "OR", "conditions": [{"body": "cake"}, {"header": ["X-None"]}]}),
        json!({"operator": "AND", "conditions": [{"body": "fish"}, {"body": "cake"}, {"from": "adam"}]}),
        json!({"operator": "AND", "conditions": [{"inMailbox": "F1-2"}, {"text": "cake"}]}),
    ];
    for filter in filters {
        let mut with_words = after_restart(true);
        let mut without = after_restart(false);
        let found = find(&mut with_words, &filter);
        assert_eq!(found, find(&mut without, &filter), "{filter}");
        assert!(ledgers(&with_words) == ledgers(&without), "{filter}");
        // And the same again, from what is in memory by now.
        assert_eq!(found, find(&mut with_words, &filter), "{filter}");
    }
}

#[test]
fn the_first_search_after_a_restart_reads_nothing_that_was_read_before() {
    let mut house = after_restart(true);
    let (expected, nothing) = (find(&mut house, &json!({"body": "fish"})), json!([[], 0]));
    // With the ids of the last block given out, too.
    for n in MESSAGES..447 {
        house.append(INBOX, &letter(3), n as u64, Flags::empty());
    }
    for held in house.mailboxes.account_view(ALICE).unwrap().iter() {
        house.mailboxes.want_words(ALICE, held.message);
    }
    assert!(house.upkeep.make_words(100).unwrap());
    lose_content(&house);
    restart(&mut house);
    assert_eq!(find(&mut house, &json!({"body": "fish"})), expected);
    assert_eq!(find(&mut house, &json!({"text": "nowhere"})), nothing);
    // Without words its content is read, which is not there.
    let mut without = after_restart(false);
    lose_content(&without);
    restart(&mut without);
    let filter = json!({"filter": {"body": "fish"}, "calculateTotal": true});
    assert_eq!(without.error("Email/query", filter), "serverFail");
}

#[test]
fn what_is_sealed_is_not_found_by_kept_words() {
    let mut house = after_restart(true);
    let found = find(&mut house, &json!({"body": "\"5 \u{212a}elvin\""}));
    assert_eq!(found[1], MESSAGES / 5);
    for filter in [
        json!({"body": "kelvin"}),
        json!({"operator": "NOT", "conditions": [{"body": "fish"}]}),
    ] {
        restart(&mut house);
        let before = find(&mut house, &filter)[1].as_u64().unwrap();
        house.seal(&letter(4));
        restart(&mut house);
        assert_eq!(find(&mut house, &filter)[1], before - 1, "{filter}");
        house.unseal(&letter(4));
    }
}
