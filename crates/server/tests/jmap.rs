//! JMAP over real sockets: who is let in, what is read, and what a recall leaves of it.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

#[path = "jmap/colleagues.rs"]
mod colleagues;
mod house;
#[path = "jmap/limits.rs"]
mod limits;
#[path = "jmap/reports.rs"]
mod reports;
#[path = "jmap/send.rs"]
mod send;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use house::House;
use house::jmap::basic;
use serde_json::{Value, json};

/// The id of a mailbox by its role.
fn mailbox(client: &house::jmap::JmapClient<'_>, role: &str) -> String {
    let all = client.call("Mailbox/get", json!({"ids": null}));
    let list = all["list"].as_array().expect("a list").clone();
    let found = list
        .iter()
        .find(|it| it["role"] == role)
        .expect("a mailbox of that role");
    found["id"].as_str().expect("an id").to_owned()
}

#[test]
fn only_who_has_a_login_is_told_anything() {
    let house = House::started("");
    for path in [
        "/.well-known/jmap",
        "/jmap/session",
        "/jmap/download/A1/G1-x/n",
    ] {
        let refused = house.get(path);
        assert_eq!(refused.status, 401, "{path}");
        assert!(
            refused
                .field("www-authenticate")
                .expect("a challenge")
                .starts_with("Basic")
        );
    }
    let wrong = house.http(
        "GET",
        "/jmap/session",
        &[&basic("bob@example.org", "no")],
        "",
    );
    assert_eq!(wrong.status, 401);
    let preflight = house.http(
        "OPTIONS",
        "/jmap/api/",
        &["Origin: https://app.example"],
        "",
    );
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.field("access-control-allow-origin"), Some("*"));
    let bob = house.jmap("bob");
    let session = bob.http("GET", "/jmap/session", "");
    let tag = session.field("etag").expect("a tag").to_owned();
    // RFC 9110 13.1.2
    for (known, status) in [
        (tag.clone(), 304),
        (format!("\"other\", W/{tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let fields = [
            basic("bob@example.org", house::PASSWORD),
            format!("If-None-Match: {known}"),
        ];
        let again = house.http("GET", "/jmap/session", &[&fields[0], &fields[1]], "");
        assert_eq!(again.status, status, "{known}");
    }
    assert_eq!(bob.http("GET", "/jmap/api/", "").status, 405);
    assert_eq!(bob.http("GET", "/jmap/nothing", "").status, 404);
}

#[test]
fn an_app_password_is_a_token_and_ends_when_it_is_removed() {
    let house = House::started("");
    let add = [
        "--json",
        "account",
        "app-password",
        "add",
        "bob@example.org",
        "--label",
        "x",
        "--scope",
    ];
    let made = |scope: &str| -> Value {
        serde_json::from_str(&house.done(&[&add[..], &[scope]].concat())).expect("JSON")
    };
    let status = |token: &str| {
        let bearer = format!("Authorization: Bearer {token}");
        house.http("GET", "/jmap/session", &[&bearer], "").status
    };
    let token = made("jmap")["token"].as_str().expect("a token").to_owned();
    assert_eq!(status(&token), 200);
    assert_eq!(made("imap")["token"], Value::Null);
    let own = URL_SAFE_NO_PAD.encode(format!("bob@example.org:{}", house::PASSWORD));
    assert_eq!(status(&own), 401, "the account's own password is no token");
    house.done(&["account", "app-password", "remove", "bob@example.org", "1"]);
    assert_eq!(status(&token), 401);
}

#[test]
fn requests_that_are_none_are_told_so() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let kind = |body: &str| {
        let answer = bob.http("POST", "/jmap/api/", body);
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(
            answer.field("content-type"),
            Some("application/problem+json")
        );
        let problem: Value = serde_json::from_str(&answer.body).expect("JSON");
        problem["type"]
            .as_str()
            .expect("a type")
            .rsplit(':')
            .next()
            .map(str::to_owned)
    };
    assert_eq!(kind("{"), Some("notJSON".to_owned()));
    assert_eq!(kind("[]"), Some("notRequest".to_owned()));
    let unknown = r#"{"using":["urn:x"],"methodCalls":[]}"#;
    assert_eq!(kind(unknown), Some("unknownCapability".to_owned()));
    let fields = [
        basic("bob@example.org", house::PASSWORD),
        "Content-Type: text/plain".to_owned(),
    ];
    let plain = house.http("POST", "/jmap/api/", &[&fields[0], &fields[1]], "{}");
    assert!(plain.says("notJSON"));
    assert_eq!(bob.error("Email/nothing", json!({})), "unknownMethod");
    assert_eq!(
        bob.error("Email/get", json!({"accountId": "A99"})),
        "accountNotFound"
    );
    assert_eq!(
        bob.error("Email/get", json!({"ids": [], "odd": 1})),
        "invalidArguments"
    );
    assert_eq!(
        bob.error("Email/get", json!({"ids": [], "properties": ["odd"]})),
        "invalidArguments"
    );
}

