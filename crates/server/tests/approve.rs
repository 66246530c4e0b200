//! The page by which somebody answers who may approve a recall: whom it lets in, once, and what comes of
//! it.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a real server takes real time, and a test may panic"
)]

mod house;

use std::fs;
use std::path::Path;

use house::House;
use house::http::is_strict;

const FOUR_EYES: &str = "@id(\"house.four-eyes\")\n@approval(\"1h\")\n@approvers(\"1\")\n\
    forbid (principal, action == Tern::Action::\"recall.own\", resource)\n\
    unless { context.approvals >= 1 };\n\
    @id(\"house.numbers\")\n@visibility(\"aggregate:4\")\n\
    forbid (principal, action == Tern::Action::\"report.exposure\", resource);\n";

/// Somebody else has to approve every recall, and sees numbers; Bob and Carol may.
fn four_eyes(rules: &Path) -> House {
    fs::write(rules.join("rules.cedar"), FOUR_EYES).expect("written");
    let roles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies/roles");
    let house = House::started(&format!("[policy]\ndirectories = [{roles:?}, {rules:?}]\n"));
    for name in ["alice", "bob", "carol"] {
        let address = format!("{name}@example.org");
        house.done(&["role", "grant", "manager", &address, "--over", "everyone"]);
    }
    house
}

/// Alice asks by mail for what she has sent to Bob, and says why.
fn ask(house: &mut House, subject: &str) {
    house.send(subject);
    let mail = format!(
        "From: alice@example.org\r\nTo: recall@example.org\r\nSubject: <{subject}@example.org>\r\n\
         Message-ID: <ask-{subject}@example.org>\r\n\r\nReason: the <b>wrong</b> file\r\n"
    );
    let sent = house.submission("alice").send(
        "alice@example.org",
        &["recall@example.org"],
        mail.as_bytes(),
    );
    assert_eq!(sent.expect("an answer").1.0, 250);
    house.wait_log("recall waits");
}

/// The path of the link in the last mail that somebody has; none where it has none.
fn link_of(house: &House, name: &str, mails: u32) -> Option<String> {
    let mut client = house.imap(name);
    let inbox = client.command("SELECT INBOX").expect("an answer");
    if inbox.number("EXISTS") != Some(mails) {
        let idle = client.idle().expect("idling");
        client.wait_for(&format!("{mails} EXISTS")).expect("told");
        client.done(&idle).expect("an answer");
    }
    let mail = client.command("FETCH * BODY.PEEK[TEXT]");
    let text = mail.expect("an answer").literals.pop()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, link) = text.split_once("https://mx.example.org")?;
    Some(link.split_whitespace().next()?.to_owned())
}

/// What is in Bob's inbox but mail of the server's own.
fn copies_of_bob(house: &House) -> usize {
    let mut bob = house.imap("bob");
    bob.command("SELECT INBOX").expect("an answer");
    let found = bob.command("SEARCH UNKEYWORD $RecallReport");
    let found = found.expect("an answer");
    let mut lines = found.untagged.iter();
    let line = lines.find_map(|line| line.strip_prefix("SEARCH"));
    line.map_or(0, |numbers| numbers.split_whitespace().count())
}

