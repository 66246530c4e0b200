//! What somebody by rights changes, and what they are refused.

use std::sync::Arc;

use serde_json::{Value, json};
use tern_base::{MailboxId, Uid};
use tern_jmap::limits;
use tern_mailbox::{Access, FlagChange, FlagRequest, Flags, INBOX, SystemFlag};
use tern_session::{Budget, Unlimited, ids};

use crate::house::{BOB, CAROL, House};

fn mailbox(id: MailboxId) -> String {
    ids::mailbox_id(BOB, id)
}

/// The type of the error of an update.
fn refused(house: &mut House, id: &str, patch: Value) -> String {
    let set = house.of_bob("Email/set", json!({"update": {id: patch}}));
    assert_eq!(set["updated"], Value::Null, "{set}");
    assert_eq!(set["oldState"], set["newState"]);
    set["notUpdated"][id]["type"].as_str().unwrap().to_owned()
}

fn updates(house: &mut House, id: &str, patch: Value) {
    let set = house.of_bob("Email/set", json!({"update": {id: patch}}));
    assert_eq!(set["notUpdated"], Value::Null, "{set}");
}

/// The keywords and mailboxes of a message, as its owner sees them.
fn as_it_is(house: &mut House, id: &str) -> (Value, Value) {
    let who = std::mem::replace(&mut house.who, BOB);
    let properties = json!(["keywords", "mailboxIds"]);
    let got = house.call("Email/get", json!({"ids": [id], "properties": properties}));
    house.who = who;
    let one = &got["list"][0];
    (one["keywords"].clone(), one["mailboxIds"].clone())
}

#[test]
fn an_account_that_may_only_be_read_is_read_only() {
    let mut house = House::new();
    let id = house.put(&[INBOX], "One", "text");
    house.grant(INBOX, "lrp");
    house.who = CAROL;
    assert_eq!(house.session()["accounts"]["A1"]["isReadOnly"], true);
    let own = json!({"fromAccountId": "A2", "create": {}});
    for (name, args) in [
        ("Email/set", json!({"destroy": [id]})),
        ("Email/import", json!({"emails": {}})),
        ("Email/copy", own),
        ("Blob/copy", json!({"fromAccountId": "A2", "blobIds": []})),
    ] {
        assert_eq!(house.error_of_bob(name, args), "accountReadOnly", "{name}");
    }
    for letter in ["s", "w", "i", "k", "x", "t", "e", "a"] {
        house.grant(INBOX, &format!("lr{letter}"));
        let session = house.session();
        assert_eq!(session["accounts"]["A1"]["isReadOnly"], false, "{letter}");
    }
}

#[test]
fn flags_change_by_the_rights_in_each_mailbox_that_shows_a_message() {
    let mut house = House::new();
    let (one, two) = (house.folder(None, "One"), house.folder(None, "Two"));
    let id = house.put(&[one, two], "Letter", "text");
    let keywords = |house: &mut House| as_it_is(house, &id).0;
    for (rights, patch, allowed) in [
        ("lri", json!({"keywords/$seen": true}), false),
        ("lrs", json!({"keywords/$flagged": true}), false),
        ("lrw", json!({"keywords/$seen": true}), false),
        (
            "lrs",
            json!({"keywords/$seen": true, "keywords/$flagged": true}),
            false,
        ),
        ("lrs", json!({"keywords/$seen": true}), true),
        (
            "lrw",
            json!({"keywords/$flagged": true, "keywords/word": true}),
            true,
        ),
        ("lrsw", json!({"keywords": {}}), true),
    ] {
        house.grant(one, rights);
        house.grant(two, rights);
        house.who = CAROL;
        let before = keywords(&mut house);
        match allowed {
            true => {
                updates(&mut house, &id, patch.clone());
                assert_ne!(keywords(&mut house), before, "{rights} {patch}");
            }
            false => {
                assert_eq!(
                    refused(&mut house, &id, patch.clone()),
                    "forbidden",
                    "{rights} {patch}"
                );
                assert_eq!(keywords(&mut house), before);
            }
        }
    }
    // RFC 8621 2: for all of the mailboxes.
    house.grant(two, "lr");
    let patch = json!({"keywords/$seen": true});
    assert_eq!(refused(&mut house, &id, patch.clone()), "forbidden");
    // Where it is that the reader does not see it is left as it is: the owner's own view of it is
    // that of both.
    house.grant(two, "");
    updates(&mut house, &id, patch);
    assert_eq!(keywords(&mut house), json!({}));
    let args = json!({"ids": [id], "properties": ["keywords"]});
    let got = house.of_bob("Email/get", args);
    assert_eq!(got["list"][0]["keywords"], json!({"$seen": true}));
    house.check();
}

