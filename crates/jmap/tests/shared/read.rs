//! What a reader by rights is told, and what is on record of it.

use serde_json::{Value, json};
use tern_mailbox::{Access, INBOX};
use tern_session::ids;

use crate::house::{BOB, CAROL, House};

/// Of every method that reads what an account has, with arguments that it takes.
fn reading(email: &str, blob: &str) -> Vec<(&'static str, Value)> {
    let since = json!({"sinceState": "1"});
    let since_query = json!({"sinceQueryState": "1"});
    vec![
        ("Mailbox/get", json!({"ids": null})),
        ("Mailbox/changes", since.clone()),
        ("Mailbox/query", json!({})),
        ("Mailbox/queryChanges", since_query.clone()),
        ("Thread/get", json!({"ids": []})),
        ("Thread/changes", since.clone()),
        ("Email/get", json!({"ids": [email]})),
        ("Email/changes", since),
        ("Email/query", json!({})),
        ("Email/queryChanges", since_query),
        ("Email/parse", json!({"blobIds": [blob]})),
        (
            "SearchSnippet/get",
            json!({"emailIds": [email], "filter": null}),
        ),
        ("Blob/get", json!({"ids": [blob]})),
        (
            "Blob/lookup",
            json!({"ids": [blob], "typeNames": ["Email"]}),
        ),
        ("Blob/upload", json!({"create": {}})),
    ]
}

