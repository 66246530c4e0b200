//! Sending by JMAP.

use serde_json::{Value, json};

use super::house::House;
use super::house::jmap::JmapClient;

#[test]
fn an_account_sends_as_its_own_addresses_alone() {
    let house = House::started("");
    house.done(&["alias", "add", "sales@example.org", "alice@example.org"]);
    let alice = house.jmap("alice");
    let all = alice.call("Identity/get", json!({"ids": null}));
    let emails = |all: &Value| -> Vec<Value> {
        let list = all["list"].as_array().expect("a list");
        list.iter().map(|it| it["email"].clone()).collect()
    };
    assert_eq!(
        emails(&all),
        [json!("alice@example.org"), json!("sales@example.org")]
    );
    assert_eq!(all["list"][0]["mayDelete"], json!(false));
    let since = all["state"].clone();
    let set = alice.call(
        "Identity/set",
        json!({
            "ifInState": since,
            "create": {
                "shop": {"email": "sales@example.org", "name": "The shop", "textSignature": "-- \nShop",
                    "replyTo": [{"name": null, "email": "shop@example.net"}]},
                "foreign": {"email": "bob@example.org"},
                "odd": {"email": "alice@example.org", "colour": "red"},
                "none": {"name": "x"},
                "long": {"email": "alice@example.org", "htmlSignature": "x".repeat(30_000)},
            },
            "update": {all["list"][0]["id"].as_str().expect("an id"): {"name": "Alice"}},
            "destroy": [all["list"][1]["id"], "I1-99"],
        }),
    );
    assert_eq!(set["created"]["shop"]["mayDelete"], json!(true));
    let kind = |of: &str, id: &str| set[of][id]["type"].clone();
    assert_eq!(kind("notCreated", "foreign"), "forbiddenFrom");
    assert_eq!(kind("notCreated", "odd"), "invalidProperties");
    assert_eq!(kind("notCreated", "none"), "invalidProperties");
    assert_eq!(kind("notCreated", "long"), "tooLarge");
    assert_eq!(
        kind(
            "notDestroyed",
            all["list"][1]["id"].as_str().expect("an id")
        ),
        "forbidden"
    );
    assert_eq!(kind("notDestroyed", "I1-99"), "notFound");
    let shop = set["created"]["shop"]["id"].as_str().expect("an id");
    let changes = alice.call("Identity/changes", json!({"sinceState": since}));
    assert_eq!(changes["created"], json!([shop]));
    assert_eq!(changes["updated"], json!([all["list"][0]["id"]]));
    let got = alice.call("Identity/get", json!({"ids": [shop, "I1-99"]}));
    assert_eq!(got["list"][0]["replyTo"][0]["email"], "shop@example.net");
    assert_eq!(got["notFound"], json!(["I1-99"]));
    let update = |patch: Value| {
        let set = alice.call("Identity/set", json!({"update": {shop: patch}}));
        set["notUpdated"][shop]["type"].clone()
    };
    assert_eq!(
        update(json!({"email": "alice@example.org"})),
        "invalidProperties"
    );
    assert_eq!(update(json!({"replyTo/0": null})), "invalidPatch");
    assert_eq!(
        update(json!({"email": "sales@example.org", "name": null})),
        Value::Null
    );
    let stale = json!({"ifInState": since, "destroy": [shop]});
    assert_eq!(alice.error("Identity/set", stale), "stateMismatch");
    assert_eq!(
        alice.error("Identity/changes", json!({"sinceState": "x"})),
        "cannotCalculateChanges"
    );
    // The alias goes, and what sent by it.
    house.done(&["alias", "remove", "sales@example.org"]);
    let left = alice.call("Identity/get", json!({"ids": null}));
    assert_eq!(emails(&left), [json!("alice@example.org")]);
}

/// A draft: the id of the Email, and of the identity to send it as.
pub(super) fn draft(client: &JmapClient<'_>, letter: &str) -> (Value, Value) {
    let path = format!("/jmap/upload/{}/", client.account);
    let answer = client.http("POST", &path, letter);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let uploaded: Value = serde_json::from_str(&answer.body).expect("JSON");
    let drafts = super::mailbox(client, "drafts");
    let email = json!({"blobId": uploaded["blobId"], "mailboxIds": {drafts: true}});
    let imported = client.call("Email/import", json!({"emails": {"e": email}}));
    let identities = client.call("Identity/get", json!({"ids": null}));
    (
        imported["created"]["e"]["id"].clone(),
        identities["list"][0]["id"].clone(),
    )
}

#[test]
fn what_was_sent_by_jmap_is_taken_back_like_any_other() {
    let house = House::started("");
    let (alice, bob) = (house.jmap("alice"), house.jmap("bob"));
    let (email, identity) = draft(&alice, &super::house::message("four"));
    let new = json!({"identityId": identity, "emailId": email});
    let set = alice.call("EmailSubmission/set", json!({"create": {"s": new}}));
    let id = set["created"]["s"]["id"].as_str().expect("an id");
    let asked = json!({"ids": null, "properties": ["subject", "headers"]});
    let got = bob.call("Email/get", asked)["list"][0].clone();
    let fields = got["headers"].as_array().expect("fields");
    let field = |name: &str| fields.iter().any(|field| field["name"] == name);
    assert!(field("Recall-Token") && field("Received"), "{fields:?}");
    let undo = json!({"update": {id: {"undoStatus": "canceled"}}});
    let refused = alice.call("EmailSubmission/set", undo);
    assert_eq!(refused["notUpdated"][id]["type"], "cannotUnsend");
    house.done(&["recall", "run", "four@example.org"]);
    let after = bob.call("Email/get", json!({"ids": [got["id"]]}));
    assert_eq!(after["notFound"], json!([got["id"]]));
    let kept = alice.call("EmailSubmission/get", json!({"ids": [id]}));
    assert_eq!(kept["list"][0]["undoStatus"], "final", "it was served");
}

#[test]
fn what_is_held_survives_a_kill_and_leaves_at_its_time() {
    let mut house = House::started("");
    let submit = |house: &House, name: &str| {
        let alice = house.jmap("alice");
        let (email, identity) = draft(&alice, &super::house::message(name));
        let envelope = json!({
            "mailFrom": {"email": "alice@example.org", "parameters": {"HOLDFOR": "3"}},
            "rcptTo": [{"email": "bob@example.org"}],
        });
        let new = json!({"identityId": identity, "emailId": email, "envelope": envelope});
        let set = alice.call("EmailSubmission/set", json!({"create": {"s": new}}));
        assert_eq!(set["created"]["s"]["undoStatus"], "pending", "{set}");
        set["created"]["s"]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    let undone = submit(&house, "five");
    submit(&house, "six");
    let undo = json!({"update": {&undone: {"undoStatus": "canceled"}}});
    let set = house.jmap("alice").call("EmailSubmission/set", undo);
    assert_eq!(set["updated"], json!({undone: null}));
    house.kill();
    house.start();
    house.wait_log("message sent");
    let bob = house.jmap("bob");
    let asked = json!({"ids": null, "properties": ["messageId"]});
    let got = bob.call("Email/get", asked);
    let list = got["list"].as_array().expect("a list");
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0]["messageId"], json!(["six@example.org"]));
}
