//! Mailboxes of others: made, changed, destroyed and shared by rights.

use serde_json::{Value, json};
use tern_base::{MailboxId, Timestamp};
use tern_mailbox::{Grantee, INBOX, Rights};
use tern_session::ids;
use tern_session::limits::MAX_RIGHTS_CHANGES;

use crate::house::{BOB, CAROL, House};

fn mailbox(id: MailboxId) -> String {
    ids::mailbox_id(BOB, id)
}

fn set_error(house: &mut House, args: Value) -> String {
    let told = house.of_bob("Mailbox/set", args);
    for name in ["notCreated", "notUpdated", "notDestroyed"] {
        let all = told[name].as_object().into_iter().flatten();
        if let Some((_, error)) = all.into_iter().next() {
            return error["type"].as_str().unwrap().to_owned();
        }
    }
    panic!("done: {told}");
}

fn set(house: &mut House, args: Value) -> Value {
    let told = house.of_bob("Mailbox/set", args);
    for name in ["notCreated", "notUpdated", "notDestroyed"] {
        assert_eq!(told[name], Value::Null, "{told}");
    }
    told
}

#[test]
fn mailboxes_of_others_change_by_rights() {
    let mut house = House::new();
    let (one, hidden) = (house.folder(None, "One"), house.folder(None, "Hidden"));
    let secret = house.folder(Some(one), "Secret");
    house.grant(one, "lr");
    house.who = CAROL;
    let below = |name: &str| json!({"create": {"k": {"name": name, "parentId": mailbox(one)}}});
    let top = json!({"create": {"k": {"name": "Top"}}});
    let rename = json!({"update": {mailbox(one): {"name": "Uno"}}});
    let destroy = json!({"destroy": [mailbox(one)], "onDestroyRemoveEmails": true});
    for args in [&below("Inside"), &top, &rename, &destroy] {
        assert_eq!(set_error(&mut house, args.clone()), "forbidden", "{args}");
    }
    house.grant(one, "lrkx");
    assert_eq!(set_error(&mut house, top), "forbidden");
    for (patch, kind) in [
        (json!({"role": "archive"}), "forbidden"),
        (json!({"sortOrder": 7}), "forbidden"),
        (json!({"parentId": mailbox(hidden)}), "invalidProperties"),
        (json!({"parentId": mailbox(INBOX)}), "invalidProperties"),
    ] {
        let args = json!({"update": {mailbox(one): patch}});
        assert_eq!(set_error(&mut house, args), kind, "{patch}");
    }
    // Another one has the name, of which nobody learns.
    assert_eq!(set_error(&mut house, below("Secret")), "forbidden");
    // What is in it is nothing that Carol knows of.
    assert_eq!(set_error(&mut house, destroy.clone()), "forbidden");
    // The top level is the owner's, also for what is there already.
    assert_eq!(set_error(&mut house, rename), "forbidden");
    let made = set(&mut house, below("Inside"));
    let inside = made["created"]["k"]["id"].as_str().unwrap().to_owned();
    // A new one has the access list of the one that it is in (RFC 4314 4).
    assert_eq!(made["created"]["k"]["myRights"]["mayCreateChild"], true);
    assert_eq!(made["created"]["k"]["isSubscribed"], true);
    let error = house.of_bob("Mailbox/set", below("Inside"));
    assert_eq!(error["notCreated"]["k"]["existingId"], inside.as_str());
    let kind = set_error(&mut house, json!({"destroy": [mailbox(one)]}));
    assert_eq!(kind, "mailboxHasChild");
    let rename = |name: &str| json!({"update": {&inside: {"name": name}}});
    assert_eq!(set_error(&mut house, rename("")), "invalidProperties");
    set(&mut house, rename("Within"));
    // Where it stands takes the right to make one there.
    house.grant(one, "lrx");
    assert_eq!(set_error(&mut house, rename("Inside")), "forbidden");
    house.grant(one, "");
    assert_eq!(set_error(&mut house, rename("Inside")), "forbidden");
    house.grant(one, "lrkx");
    set(&mut house, json!({"destroy": [inside]}));
    for id in [
        mailbox(secret),
        mailbox(hidden),
        mailbox(INBOX),
        "F1-99".to_owned(),
    ] {
        assert_eq!(set_error(&mut house, json!({"destroy": [id]})), "notFound");
        assert_eq!(
            set_error(&mut house, json!({"update": {id: {"name": "x"}}})),
            "notFound"
        );
    }
    house.check();
}

