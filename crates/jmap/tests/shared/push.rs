//! What a listener hears of what others share with it.

use serde_json::{Value, json};
use tern_jmap::push::{Position, Wanted, look};
use tern_session::ids;

use crate::house::{BOB, CAROL, House};

/// The types that changed in Bob's account since Carol last looked.
fn heard(house: &House, at: &mut Position) -> Vec<String> {
    // As a client has it, and brings it back.
    let before = Position::parse(&at.to_string()).unwrap();
    assert_eq!(before, *at);
    let (now, change) = look(&house.verbs(), CAROL, &Wanted::ALL, Some(&before)).unwrap();
    *at = now;
    let change = change.unwrap_or(Value::Null);
    let of_bob = change["changed"]["A1"].as_object();
    let names = of_bob.into_iter().flatten().map(|(name, _)| name.clone());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_listener_hears_of_what_it_sees_and_of_nothing_else() {
    let mut house = House::new();
    let (shown, hidden) = (house.folder(None, "Shown"), house.folder(None, "Hidden"));
    house.grant(shown, "lr");
    let mut at = Position::now(&house.verbs(), CAROL).unwrap();
    assert_eq!(at.others().collect::<Vec<_>>(), [BOB]);
    let all = ["Email", "EmailDelivery", "Mailbox", "Thread"];
    let email = house.put(&[hidden], "One", "text");
    house.bob_updates(&email, json!({"keywords/$seen": true}));
    assert!(heard(&house, &mut at).is_empty());
    house.bob_updates(
        &email,
        json!({format!("mailboxIds/{}", ids::mailbox_id(BOB, shown)): true}),
    );
    assert_eq!(heard(&house, &mut at), all);
    house.bob_updates(&email, json!({"keywords/$seen": null}));
    assert_eq!(heard(&house, &mut at), ["Email", "Mailbox"]);
    assert!(heard(&house, &mut at).is_empty());
    // By other rights there is something else, and by none nothing.
    house.grant(hidden, "lr");
    assert_eq!(heard(&house, &mut at), ["Email", "Mailbox", "Thread"]);
    house.grant(hidden, "");
    house.grant(shown, "");
    assert!(heard(&house, &mut at).is_empty());
    assert_eq!(at.others().count(), 0);
    house.grant(shown, "lr");
    assert_eq!(heard(&house, &mut at), ["Email", "Mailbox", "Thread"]);
    // Who stands nowhere is told where everything stands, as a get tells it.
    let (_, change) = look(&house.verbs(), CAROL, &Wanted::ALL, None).unwrap();
    let change = change.unwrap();
    house.who = CAROL;
    for of in ["Email", "Mailbox", "Thread"] {
        let got = house.of_bob(&format!("{of}/get"), json!({"ids": []}));
        assert_eq!(change["changed"]["A1"][of], got["state"], "{of}");
    }
}
