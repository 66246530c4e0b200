//! Sending by JMAP.

use serde_json::{Value, json};

use super::house::House;

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
