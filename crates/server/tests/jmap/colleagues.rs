//! What people hear of each other by JMAP: notifications, and the address book.

use serde_json::{Value, json};

use super::house::House;
use super::send::draft;

#[test]
fn a_reader_notifies_and_the_sender_knows_of_which_message() {
    let house = House::started("");
    let (alice, bob) = (house.jmap("alice"), house.jmap("bob"));
    let letter = super::house::message("five");
    let letter = format!("Disposition-Notification-To: alice@example.org\r\n{letter}");
    let (email, identity) = draft(&alice, &letter);
    let new = json!({"identityId": identity, "emailId": email});
    let set = alice.call("EmailSubmission/set", json!({"create": {"s": new}}));
    assert!(set["created"]["s"].is_object(), "{set}");
    let got = bob.call("Email/get", json!({"ids": null, "properties": ["id"]}));
    let identities = bob.call("Identity/get", json!({"ids": null}));
    let disposition = json!({
        "actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed",
    });
    let mdn = json!({"forEmailId": got["list"][0]["id"], "disposition": disposition});
    let args = json!({
        "accountId": bob.account, "identityId": identities["list"][0]["id"], "send": {"k": mdn},
        "onSuccessUpdateEmail": {"#k": {"keywords/$mdnsent": true}},
    });
    let responses = bob.calls(&json!([["MDN/send", args, "c"], ["MDN/send", args, "d"]]));
    assert!(responses[0][1]["sent"]["k"].is_object(), "{responses:?}");
    assert_eq!(responses[1][0], "Email/set");
    assert_eq!(responses[2][1]["notSent"]["k"]["type"], "mdnAlreadySent");
    let asked = json!({"ids": null, "properties": ["blobId", "inReplyTo"]});
    let all = alice.call("Email/get", asked);
    let all = all["list"].as_array().expect("a list");
    let receipts: Vec<&Value> = all.iter().filter(|it| !it["inReplyTo"].is_null()).collect();
    assert_eq!(receipts.len(), 1, "{all:?}");
    let parsed = alice.call("MDN/parse", json!({"blobIds": [receipts[0]["blobId"]]}));
    let blob = receipts[0]["blobId"].as_str().expect("an id");
    assert_eq!(parsed["parsed"][blob]["forEmailId"], email);
    assert_eq!(parsed["parsed"][blob]["disposition"], disposition);
    assert_eq!(
        parsed["parsed"][blob]["finalRecipient"],
        "rfc822; bob@example.org"
    );
}

#[test]
fn the_configuration_says_whom_an_account_finds() {
    let seen = |config: &str| {
        let house = House::started(config);
        let alice = house.jmap("alice");
        let session = alice.http("GET", "/jmap/session", "");
        let session: Value = serde_json::from_str(&session.body).expect("JSON");
        let uri = "urn:ietf:params:jmap:principals";
        assert!(session["capabilities"][uri].is_object(), "{session}");
        assert_eq!(session["primaryAccounts"][uri], json!(alice.account));
        let account = &session["accounts"][&alice.account]["accountCapabilities"];
        let own = account[uri]["currentUserPrincipalId"].clone();
        assert_eq!(account[format!("{uri}:owner")]["principalId"], own);
        let got = alice.call("Principal/get", json!({"ids": null}));
        let list = got["list"].as_array().expect("a list").clone();
        assert!(list.iter().any(|it| it["id"] == own), "{got}");
        list.iter().map(|it| it["email"].clone()).collect::<Value>()
    };
    assert_eq!(
        seen("[directory]\nvisible = \"own\""),
        json!(["alice@example.org"])
    );
    let all = seen("");
    assert!(
        all.as_array()
            .is_some_and(|all| all.contains(&json!("bob@example.org"))),
        "{all}"
    );
}