#[test]
fn whoever_sees_a_mailbox_subscribes_to_it_for_themselves() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    house.grant(one, "lr");
    house.who = CAROL;
    let is_subscribed = |house: &mut House| {
        let got = house.of_bob("Mailbox/get", json!({"ids": [mailbox(one)]}));
        got["list"][0]["isSubscribed"].as_bool().unwrap()
    };
    assert!(!is_subscribed(&mut house));
    for subscribed in [true, false, true] {
        let patch = json!({"isSubscribed": subscribed});
        set(&mut house, json!({"update": {mailbox(one): patch}}));
        assert_eq!(is_subscribed(&mut house), subscribed);
    }
    assert_eq!(house.mailboxes.subscribed(CAROL).unwrap().len(), 1);
    house.who = BOB;
    house.call(
        "Mailbox/set",
        json!({"update": {mailbox(one): {"isSubscribed": false}}}),
    );
    house.who = CAROL;
    assert!(is_subscribed(&mut house));
}

/// Who has which rights in a mailbox of Bob's, in letters.
fn grants(house: &House, of: MailboxId) -> Vec<(Grantee, String)> {
    let all = house.mailboxes.grants(BOB, of).unwrap();
    all.into_iter()
        .map(|(who, rights)| (who, rights.letters()))
        .collect()
}

#[test]
fn mailboxes_are_shared_whole_and_in_part() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    let to_carol = |letters: &str| vec![(Grantee::Account(CAROL), letters.to_owned())];
    let share = |house: &mut House, patch: Value| {
        set(house, json!({"update": {mailbox(one): patch}}));
    };
    share(
        &mut house,
        json!({"shareWith": {"P2": {"mayReadItems": true, "maySetSeen": true}}}),
    );
    assert_eq!(grants(&house, one), to_carol("lrs"));
    let got = house.call("Mailbox/get", json!({"ids": [mailbox(one)]}));
    let told = got["list"][0]["shareWith"].clone();
    assert_eq!(told["P2"]["maySetSeen"], true);
    assert_eq!(told["P2"]["mayShare"], false);
    share(&mut house, json!({"shareWith": told}));
    assert_eq!(grants(&house, one), to_carol("lrs"));
    share(
        &mut house,
        json!({"shareWith/P2/mayRemoveItems": true, "shareWith/P2/maySetSeen": null}),
    );
    assert_eq!(grants(&house, one), to_carol("lrte"));
    share(&mut house, json!({"shareWith/P2/mayDelete": true}));
    assert_eq!(grants(&house, one), to_carol("lrxte"));
    share(&mut house, json!({"shareWith/P2": {"mayAddItems": true}}));
    assert_eq!(grants(&house, one), to_carol("li"));
    share(&mut house, json!({"shareWith/P2": null, "name": "Uno"}));
    assert_eq!(grants(&house, one), []);
    let got = house.call("Mailbox/get", json!({"ids": [mailbox(one)]}));
    assert_eq!(
        (&got["list"][0]["name"], &got["list"][0]["shareWith"]),
        (&json!("Uno"), &Value::Null)
    );
    // What JMAP has no name for stays where nobody speaks of it.
    house.grant(one, "lt");
    share(&mut house, json!({"shareWith/P2/maySetKeywords": true}));
    assert_eq!(grants(&house, one), to_carol("lwt"));
    share(&mut house, json!({"shareWith": null}));
    assert_eq!(grants(&house, one), []);
    let create =
        json!({"create": {"k": {"name": "Two", "shareWith": {"P2": {"mayReadItems": true}}}}});
    let made = set(&mut house, create);
    let two = ids::parse_mailbox_id(BOB, made["created"]["k"]["id"].as_str().unwrap()).unwrap();
    assert_eq!(grants(&house, two), to_carol("lr"));
    house.check();
}