#[test]
fn messages_are_moved_by_the_rights_at_both_ends_and_stay_where_nobody_looks() {
    let mut house = House::new();
    let (one, two) = (house.folder(None, "One"), house.folder(None, "Two"));
    let hidden = house.folder(None, "Hidden");
    let id = house.put(&[one, hidden], "Letter", "text");
    let to_two = json!({"mailboxIds": {mailbox(two): true}});
    house.who = CAROL;
    for (of_one, of_two, patch, kind) in [
        ("lrte", "lr", to_two.clone(), "forbidden"),
        ("lrt", "lri", to_two.clone(), "forbidden"),
        ("lre", "lri", to_two.clone(), "forbidden"),
        ("lrte", "ri", to_two.clone(), "invalidProperties"),
        ("lrte", "", to_two.clone(), "invalidProperties"),
        (
            "lri",
            "",
            json!({format!("mailboxIds/{}", mailbox(hidden)): true}),
            "invalidProperties",
        ),
        (
            "lrte",
            "",
            json!({format!("mailboxIds/{}", mailbox(one)): null}),
            "invalidProperties",
        ),
        ("lrte", "", json!({"subject": "Other"}), "invalidProperties"),
    ] {
        house.grant(one, of_one);
        house.grant(two, of_two);
        assert_eq!(
            refused(&mut house, &id, patch.clone()),
            kind,
            "{of_one} {of_two} {patch}"
        );
    }
    house.grant(one, "lrte");
    house.grant(two, "lrite");
    updates(&mut house, &id, to_two);
    let (_, mailboxes) = as_it_is(&mut house, &id);
    assert_eq!(
        mailboxes,
        json!({mailbox(hidden): true, mailbox(two): true})
    );
    // Taken out of what is seen it is gone for whoever sees no more of it.
    let set = house.of_bob("Email/set", json!({"destroy": [id]}));
    assert_eq!(set["destroyed"], json!([id]));
    let (_, mailboxes) = as_it_is(&mut house, &id);
    assert_eq!(mailboxes, json!({mailbox(hidden): true}));
    let set = house.of_bob(
        "Email/set",
        json!({"destroy": [id], "update": {id.as_str(): {}}}),
    );
    assert_eq!(set["notDestroyed"][&id]["type"], "notFound");
    let other = house.put(&[two], "Other", "text");
    house.grant(two, "lrit");
    let set = house.of_bob("Email/set", json!({"destroy": [other]}));
    assert_eq!(set["notDestroyed"][&other]["type"], "forbidden");
    house.grant(two, "lrte");
    house.of_bob("Email/set", json!({"destroy": [other]}));
    assert_eq!(as_it_is(&mut house, &other).1, Value::Null);
    house.check();
}

