//! What one account, and whoever guesses at passwords, can take.

use serde_json::{Value, json};

use super::house::House;
use super::house::http::{Answer, read};
use super::house::jmap::basic;

fn problem(answer: &Answer) -> Value {
    assert_eq!(
        answer.field("content-type"),
        Some("application/problem+json")
    );
    let problem: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(problem["status"], answer.status);
    problem
}

fn retry_after(answer: &Answer) -> u64 {
    let seconds = answer.field("retry-after").expect("a time to wait");
    seconds.parse().expect("seconds")
}

#[test]
fn an_account_that_asks_too_often_is_told_how_long_to_wait_and_another_is_not() {
    let house = House::started("[jmap]\nrequests_per_minute = 3\nuploads_per_hour = 2\n");
    let (bob, carol) = (house.jmap("bob"), house.jmap("carol"));
    let echo = json!([["Core/echo", {}, "c"]]);
    for _ in 0..3 {
        assert_eq!(bob.send(&echo).status, 200);
    }
    let refused = bob.send(&echo);
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(problem(&refused)["type"], "about:blank");
    assert!((1..=20).contains(&retry_after(&refused)));
    assert_eq!(carol.send(&echo).status, 200);
    let upload = |client: &super::house::jmap::JmapClient<'_>| {
        let path = format!("/jmap/upload/{}/", client.account);
        client.http("POST", &path, "text")
    };
    let first = upload(&bob);
    assert_eq!(first.status, 201, "uploads are counted by themselves");
    assert_eq!(upload(&bob).status, 201);
    let refused = upload(&bob);
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!((60..=1_800).contains(&retry_after(&refused)));
    assert_eq!(upload(&carol).status, 201);
    // One within a request is an upload, too.
    let create = json!({"b": {"data": [{"data:asText": "text"}]}});
    let made = carol.call("Blob/upload", json!({"create": create}));
    assert!(made["created"]["b"].is_object(), "{made}");
    let made = carol.call("Blob/upload", json!({"create": create}));
    assert_eq!(made["notCreated"]["b"]["type"], "rateLimit", "{made}");
    assert_eq!(upload(&carol).status, 429);
    // What was uploaded can be read all the same, and so can the session.
    let uploaded: Value = serde_json::from_str(&first.body).expect("JSON");
    let blob = uploaded["blobId"].as_str().expect("an id");
    for path in [
        format!("/jmap/download/{}/{blob}/x", bob.account),
        "/jmap/session".to_owned(),
    ] {
        assert_eq!(bob.http("GET", &path, "").status, 200, "{path}");
    }
}

#[test]
fn what_is_too_large_is_refused_as_the_session_says() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let session: Value =
        serde_json::from_str(&bob.http("GET", "/jmap/session", "").body).expect("JSON");
    let core = &session["capabilities"]["urn:ietf:params:jmap:core"];
    let upload = format!("/jmap/upload/{}/", bob.account);
    for (path, limit) in [
        ("/jmap/api/", "maxSizeRequest"),
        (upload.as_str(), "maxSizeUpload"),
    ] {
        let most = core[limit].as_u64().expect("a number");
        let field = format!("Content-Length: {}", most + 1);
        let login = basic("bob@example.org", super::house::PASSWORD);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: mx.example.org\r\n{login}\r\n{field}\r\n\
             Content-Type: application/json\r\n\r\n"
        );
        let mut wire = house.secure_wire(house.ports.https);
        wire.send(head.as_bytes()).expect("sent");
        let refused = read(&mut wire, "POST").expect("an answer before the body");
        assert_eq!(refused.status, 413, "{path}");
        let problem = problem(&refused);
        assert_eq!(problem["type"], "urn:ietf:params:jmap:error:limit");
        assert_eq!(problem["limit"], limit);
    }
    let calls: Vec<Value> = (0..=core["maxCallsInRequest"].as_u64().expect("a number"))
        .map(|n| json!(["Core/echo", {}, n.to_string()]))
        .collect();
    let refused = bob.send(&json!(calls));
    assert_eq!(refused.status, 400);
    assert_eq!(problem(&refused)["limit"], "maxCallsInRequest");
}

#[test]
fn guesses_by_jmap_are_throttled_as_at_any_other_door() {
    let house = House::started("[limits]\nmax_login_failures = 2\nuncounted_networks = []\n");
    let session = |login: &str| house.http("GET", "/jmap/session", &[login], "");
    let right = basic("alice@example.org", super::house::PASSWORD);
    for guess in ["wrong", "wrong again"] {
        let refused = session(&basic("alice@example.org", guess));
        assert_eq!(refused.status, 401);
        assert!(refused.field("www-authenticate").is_some());
    }
    let refused = session(&right);
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(retry_after(&refused) > 0);
    let mut imap = tern_server::demo::client::ImapClient::new(house.secure_wire(house.ports.imaps))
        .expect("a greeting");
    let answer = imap.login("alice@example.org", super::house::PASSWORD);
    assert!(!answer.expect("an answer").is_ok(), "there, too");
}

#[test]
fn a_download_ends_when_its_login_is_revoked() {
    const SIZE: usize = 24 << 20;
    let house = House::started("");
    let bob = house.jmap("bob");
    let path = format!("/jmap/upload/{}/", bob.account);
    let uploaded = bob.http("POST", &path, &"x".repeat(SIZE));
    let uploaded: Value = serde_json::from_str(&uploaded.body).expect("JSON");
    let blob = uploaded["blobId"].as_str().expect("an id");
    let login = basic("bob@example.org", super::house::PASSWORD);
    let mut wire = house.secure_wire(house.ports.https);
    let head = format!(
        "GET /jmap/download/{}/{blob}/x HTTP/1.1\r\nHost: mx.example.org\r\n{login}\r\n\r\n",
        bob.account
    );
    wire.send(head.as_bytes()).expect("sent");
    while !wire.line().expect("a line").is_empty() {}
    assert_eq!(wire.exactly(1_000).expect("the beginning").len(), 1_000);
    let password = [
        "account",
        "password",
        "bob@example.org",
        "--password",
        "another one",
    ];
    house.done(&password);
    // What was on its way already comes; the rest does not.
    wire.exactly(SIZE - 1_000).expect_err("it ends early");
}