#[test]
fn a_message_is_read_by_either_protocol_under_the_same_ids() {
    let house = House::started("");
    house.send("one");
    let bob = house.jmap("bob");
    let all = bob.call(
        "Email/get",
        json!({"ids": null, "fetchTextBodyValues": true}),
    );
    let email = &all["list"][0];
    assert_eq!(email["subject"], "one");
    assert_eq!(
        email["from"],
        json!([{"name": null, "email": "alice@example.org"}])
    );
    assert_eq!(email["messageId"], json!(["one@example.org"]));
    assert_eq!(email["bodyValues"]["1"]["value"], "Text of one.\n.dot\n");
    assert_eq!(email["textBody"][0]["type"], "text/plain");
    assert_eq!(email["mailboxIds"], json!({mailbox(&bob, "inbox"): true}));
    let mut imap = house.imap("bob");
    imap.command("SELECT INBOX").expect("an answer");
    let ids = imap
        .command("FETCH 1 (EMAILID THREADID)")
        .expect("an answer");
    let line = ids.untagged.join(" ");
    let shown = |name: &str| format!("({})", email[name].as_str().expect("an id"));
    assert!(
        line.contains(&shown("id")) && line.contains(&shown("threadId")),
        "{line}"
    );
    // What IMAP changes is told by JMAP, from the state before.
    imap.command("STORE 1 +FLAGS (\\Seen $Label)")
        .expect("an answer");
    let since = json!({"sinceState": all["state"]});
    let changes = bob.call("Email/changes", since.clone());
    assert_eq!(changes["updated"], json!([email["id"]]));
    let keywords = bob.call(
        "Email/get",
        json!({"ids": [email["id"]], "properties": ["keywords"]}),
    );
    assert_eq!(
        keywords["list"][0]["keywords"],
        json!({"$seen": true, "$label": true})
    );
    let boxes = bob.call("Mailbox/changes", since);
    assert_eq!(boxes["updatedProperties"][0], "totalEmails");
    let blob = email["blobId"].as_str().expect("an id");
    let path =
        |account: &str| format!("/jmap/download/{account}/{blob}/a%20b.eml?accept=message/rfc822");
    let download = bob.http("GET", &path(&bob.account), "");
    assert_eq!(download.status, 200);
    assert!(download.says("Text of one."));
    assert_eq!(download.field("content-type"), Some("message/rfc822"));
    let carol = house.jmap("carol");
    assert_eq!(
        carol.http("GET", &path(&bob.account), "").status,
        404,
        "another's account"
    );
    assert_eq!(
        carol.http("GET", &path(&carol.account), "").status,
        404,
        "another's blob"
    );
}

#[test]
fn what_is_taken_back_is_gone_from_jmap_at_once() {
    let house = House::started("");
    house.send("two");
    let bob = house.jmap("bob");
    let before = bob.call("Email/get", json!({"ids": null, "properties": ["blobId"]}));
    let email = before["list"][0].clone();
    let blob = email["blobId"].as_str().expect("an id");
    house.done(&["recall", "run", "two@example.org"]);
    let after = bob.call("Email/get", json!({"ids": [email["id"]]}));
    assert_eq!(after["notFound"], json!([email["id"]]));
    let changes = bob.call("Email/changes", json!({"sinceState": before["state"]}));
    assert_eq!(changes["destroyed"], json!([email["id"]]));
    let path = format!("/jmap/download/{}/{blob}/x", bob.account);
    assert_eq!(bob.http("GET", &path, "").status, 404);
}