#[test]
fn messages_are_made_and_imported_where_they_may_be_put() {
    let mut house = House::new();
    let (one, two) = (house.folder(None, "One"), house.folder(None, "Two"));
    house.grant(one, "lri");
    house.grant(two, "lr");
    house.who = CAROL;
    let email = |of: &[MailboxId], keywords: Value| {
        let mut kept = serde_json::Map::new();
        kept.extend(of.iter().map(|it| (mailbox(*it), true.into())));
        json!({"mailboxIds": kept, "keywords": keywords, "subject": "New"})
    };
    for (what, kind) in [
        (email(&[two], json!({})), "forbidden"),
        (email(&[one, two], json!({})), "forbidden"),
        (email(&[INBOX], json!({})), "invalidProperties"),
        (email(&[one], json!({"$seen": true})), "forbidden"),
    ] {
        let set = house.of_bob("Email/set", json!({"create": {"k": what}}));
        assert_eq!(set["notCreated"]["k"]["type"], kind, "{what}");
    }
    let set = house.of_bob(
        "Email/set",
        json!({"create": {"k": email(&[one], json!({}))}}),
    );
    let made = set["created"]["k"]["id"].as_str().unwrap().to_owned();
    assert_eq!(as_it_is(&mut house, &made).1, json!({mailbox(one): true}));
    // What Carol uploads for Bob's account is found there by her alone.
    let args =
        json!({"create": {"b": {"data": [{"data:asText": "Subject: Brought\r\n\r\nHello"}]}}});
    let up = house.of_bob("Blob/upload", args);
    let blob = up["created"]["b"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        house.of_bob("Blob/get", json!({"ids": [blob]}))["list"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        house.call("Blob/get", json!({"ids": [blob]}))["notFound"],
        json!([blob])
    );
    house.who = BOB;
    assert_eq!(
        house.call("Blob/get", json!({"ids": [blob]}))["notFound"],
        json!([blob])
    );
    house.who = CAROL;
    house.grant(one, "lriw");
    let emails = json!({"k": {"blobId": blob, "mailboxIds": {mailbox(one): true}, "keywords": {"word": true}}});
    let imported = house.of_bob("Email/import", json!({"emails": emails}));
    let id = imported["created"]["k"]["id"].as_str().unwrap().to_owned();
    assert_eq!(as_it_is(&mut house, &id).0, json!({"word": true}));
    // Whoever brings it has it, and the record says who.
    let message = ids::parse_email_id(BOB, &id).unwrap();
    let ledger = house.sealing.ledger(BOB, message).unwrap();
    assert_eq!(ledger.servings[0].device.reader(), Some(CAROL));
    house.check();
}

#[test]
fn messages_are_copied_by_the_rights_in_both_accounts_and_that_is_on_record() {
    let mut house = House::new();
    let (one, hidden) = (house.folder(None, "One"), house.folder(None, "Hidden"));
    let id = house.put(&[one], "Letter", "some text");
    let unseen = house.put(&[hidden], "Unseen", "text");
    house.bob_updates(&id, json!({"keywords/$flagged": true}));
    house.who = CAROL;
    let inbox = ids::mailbox_id(CAROL, INBOX);
    let into = |id: &str| json!({"id": id, "mailboxIds": {inbox.as_str(): true}});
    let args = |create: Value| json!({"fromAccountId": "A1", "create": {"k": create}});
    assert_eq!(
        house.error("Email/copy", args(into(&id))),
        "fromAccountNotFound"
    );
    house.grant(one, "lr");
    for (create, kind) in [
        (into(&unseen), "notFound"),
        (into("M1-99"), "notFound"),
        (json!({"id": id}), "invalidProperties"),
        (
            json!({"mailboxIds": {inbox.as_str(): true}}),
            "invalidProperties",
        ),
        (
            json!({"id": id, "mailboxIds": {inbox.as_str(): true}, "subject": "x"}),
            "invalidProperties",
        ),
        (
            json!({"id": id, "mailboxIds": {"F2-99": true}}),
            "invalidProperties",
        ),
    ] {
        let told = house.call("Email/copy", args(create.clone()));
        assert_eq!(told["notCreated"]["k"]["type"], kind, "{create}");
    }
    let same = json!({"fromAccountId": "A2", "create": {}});
    assert_eq!(house.error("Email/copy", same), "invalidArguments");
    let wrong = |name: &str| {
        let mut all = args(into(&id));
        all[name] = "x".into();
        all
    };
    for name in ["ifInState", "ifFromInState"] {
        assert_eq!(
            house.error("Email/copy", wrong(name)),
            "stateMismatch",
            "{name}"
        );
    }
    let told = house.call("Email/copy", args(into(&id)));
    let copy = told["created"]["k"]["id"].as_str().unwrap().to_owned();
    assert_ne!(told["oldState"], told["newState"]);
    let properties = json!(["subject", "keywords", "mailboxIds"]);
    let got = house.call(
        "Email/get",
        json!({"ids": [copy], "properties": properties}),
    );
    assert_eq!(
        got["list"][0],
        json!({"id": copy, "subject": "Letter", "keywords": {"$flagged": true},
            "mailboxIds": {inbox.as_str(): true}})
    );
    let message = ids::parse_email_id(BOB, &id).unwrap();
    let ledger = house.sealing.ledger(BOB, message).unwrap();
    let mut readers = ledger
        .servings
        .iter()
        .map(|serving| (serving.device.reader(), serving.level()));
    assert!(readers.any(|it| it == (Some(CAROL), Some(tern_mailbox::ExposureLevel::Downloaded))));
    // The other way, as it is asked for, and the original goes where that is asked for.
    let there = json!({"id": copy, "mailboxIds": {mailbox(one): true}, "keywords": {"word": true}});
    let args = |create: &Value| {
        json!({"accountId": "A1", "fromAccountId": "A2", "create": {"k": create},
            "onSuccessDestroyOriginal": true})
    };
    let told = house.try_call("Email/copy", args(&there));
    assert_eq!(told.1["type"], "accountReadOnly");
    house.grant(one, "lri");
    let told = house.call("Email/copy", args(&there));
    assert_eq!(told["notCreated"]["k"]["type"], "forbidden");
    house.grant(one, "lriw");
    let responses = house.calls(&json!([["Email/copy", args(&there), "c"]]));
    let back = responses[0][1]["created"]["k"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(as_it_is(&mut house, &back).0, json!({"word": true}));
    assert_eq!(responses[1][0], "Email/set");
    assert_eq!(responses[1][1]["destroyed"], json!([copy]));
    house.check();
}

#[test]
fn blobs_are_copied_between_accounts() {
    let mut house = House::new();
    let id = house.put(&[INBOX], "Letter", "some text");
    let got = house.call("Email/get", json!({"ids": [id], "properties": ["blobId"]}));
    let blob = got["list"][0]["blobId"].clone();
    house.grant(INBOX, "lri");
    house.who = CAROL;
    let args = json!({"fromAccountId": "A1", "blobIds": [blob, "G1-0"]});
    let told = house.call("Blob/copy", args);
    assert_eq!(told["notCopied"]["G1-0"]["type"], "notFound");
    let copy = told["copied"][blob.as_str().unwrap()].clone();
    let got = house.call("Blob/get", json!({"ids": [copy]}));
    assert!(
        got["list"][0]["data:asText"]
            .as_str()
            .unwrap()
            .contains("some text")
    );
    // What she has uploaded is the same there, under another id.
    let args = json!({"accountId": "A1", "fromAccountId": "A2", "blobIds": [copy]});
    let told = house.call("Blob/copy", args);
    let there = told["copied"][copy.as_str().unwrap()].clone();
    assert_ne!(there, copy);
    let got = house.of_bob("Blob/get", json!({"ids": [there]}));
    assert!(
        got["list"][0]["data:asText"]
            .as_str()
            .unwrap()
            .contains("some text")
    );
}

#[test]
fn what_asks_for_a_recall_is_its_owners_alone() {
    let mut house = House::new();
    let sent = house
        .mailboxes
        .folder_of_role(BOB, tern_mailbox::Role::Sent)
        .unwrap()
        .unwrap();
    let id = house.put(&[sent.id], "Letter", "text");
    house.grant(sent.id, "lrswite");
    house.who = CAROL;
    let marking = tern_recall::RECALL_KEYWORD;
    let patch = json!({format!("keywords/{marking}"): true});
    let kind = refused(&mut house, &id, patch);
    assert_eq!(kind, "forbidden");
}

#[test]
fn flags_where_a_message_is_not_read_go_nowhere_with_it() {
    let mut house = House::new();
    let all = ["One", "Blind", "Third"].map(|name| house.folder(None, name));
    let [one, blind, third] = all;
    let id = house.put(&[one, blind], "Letter", "text");
    let mut flagged = Flags::empty();
    flagged.set(SystemFlag::Flagged, true);
    let request = FlagRequest {
        access: Access::owner(BOB, blind),
        uids: &[Uid(1)],
        change: &FlagChange::Add(flagged),
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&request).unwrap();
    house.grant(one, "lr");
    house.grant(blind, "li");
    house.grant(third, "lriw");
    house.who = CAROL;
    // That it is in the one that she can't read already is nothing that she learns.
    let both = json!({mailbox(one): true, mailbox(blind): true, mailbox(third): true});
    updates(&mut house, &id, json!({"mailboxIds": both}));
    assert_eq!(as_it_is(&mut house, &id).1, both);
    let properties = json!(["keywords"]);
    let got = house.of_bob("Email/get", json!({"ids": [id], "properties": properties}));
    assert_eq!(got["list"][0]["keywords"], json!({}));
    let view = house.mailboxes.view(BOB, third).unwrap();
    assert_eq!(view.iter().next().unwrap().flags, Flags::empty());
    house.check();
}

#[test]
fn a_copy_takes_work_and_memory_like_anything_that_is_read() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    let long = "x".repeat(3 * limits::ANSWER_FREE);
    let id = house.put(&[one], "Letter", &long);
    house.grant(one, "lr");
    house.who = CAROL;
    let inbox = ids::mailbox_id(CAROL, INBOX);
    let into = json!({"id": id, "mailboxIds": {inbox.as_str(): true}});
    let copy = json!({"accountId": "A2", "fromAccountId": "A1", "create": {"a": into, "b": into}});
    // One after another.
    let memory = Budget::new(4 * limits::ANSWER_FREE as u64);
    house.memory = Arc::new(memory.clone());
    let told = house.call("Email/copy", copy.clone());
    assert_eq!(told["notCreated"], Value::Null, "{told}");
    assert_eq!(memory.reserved(), 0);
    house.memory = Arc::new(Budget::new(2 * limits::ANSWER_FREE as u64));
    let told = house.call("Email/copy", copy.clone());
    assert_eq!(told["notCreated"]["b"]["type"], "serverFail", "{told}");
    house.memory = Arc::new(Unlimited);
    let large = limits::MAX_SIZE_UPLOAD as usize;
    let mut no_message = vec![b'\n'];
    no_message.resize(large, 0);
    let no_message = house.upload_of(CAROL, "message/rfc822", &no_message);
    let parse = json!(["Email/parse", {"accountId": "A2", "blobIds": [no_message]}, "p"]);
    let mut calls = vec![parse; (limits::MAX_WORK / large as u64) as usize];
    calls.push(json!(["Email/copy", copy, "c"]));
    let mut responses = house.calls(&json!(calls));
    let told = responses.pop().unwrap();
    for read in responses {
        assert_eq!(read[1]["notParsable"], json!([no_message]), "{read}");
    }
    assert_eq!(told[1]["notCreated"]["a"]["type"], "rateLimit", "{told}");
    house.check();
}