#[test]
fn what_can_not_be_shared_is_refused_and_nothing_of_it_is_done() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    let both = json!({"mayRename": true, "mayDelete": false});
    for (patch, kind) in [
        (
            json!({"shareWith": {"P9": {"mayReadItems": true}}}),
            "invalidProperties",
        ),
        (
            json!({"shareWith": {"P1": {"mayReadItems": true}}}),
            "invalidProperties",
        ),
        (json!({"shareWith": {"x": {}}}), "invalidProperties"),
        (json!({"shareWith": []}), "invalidProperties"),
        (json!({"shareWith": {"P2": true}}), "invalidProperties"),
        (json!({"shareWith/P2/mayFly": true}), "invalidProperties"),
        (json!({"shareWith/P2/mayReadItems": 1}), "invalidProperties"),
        (json!({"shareWith/P2": both}), "invalidProperties"),
        (json!({"shareWith/P2/mayReadItems/x": true}), "invalidPatch"),
        (json!({"shareWith": {}, "shareWith/P2": {}}), "invalidPatch"),
        (
            json!({"shareWith/P2": {}, "shareWith/P2/mayReadItems": true}),
            "invalidPatch",
        ),
        (
            json!({"shareWith/P2/mayReadItems": true, "name": ""}),
            "invalidProperties",
        ),
        (json!({"myRights": {}}), "invalidProperties"),
    ] {
        let args = json!({"update": {mailbox(one): patch}});
        assert_eq!(set_error(&mut house, args), kind, "{patch}");
        assert_eq!(grants(&house, one), [], "{patch}");
    }
    // Without the capability there is no such property.
    let using = json!(["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]);
    let get = |properties: Value| {
        json!({"using": using, "methodCalls":
            [["Mailbox/get", {"accountId": "A1", "ids": null, "properties": properties}, "c"]]})
    };
    let told = house.request(&get(Value::Null));
    assert!(
        told["methodResponses"][0][1]["list"][0]
            .get("shareWith")
            .is_none()
    );
    assert!(
        told["methodResponses"][0][1]["list"][0]["myRights"]
            .get("mayShare")
            .is_none()
    );
    let told = house.request(&get(json!(["shareWith"])));
    assert_eq!(told["methodResponses"][0][1]["type"], "invalidArguments");
    // Who may not share a mailbox learns of nobody else in it.
    house.grant(one, "lrswipkxte");
    house.who = CAROL;
    let patch = json!({"update": {mailbox(one): {"shareWith/P2/mayShare": true}}});
    assert_eq!(set_error(&mut house, patch.clone()), "forbidden");
    house.grant(one, "lra");
    set(&mut house, patch);
    let update = json!({"update": {mailbox(one): {"shareWith/P2/maySetSeen": true}}});
    set(&mut house, update);
    let held = house.mailboxes.grants(BOB, one).unwrap();
    assert_eq!(
        held,
        [(
            Grantee::Account(CAROL),
            Rights::from_letters("lrsa").unwrap()
        )]
    );
    house.check();
}

#[test]
fn whose_rights_somebody_changes_is_notified() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    house.who = CAROL;
    let first = house.call("ShareNotification/get", json!({"ids": null}));
    assert_eq!(first["list"], json!([]));
    house.who = BOB;
    let share = |house: &mut House, patch: Value| {
        set(house, json!({"update": {mailbox(one): patch}}));
    };
    share(
        &mut house,
        json!({"shareWith": {"P2": {"mayReadItems": true}}}),
    );
    // What changes nothing is no news.
    share(
        &mut house,
        json!({"shareWith": {"P2": {"mayReadItems": true}}}),
    );
    share(&mut house, json!({"shareWith": null}));
    let own = house.call("ShareNotification/get", json!({"ids": null}));
    assert_eq!(own["list"], json!([]));
    house.who = CAROL;
    let got = house.call("ShareNotification/get", json!({"ids": null}));
    let [given, taken] = got["list"].as_array().unwrap().as_slice() else {
        panic!("{got}");
    };
    assert_eq!(
        given["changedBy"],
        json!({"name": "bob", "email": "bob@example.org", "principalId": "P1"})
    );
    assert_eq!(
        (
            &given["objectType"],
            &given["objectAccountId"],
            &given["objectId"],
            &given["name"]
        ),
        (
            &json!("Mailbox"),
            &json!("A1"),
            &json!(mailbox(one)),
            &json!("One")
        )
    );
    assert_eq!(given["oldRights"], Value::Null);
    assert_eq!(given["newRights"]["mayReadItems"], true);
    assert_eq!(given["newRights"], taken["oldRights"]);
    assert_eq!(taken["newRights"], Value::Null);
    let since = json!({"sinceState": first["state"]});
    let told = house.call("ShareNotification/changes", since.clone());
    assert_eq!(told["created"], json!([given["id"], taken["id"]]));
    let created = json!([{"property": "created", "isAscending": false}]);
    for (filter, expect) in [
        (json!({"objectAccountId": "A1", "objectType": "Mailbox"}), 2),
        (json!({"objectType": "Calendar"}), 0),
        (json!({"objectAccountId": "A2"}), 0),
        (json!({"after": given["created"]}), 2),
        (json!({"before": given["created"]}), 0),
    ] {
        let found = house.call(
            "ShareNotification/query",
            json!({"filter": filter, "sort": created}),
        );
        assert_eq!(found["ids"].as_array().unwrap().len(), expect, "{filter}");
    }
    let before = house.call("ShareNotification/query", json!({}))["queryState"].clone();
    let set = house.call(
        "ShareNotification/set",
        json!({"destroy": [given["id"], "N99"]}),
    );
    assert_eq!(set["destroyed"], json!([given["id"]]));
    assert_eq!(set["notDestroyed"]["N99"]["type"], "notFound");
    let told = house.call("ShareNotification/changes", since);
    assert_eq!(
        (&told["created"], &told["destroyed"]),
        (&json!([taken["id"]]), &json!([]))
    );
    let told = house.call(
        "ShareNotification/queryChanges",
        json!({"sinceQueryState": before}),
    );
    assert_eq!(told["removed"], json!([given["id"]]));
    house.check();
}

