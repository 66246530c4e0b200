//! Who may rename a mailbox of somebody else's, by JMAP and by IMAP (RFC 4314 4).

use serde_json::{Value, json};
use tern_mailbox::{Access, Acting, Actor};
use tern_session::ids;

use crate::house::{BOB, CAROL, House};

#[test]
fn a_mailbox_is_renamed_by_whoever_is_told_so_and_by_nobody_else() {
    // What Carol may do in the mailbox, and in the one that it is in, where it is in one.
    let cases = [
        ("lrx", Some("lk"), true),
        ("lx", Some("lrk"), true),
        ("lrswipkte", Some("lk"), false),
        ("lrx", Some("lrswipxte"), false),
        ("lrx", Some(""), false),
        ("lrswipkxtea", None, false),
    ];
    for case in cases {
        let (rights, above, may) = case;
        let mut house = House::new();
        let parent = above.map(|_| house.folder(None, "Above"));
        let (mailbox, other) = (house.folder(parent, "One"), house.folder(parent, "Two"));
        if let Some((parent, above)) = parent.zip(above) {
            house.grant(parent, above);
        }
        house.grant(mailbox, rights);
        house.grant(other, rights);
        house.who = CAROL;
        let id = ids::mailbox_id(BOB, mailbox);
        let got = house.of_bob("Mailbox/get", json!({"ids": [id]}));
        let told = &got["list"][0]["myRights"];
        assert_eq!(told["mayRename"], may, "{case:?}");
        assert_eq!(told["mayDelete"], rights.contains('x'), "{case:?}");
        let set = house.of_bob("Mailbox/set", json!({"update": {&id: {"name": "Uno"}}}));
        let error = match may {
            true => Value::Null,
            false => json!("forbidden"),
        };
        assert_eq!(set["notUpdated"][&id]["type"], error, "{case:?}");
        let access = Access {
            account: BOB,
            mailbox: other,
            acting: Acting::Guest(Actor {
                account: CAROL,
                groups: Vec::new(),
            }),
        };
        let path = if parent.is_some() { "Above/Due" } else { "Due" };
        let renamed = house.mailboxes.rename_folder(&access, path, house.now);
        assert_eq!(renamed.is_ok(), may, "{case:?} {renamed:?}");
        house.check();
    }
    // Their own are theirs, but for the inbox.
    let mut house = House::new();
    let got = house.call("Mailbox/get", json!({"ids": null}));
    for mailbox in got["list"].as_array().unwrap() {
        let may = mailbox["role"] != "inbox";
        assert_eq!(mailbox["myRights"]["mayRename"], may, "{mailbox}");
        assert_eq!(mailbox["myRights"]["mayDelete"], may, "{mailbox}");
    }
}