#[test]
fn mailboxes_and_searches_are_the_same_by_either_protocol() {
    let house = House::started("");
    house.send("one");
    house.send("two");
    let bob = house.jmap("bob");
    let mut imap = house.imap("bob");
    let mut told = |command: &str| {
        imap.command(command)
            .expect("an answer")
            .untagged
            .join("\n")
    };
    // What JMAP makes, IMAP lists, and the other way round.
    let create = json!({"top": {"name": "Work"}, "in": {"name": "Böxe", "parentId": "#top"}});
    let made = bob.call("Mailbox/set", json!({"create": create}));
    let id = |name: &str| {
        made["created"][name]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    let listed = told("LIST \"\" \"Work*\" RETURN (STATUS (MAILBOXID))");
    assert!(
        listed.contains("Work/B&APY-xe") || listed.contains("Work/Böxe"),
        "{listed}"
    );
    assert!(listed.contains(&format!("({})", id("in"))), "{listed}");
    let tree = json!({"filter": {"name": "Neu"}, "sortAsTree": true});
    let before = bob.call("Mailbox/query", tree.clone());
    told("RENAME Work Neu");
    let mut since = tree;
    since["sinceQueryState"] = before["queryState"].clone();
    let renamed = bob.call("Mailbox/queryChanges", since);
    assert_eq!(renamed["added"], json!([{"id": id("top"), "index": 0}]));
    let patch = json!({id("in"): {"name": "Inner", "parentId": null}});
    bob.call("Mailbox/set", json!({"update": patch}));
    assert!(told("LIST \"\" \"Inner\"").contains("Inner"));
    // What IMAP moves is found where it is.
    let inbox = json!({"filter": {"inMailbox": mailbox(&bob, "inbox"), "text": "text"}});
    let before = bob.call("Email/query", inbox.clone());
    assert_eq!(before["ids"].as_array().map(Vec::len), Some(2));
    told("SELECT INBOX");
    told("MOVE 1 Inner");
    let mut since = inbox;
    since["sinceQueryState"] = before["queryState"].clone();
    let moved = bob.call("Email/queryChanges", since);
    assert_eq!(
        (&moved["removed"], &moved["added"]),
        (&json!([before["ids"][0]]), &json!([]))
    );
    let there = bob.call("Email/query", json!({"filter": {"inMailbox": id("in")}}));
    assert_eq!(there["ids"], json!([before["ids"][0]]));
    // What JMAP destroys is gone for IMAP, with what was only there.
    let destroy = json!({"destroy": [id("in")], "onDestroyRemoveEmails": true});
    assert_eq!(
        bob.call("Mailbox/set", destroy)["destroyed"],
        json!([id("in")])
    );
    assert!(!told("LIST \"\" \"Inner\"").contains("Inner"));
    let gone = bob.call(
        "Email/get",
        json!({"ids": before["ids"], "properties": ["id"]}),
    );
    assert_eq!(gone["notFound"], json!([before["ids"][0]]));
}

#[test]
fn what_is_uploaded_is_imported_and_downloaded() {
    let house = House::started("");
    let (bob, carol) = (house.jmap("bob"), house.jmap("carol"));
    let letter = house::message("three").replace("example.org>\r\n\r\n", "example.org>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nText\r\n--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--x--\r\n");
    let path = format!("/jmap/upload/{}/", bob.account);
    let answer = bob.http("POST", &path, &letter);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let uploaded: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(uploaded["size"], letter.len());
    let blob = uploaded["blobId"].as_str().expect("an id");
    assert_eq!(
        carol.http("POST", &path, "x").status,
        404,
        "another's account"
    );
    let download = |client: &house::jmap::JmapClient<'_>, blob: &str| {
        let path = format!("/jmap/download/{}/{blob}/x", client.account);
        client.http("GET", &path, "")
    };
    assert_eq!(download(&bob, blob).body, letter);
    let head = bob.http(
        "HEAD",
        &format!("/jmap/download/{}/{blob}/x", bob.account),
        "",
    );
    let size = letter.len().to_string();
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some(size.as_str()))
    );
    assert_eq!(download(&carol, blob).status, 404);
    let parsed = bob.call("Email/parse", json!({"blobIds": [blob, "U0"]}));
    let part = &parsed["parsed"][blob]["attachments"][0];
    assert_eq!((&part["name"], &part["size"]), (&json!("a.pdf"), &json!(3)));
    assert_eq!(parsed["notFound"], json!(["U0"]));
    let part = part["blobId"].as_str().expect("an id");
    assert_eq!(download(&bob, part).body, "\0\u{1}\u{2}");
    let (inbox, archive) = (mailbox(&bob, "inbox"), mailbox(&bob, "archive"));
    let import = json!({"emails": {"i": {
        "blobId": blob, "mailboxIds": {inbox.as_str(): true, archive.as_str(): true},
        "keywords": {"$seen": true}, "receivedAt": "2020-01-02T03:04:05Z",
    }, "none": {"blobId": "U0", "mailboxIds": {inbox.as_str(): true}}}});
    let imported = bob.call("Email/import", import);
    let none = &imported["notCreated"]["none"];
    assert_eq!(
        (&none["type"], &none["properties"]),
        (&json!("invalidProperties"), &json!(["blobId"]))
    );
    let id = &imported["created"]["i"]["id"];
    let email = bob.call("Email/get", json!({"ids": [id]}))["list"][0].clone();
    assert_eq!(email["receivedAt"], "2020-01-02T03:04:05Z");
    assert_eq!(
        email["mailboxIds"],
        json!({inbox: true, archive.as_str(): true})
    );
    // Moved by patch, flagged, and destroyed; what is wrong changes nothing.
    let patch = json!({format!("mailboxIds/{archive}"): null, "keywords/$flagged": true});
    let set = bob.call(
        "Email/set",
        json!({"update": {id.as_str().expect("an id"): patch}}),
    );
    assert_eq!(set["notUpdated"], Value::Null, "{set}");
    let wrong = json!({"mailboxIds": {}, "keywords/$flagged": null});
    let set = bob.call(
        "Email/set",
        json!({"update": {id.as_str().expect("an id"): wrong}}),
    );
    assert_eq!(
        set["notUpdated"][id.as_str().expect("an id")]["type"],
        "invalidProperties"
    );
    let email = bob.call(
        "Email/get",
        json!({"ids": [id], "properties": ["keywords", "mailboxIds"]}),
    );
    assert_eq!(
        email["list"][0]["keywords"],
        json!({"$seen": true, "$flagged": true})
    );
    let state = &email["state"];
    let stale = json!({"ifInState": imported["oldState"], "destroy": [id]});
    assert_eq!(bob.error("Email/set", stale), "stateMismatch");
    let set = bob.call(
        "Email/set",
        json!({"ifInState": state, "destroy": [id, "M1-99"]}),
    );
    assert_eq!(set["destroyed"], json!([id]));
    assert_eq!(set["notDestroyed"]["M1-99"]["type"], "notFound");
}