#[test]
fn whoever_may_approve_does_it_on_a_page_with_a_code_once() {
    let rules = tempfile::tempdir().expect("a directory");
    let mut house = four_eyes(rules.path());
    let (app, _) = house.enrol("bob@example.org");
    let (carols, _) = house.enrol("carol@example.org");
    ask(&mut house, "first");
    let link = link_of(&house, "bob", 2).expect("a link");
    let hers = link_of(&house, "carol", 1).expect("a link");
    assert!(link.starts_with("/recall/approve/") && link != hers);
    // Whoever looks at links before people do uses nothing up.
    for method in ["GET", "HEAD", "GET"] {
        let page = house.http(method, &link, &[], "");
        assert_eq!(page.status, 200);
        is_strict(&page);
    }
    let page = house.get(&link);
    for told in [
        "<bdi>alice@example.org</bdi>",
        "<bdi>first</bdi>",
        "<dt>Recipients</dt><dd>1</dd>",
        "the &#60;b&#62;wrong&#60;/b&#62; file",
        "<bdi>bob@example.org</bdi>",
        "<b>1</b><span>taken back</span>",
    ] {
        assert!(page.says(told), "{told}: {}", page.body);
    }
    assert!(
        !page.says("Text of first") && !page.says("opened"),
        "{}",
        page.body
    );

    let refused = [
        (format!("answer=approve&code={}", app.wrong()), 403),
        // The code is good, and of somebody else.
        (format!("answer=approve&code={}", carols.code(1)), 403),
        (format!("answer=decline&code={}", app.code(1)), 422),
        (format!("answer=else&code={}", app.code(1)), 400),
        (format!("code={}", app.code(1)), 400),
    ];
    for (form, status) in refused {
        let page = house.post(&link, &form);
        assert_eq!(page.status, status, "{form}: {}", page.body);
        is_strict(&page);
    }
    // Another page's browser sends nothing.
    let fields = [
        "Content-Type: application/x-www-form-urlencoded",
        "Sec-Fetch-Site: cross-site",
    ];
    let good = format!("answer=approve&code={}&reason=seen", app.code(1));
    assert_eq!(house.http("POST", &link, &fields, &good).status, 403);
    assert_eq!(copies_of_bob(&house), 1);

    let page = house.post(&link, &good);
    assert_eq!(page.status, 200, "{}", page.body);
    is_strict(&page);
    assert!(
        page.says("<h1 class=\"good\">Approved</h1>"),
        "{}",
        page.body
    );
    assert_eq!(copies_of_bob(&house), 0);
    for link in [&link, &hers] {
        for page in [house.get(link), house.post(link, &good)] {
            assert_eq!(page.status, 404);
            assert!(page.says("This link opens nothing"), "{}", page.body);
        }
    }
    let log = house.done(&["audit", "export"]);
    let line = log.lines().find(|line| line.contains("\"recall.approve\""));
    let line = line.expect("on record");
    for told in [
        "bob@example.org",
        "\"https\"",
        "\"totp\"",
        "\"127.0.0.1\"",
        "\"seen\"",
    ] {
        assert!(line.contains(told), "{told}: {line}");
    }
    assert!(house.stop().0);
}

#[test]
fn declined_on_the_page_nothing_is_taken_back_and_the_requester_is_told_why() {
    let rules = tempfile::tempdir().expect("a directory");
    let mut house = four_eyes(rules.path());
    let (app, _) = house.enrol("bob@example.org");
    ask(&mut house, "first");
    let link = link_of(&house, "bob", 2).expect("a link");
    // Carol has no second factor, and can answer nothing here.
    let hers = link_of(&house, "carol", 1).expect("a link");
    let page = house.get(&hers);
    assert!(
        page.says("no second factor") && !page.says("<form"),
        "{}",
        page.body
    );
    // A link that is cut, changed or put together of two opens nothing.
    let cut = &link[..link.len() - 1];
    let (head, tail) = (&hers[..hers.len() / 2], &link[link.len() / 2..]);
    for other in [
        cut.to_owned(),
        format!("{head}{tail}"),
        link.replace("approve", "confirm"),
    ] {
        assert_eq!(house.get(&other).status, 404, "{other}");
    }
    let form = format!("answer=decline&code={}&reason=It+was+right", app.code(1));
    let page = house.post(&link, &form);
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.says(">Declined</h1>"), "{}", page.body);
    assert_eq!(copies_of_bob(&house), 1);
    assert_eq!(house.get(&link).status, 404);
    let listed = house.done(&["--json", "recall", "list"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let id = listed[0]["id"].as_str().expect("an id");
    let status = house.done(&["recall", "status", id, "--as", "alice@example.org"]);
    assert!(
        status.contains("Declined by bob@example.org") && status.contains("It was right"),
        "{status}"
    );
    assert!(house.stop().0);
}