#[test]
fn rights_change_so_often_and_no_more() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    house.who = BOB;
    let seen = |n: u32| json!({"shareWith/P2/maySetSeen": n.is_multiple_of(2), "sortOrder": n});
    for n in 0..MAX_RIGHTS_CHANGES {
        set(&mut house, json!({"update": {mailbox(one): seen(n)}}));
    }
    let over = json!({"update": {mailbox(one): seen(MAX_RIGHTS_CHANGES)}});
    assert_eq!(set_error(&mut house, over.clone()), "rateLimit");
    // Neither half of it was done, and what is no change of rights is still done.
    let got = house.of_bob("Mailbox/get", json!({"ids": [mailbox(one)]}));
    let last = json!(MAX_RIGHTS_CHANGES - 1);
    assert_eq!(got["list"][0]["sortOrder"], last);
    set(
        &mut house,
        json!({"update": {mailbox(one): {"sortOrder": 7}}}),
    );
    house.now = Timestamp(house.now.0 + 3_600_000);
    set(&mut house, over);
    house.check();
}

#[test]
fn notices_are_bounded() {
    let mut house = House::new();
    let one = house.folder(None, "One");
    let limit = tern_mailbox::limits::MAX_SHARE_NOTICES;
    house.who = CAROL;
    let first = house.call("ShareNotification/get", json!({"ids": []}))["state"].clone();
    house.who = BOB;
    for n in 0..2 * limit + 10 {
        let seen = json!({"shareWith/P2/maySetSeen": n % 2 == 0});
        set(&mut house, json!({"update": {mailbox(one): seen}}));
        // As seldom as an account may.
        house.now = Timestamp(house.now.0 + 12_000);
    }
    house.who = CAROL;
    let got = house.call("ShareNotification/get", json!({"ids": null}));
    assert_eq!(got["list"].as_array().unwrap().len(), limit);
    let kind = house.error("ShareNotification/changes", json!({"sinceState": first}));
    assert_eq!(kind, "cannotCalculateChanges");
    house.check();
}