#[test]
fn a_page_of_another_site_uploads_nothing_with_a_login_that_a_browser_keeps() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let login = basic("bob@example.org", house::PASSWORD);
    let path = format!("/jmap/upload/{}/", bob.account);
    let status = |site: &str, kind: &str| {
        let fields = [login.as_str(), site, kind];
        house.http("POST", &path, &fields, "x").status
    };
    let (elsewhere, plain) = ("Sec-Fetch-Site: cross-site", "Content-Type: text/plain");
    assert_eq!(status(elsewhere, plain), 403);
    assert_eq!(status("Origin: https://evil.test", plain), 403);
    assert_eq!(status("Origin: https://mx.example.org", plain), 201);
    // For this a browser asks first, and hears that no login of its own may go along.
    assert_eq!(status(elsewhere, "Content-Type: image/png"), 201);
}

#[test]
fn uploads_that_are_broken_off_give_their_room_back() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let path = format!("/jmap/upload/{}/", bob.account);
    let login = basic("bob@example.org", house::PASSWORD);
    // Each may bring 64 MiB, as far as its head says, and an account has room for 512.
    for _ in 0..9 {
        let mut wire = house.secure_wire(house.ports.https);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: mx.example.org\r\n{login}\r\n\
             Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nno size\r\n"
        );
        wire.send(head.as_bytes()).expect("sent");
        let line = wire.line().expect("a line");
        assert_eq!(line, "HTTP/1.1 400 Bad Request");
    }
    assert_eq!(bob.http("POST", &path, "x").status, 201);
}