#[test]
fn an_account_is_there_for_whom_something_of_it_is_shared() {
    let mut house = House::new();
    let folder = house.folder(None, "Firm");
    let email = house.put(&[folder], "Plan", "the plan");
    house.who = CAROL;
    let nothing = house.session();
    assert_eq!(nothing["accounts"].as_object().unwrap().len(), 1);
    for (name, args) in reading(&email, "G1-0") {
        assert_eq!(house.error_of_bob(name, args), "accountNotFound", "{name}");
    }
    // Rights without `l` show nothing.
    house.grant(folder, "rwi");
    assert_eq!(house.session(), nothing);
    let all = json!({"ids": null});
    assert_eq!(
        house.error_of_bob("Mailbox/get", all.clone()),
        "accountNotFound"
    );
    house.grant(folder, "lr");
    let session = house.session();
    assert_ne!(session["state"], nothing["state"]);
    let bob = &session["accounts"]["A1"];
    assert_eq!(bob["name"], "bob@example.org");
    assert_eq!(
        (&bob["isPersonal"], &bob["isReadOnly"]),
        (&json!(false), &json!(true))
    );
    let capabilities: Vec<&String> = bob["accountCapabilities"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(
        capabilities,
        [
            "urn:ietf:params:jmap:mail",
            "urn:ietf:params:jmap:blob",
            "urn:ietf:params:jmap:mail:share",
            "urn:ietf:params:jmap:principals:owner",
        ]
    );
    assert_eq!(
        bob["accountCapabilities"]["urn:ietf:params:jmap:principals:owner"],
        json!({"accountIdForPrincipal": "A2", "principalId": "P1"})
    );
    let mail = &bob["accountCapabilities"]["urn:ietf:params:jmap:mail"];
    assert_eq!(mail["mayCreateTopLevelMailbox"], false);
    assert_eq!(session["primaryAccounts"], nothing["primaryAccounts"]);
    let principal = house.call("Principal/get", json!({"ids": ["P1"]}));
    assert_eq!(principal["list"][0]["accounts"], json!({"A1": bob}));
    let found = house.call("Principal/query", json!({"filter": {"accountIds": ["A1"]}}));
    assert_eq!(found["ids"], json!(["P1"]));
    // What is taken away is gone at the next call.
    house.grant(folder, "");
    assert_eq!(house.error_of_bob("Mailbox/get", all), "accountNotFound");
    assert_eq!(house.session(), nothing);
    house.check();
}

#[test]
fn what_is_its_owners_alone_is_not_for_a_reader() {
    let mut house = House::new();
    house.grant(INBOX, "lrswipkxtea");
    house.who = CAROL;
    let none = json!({"ids": null});
    let since = json!({"sinceState": "0"});
    for (name, args) in [
        ("Identity/get", none.clone()),
        ("Identity/changes", since.clone()),
        ("Identity/set", json!({})),
        ("EmailSubmission/get", none.clone()),
        ("EmailSubmission/changes", since.clone()),
        ("EmailSubmission/query", json!({})),
        ("EmailSubmission/set", json!({})),
        ("VacationResponse/get", none.clone()),
        ("VacationResponse/set", json!({})),
        ("Quota/get", none.clone()),
        ("Recall/get", none.clone()),
        ("Recall/set", json!({})),
        ("Recall/plan", json!({"emailIds": []})),
        ("Principal/get", none.clone()),
        ("ShareNotification/get", none),
        ("ShareNotification/changes", since),
    ] {
        let kind = house.error_of_bob(name, args);
        let is_it = kind == "accountNotSupportedByMethod" || kind == "invalidArguments";
        assert!(is_it, "{name}: {kind}");
        if name != "Recall/plan" {
            assert_eq!(kind, "accountNotSupportedByMethod", "{name}");
        }
    }
}

#[test]
fn mailboxes_are_there_by_their_rights() {
    let mut house = House::new();
    let hidden = house.folder(None, "Hidden");
    let (shown, below) = (
        house.folder(Some(hidden), "Shown"),
        house.folder(None, "Known"),
    );
    let inside = house.folder(Some(shown), "Inside");
    for mailbox in [shown, below, inside] {
        house.put(&[mailbox], "one", "text");
    }
    house.grant(shown, "lrs");
    house.grant(below, "l");
    house.grant(inside, "lrswipkxte");
    house.who = CAROL;
    let got = house.of_bob("Mailbox/get", json!({"ids": null}));
    let all = got["list"].as_array().unwrap();
    let of = |id| {
        let id = ids::mailbox_id(BOB, id);
        all.iter().find(|one| one["id"] == id.as_str())
    };
    assert_eq!(all.len(), 3, "{got}");
    assert!(of(hidden).is_none() && of(INBOX).is_none());
    let shown_now = of(shown).unwrap();
    // In a mailbox that is not there, it stands at the top.
    assert_eq!(
        (&shown_now["name"], &shown_now["parentId"]),
        (&json!("Shown"), &Value::Null)
    );
    assert_eq!(shown_now["totalEmails"], 1);
    assert_eq!(of(inside).unwrap()["parentId"], ids::mailbox_id(BOB, shown));
    let may = |may: [bool; 10]| {
        let [
            read,
            add,
            remove,
            seen,
            keywords,
            child,
            rename,
            delete,
            submit,
            share,
        ] = may;
        json!({
            "mayReadItems": read, "mayAddItems": add, "mayRemoveItems": remove, "maySetSeen": seen,
            "maySetKeywords": keywords, "mayCreateChild": child, "mayRename": rename,
            "mayDelete": delete, "maySubmit": submit, "mayShare": share,
        })
    };
    let (t, f) = (true, false);
    assert_eq!(shown_now["myRights"], may([t, f, f, t, f, f, f, f, f, f]));
    assert_eq!(
        of(inside).unwrap()["myRights"],
        may([t, t, t, t, t, t, f, t, t, f]),
        "it is renamed where one may make another"
    );
    // Known of, and not read: nothing of what is in it shows.
    let known = of(below).unwrap();
    assert_eq!(known["myRights"], may([f; 10]));
    assert_eq!(
        (&known["totalEmails"], &known["unreadThreads"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(known["isSubscribed"], false);
    assert_eq!(known["shareWith"], Value::Null);
    let args = json!({"ids": [ids::mailbox_id(BOB, hidden), "F1-99"]});
    let got = house.of_bob("Mailbox/get", args);
    assert_eq!(
        got["notFound"],
        json!([ids::mailbox_id(BOB, hidden), "F1-99"])
    );
    let found = house.of_bob("Mailbox/query", json!({"filter": {"parentId": null}}));
    assert_eq!(found["ids"].as_array().unwrap().len(), 2);
    let of_hidden = json!({"filter": {"parentId": ids::mailbox_id(BOB, hidden)}});
    assert_eq!(house.of_bob("Mailbox/query", of_hidden)["ids"], json!([]));
}

#[test]
fn of_messages_there_is_what_a_readable_mailbox_shows() {
    let mut house = House::new();
    let (shown, hidden) = (house.folder(None, "Shown"), house.folder(None, "Hidden"));
    let known = house.folder(None, "Known");
    let both = house.put(&[shown, hidden], "Both", "apples and pears");
    let alone = house.put(&[hidden], "Alone", "apples and plums");
    let counted = house.put(&[known], "Known", "apples and nuts");
    house.grant(shown, "lr");
    house.grant(known, "l");
    let hidden_id = ids::mailbox_id(BOB, hidden);
    let shown_id = ids::mailbox_id(BOB, shown);
    let blobs = |house: &mut House| {
        let args = json!({"ids": [both, alone, counted], "properties": ["blobId", "threadId"]});
        let got = house.call("Email/get", args);
        let of = |n: usize, name: &str| got["list"][n][name].as_str().unwrap().to_owned();
        [0, 1, 2].map(|n| (of(n, "blobId"), of(n, "threadId")))
    };
    let [of_both, of_alone, of_counted] = blobs(&mut house);
    house.who = CAROL;
    let properties = json!(["mailboxIds", "keywords", "subject", "preview"]);
    let args = json!({"ids": [both, alone, counted], "properties": properties});
    let got = house.of_bob("Email/get", args);
    assert_eq!(
        got["list"],
        json!([{
            "id": both, "mailboxIds": {shown_id.as_str(): true}, "keywords": {}, "subject": "Both",
            "preview": "apples and pears",
        }])
    );
    assert_eq!(got["notFound"], json!([alone, counted]));
    let got = house.of_bob("Email/get", json!({"ids": null, "properties": ["id"]}));
    assert_eq!(got["list"], json!([{"id": both}]));
    for filter in [
        Value::Null,
        json!({"text": "apples"}),
        json!({"body": "apples"}),
        json!({"inMailboxOtherThan": [hidden_id]}),
    ] {
        let found = house.of_bob(
            "Email/query",
            json!({"filter": filter, "calculateTotal": true}),
        );
        assert_eq!(
            (&found["ids"], &found["total"]),
            (&json!([both]), &json!(1)),
            "{filter}"
        );
    }
    for filter in [
        json!({"inMailbox": hidden_id}),
        json!({"text": "plums"}),
        json!({"text": "nuts"}),
        json!({"inMailboxOtherThan": [shown_id]}),
    ] {
        let found = house.of_bob("Email/query", json!({"filter": filter}));
        assert_eq!(found["ids"], json!([]), "{filter}");
    }
    let args = json!({"ids": [of_both.1, of_alone.1]});
    let threads = house.of_bob("Thread/get", args);
    assert_eq!(
        threads["list"],
        json!([{"id": of_both.1, "emailIds": [both]}])
    );
    assert_eq!(threads["notFound"], json!([of_alone.1]));
    let args = json!({"emailIds": [both, alone], "filter": {"text": "apples"}});
    let snippets = house.of_bob("SearchSnippet/get", args);
    assert_eq!(snippets["notFound"], json!([alone]));
    assert_eq!(snippets["list"].as_array().unwrap().len(), 1);
    let args = json!({"ids": [of_both.0, of_alone.0, of_counted.0], "properties": ["size"]});
    let got = house.of_bob("Blob/get", args);
    assert_eq!(got["list"].as_array().unwrap().len(), 1);
    assert_eq!(got["notFound"], json!([of_alone.0, of_counted.0]));
    let types = json!(["Email", "Mailbox"]);
    let got = house.of_bob(
        "Blob/lookup",
        json!({"ids": [of_both.0, of_alone.0], "typeNames": types}),
    );
    assert_eq!(
        got["list"][0]["matchedIds"],
        json!({"Email": [both], "Mailbox": [shown_id]})
    );
    assert_eq!(got["notFound"], json!([of_alone.0]));
    let parsed = house.of_bob("Email/parse", json!({"blobIds": [of_alone.0]}));
    assert_eq!(parsed["notFound"], json!([of_alone.0]));
    assert!(house.download(&of_both.0).is_some());
    assert!(house.download(&of_alone.0).is_none());
    // Nothing of it is found within the reader's own account.
    let own = house.call("Email/get", json!({"ids": [both]}));
    assert_eq!(own["notFound"], json!([both]));
    assert_eq!(
        house.call("Blob/get", json!({"ids": [of_both.0]}))["list"],
        json!([])
    );
}

#[test]
fn flags_are_those_of_the_mailboxes_that_are_seen() {
    let mut house = House::new();
    let (shown, hidden) = (house.folder(None, "Shown"), house.folder(None, "Hidden"));
    let id = house.put(&[shown], "One", "text");
    house.bob_updates(&id, json!({"keywords/$seen": true, "keywords/here": true}));
    house.bob_updates(
        &id,
        json!({format!("mailboxIds/{}", ids::mailbox_id(BOB, hidden)): true}),
    );
    // As IMAP does: in one mailbox alone.
    let view = house.mailboxes.view(BOB, hidden).unwrap();
    let uid = tern_base::Uid(view.uids().min().unwrap());
    let mut flags = tern_mailbox::Flags::empty();
    flags.add_keyword("secret");
    let request = tern_mailbox::FlagRequest {
        access: Access::owner(BOB, hidden),
        uids: &[uid],
        change: &tern_mailbox::FlagChange::Set(flags),
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&request).unwrap();
    house.grant(shown, "lr");
    house.who = CAROL;
    let args = json!({"ids": [id], "properties": ["keywords"]});
    let got = house.of_bob("Email/get", args);
    assert_eq!(
        got["list"][0]["keywords"],
        json!({"$seen": true, "here": true})
    );
    let has = |keyword: &str| json!({"filter": {"hasKeyword": keyword}});
    assert_eq!(house.of_bob("Email/query", has("secret"))["ids"], json!([]));
    assert_eq!(
        house.of_bob("Email/query", has("$seen"))["ids"],
        json!([id])
    );
    let mailboxes = house.of_bob("Mailbox/get", json!({"ids": null}));
    assert_eq!(mailboxes["list"][0]["unreadEmails"], 0);
}

#[test]
fn what_a_reader_is_served_is_on_record_in_their_name() {
    let mut house = House::new();
    let id = house.put(&[INBOX], "One", "some text");
    let message = ids::parse_email_id(BOB, &id).unwrap();
    house.grant(INBOX, "lr");
    let readers = |house: &House| {
        let ledger = house.sealing.ledger(BOB, message).unwrap();
        let of = |serving: &tern_mailbox::Serving| serving.device.reader();
        ledger.servings.iter().filter_map(of).collect::<Vec<_>>()
    };
    house.who = CAROL;
    // What says nothing of its content is no reading.
    house.of_bob(
        "Email/get",
        json!({"ids": [id], "properties": ["mailboxIds"]}),
    );
    house.of_bob("Email/query", json!({}));
    assert!(readers(&house).is_empty());
    let calls = [
        ("Email/get", json!({"ids": [id], "properties": ["subject"]})),
        ("Email/query", json!({"filter": {"body": "text"}})),
        (
            "SearchSnippet/get",
            json!({"emailIds": [id], "filter": {"text": "text"}}),
        ),
        (
            "Email/get",
            json!({"ids": [id], "fetchTextBodyValues": true, "properties": ["bodyValues"]}),
        ),
    ];
    for (name, args) in calls {
        house.of_bob(name, args);
        assert_eq!(readers(&house), [CAROL], "{name}");
    }
}
