//! The pages over real sockets: the headers of every answer, the limits, and the link that frees a
//! waiting recall: whom it lets in, once, and what it never tells.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::path::{Path, PathBuf};

use house::http::{is_strict, read};
use house::{House, is_closed};
use tern_base::Timestamp;

/// The shipped default: what was opened is taken back with a fresh second factor.
fn house(options: &str) -> House {
    house_with(&[], options)
}

/// The same with more rules.
fn house_with(more: &[&Path], options: &str) -> House {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
    let shipped = ["roles", "default"].map(|directory| root.join(directory));
    let all: Vec<&Path> = shipped
        .iter()
        .map(PathBuf::as_path)
        .chain(more.iter().copied())
        .collect();
    House::started(&format!("[policy]\ndirectories = {all:?}\n{options}"))
}

const SUBJECT: &str = "<b>Prices</b> & \"more\"";
const ESCAPED: &str = "&#60;b&#62;Prices&#60;/b&#62; &#38; &#34;more&#34;";

/// Alice sends Bob a message, Bob opens it, and Alice moves it into `Recall`: the path of the link in
/// the mail that she gets, her `n`th.
fn asked(house: &House, id: &str, n: u32) -> String {
    let message = format!(
        "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: {SUBJECT}\r\n\
         Message-ID: <{id}@example.org>\r\n\r\nText of {id}.\r\n"
    );
    let mut submission = house.submission("alice");
    let sent = submission.send(
        "alice@example.org",
        &["bob@example.org"],
        message.as_bytes(),
    );
    assert_eq!(sent.expect("an answer").1.0, 250);
    let mut bob = house.imap("bob");
    bob.command("SELECT INBOX").expect("an answer");
    let opened = bob.command("FETCH * BODY[]").expect("an answer");
    assert_eq!(opened.literals.len(), 1);

    let mut phone = house.imap("alice");
    phone.command("SELECT INBOX").expect("an answer");
    let idle = phone.idle().expect("idling");
    let mut alice = house.imap("alice");
    let kept = alice.append("Sent", "\\Seen", message.as_bytes());
    assert!(kept.expect("an answer").is_ok());
    alice.command("SELECT Sent").expect("an answer");
    assert!(alice.command("MOVE * Recall").expect("an answer").is_ok());
    phone.wait_for(&format!("{n} EXISTS")).expect("told");
    phone.done(&idle).expect("an answer");
    let mail = phone.command("FETCH * BODY.PEEK[TEXT]").expect("an answer");
    let text = String::from_utf8_lossy(&mail.literals[0]).into_owned();
    let (_, link) = text.split_once("https://mx.example.org").expect("a link");
    link.split_whitespace().next().expect("a path").to_owned()
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
fn a_right_code_takes_the_message_back_and_nothing_else_does() {
    let house = house("");
    let (app, codes) = house.enrol("alice@example.org");
    let (bobs, _) = house.enrol("bob@example.org");
    let link = asked(&house, "first", 1);
    // Whoever looks at links before people do uses nothing up.
    for method in ["GET", "HEAD", "GET"] {
        let page = house.http(method, &link, &[], "");
        assert_eq!(page.status, 200);
        is_strict(&page);
    }
    let page = house.get(&link);
    assert!(
        page.says(ESCAPED) && !page.says("<b>Prices"),
        "{}",
        page.body
    );
    assert!(page.says("taken back, though opened or downloaded before"));
    assert!(page.says("<dt>Recipients</dt><dd>1</dd>"));
    assert!(!page.says("Text of first") && !page.says("bob@example.org"));
    assert_eq!(copies_of_bob(&house), 1);

    let refused = [
        house.post_code(&link, &app.wrong()),
        // The code is good, and of somebody else.
        house.post_code(&link, &bobs.code(1)),
        house.post_code(&link, ""),
    ];
    for (left, page) in [4, 3, 2].into_iter().zip(&refused) {
        assert_eq!(page.status, 403);
        is_strict(page);
        let text = format!("{left} more tries");
        assert!(
            page.says(&text) && page.says("role=\"alert\""),
            "{}",
            page.body
        );
    }
    assert_eq!(copies_of_bob(&house), 1);

    let done = house.post_code(&link, &app.code(1));
    assert_eq!(done.status, 200, "{}", done.body);
    is_strict(&done);
    assert!(
        done.says("Taken back") && done.says(ESCAPED),
        "{}",
        done.body
    );
    assert_eq!(copies_of_bob(&house), 0);
    // Replayed, the link opens nothing: as one that was never made.
    let again = house.post_code(&link, &codes[0]);
    let never = house.get(&format!("{}{}", &link[..link.len() - 4], "AAAA"));
    assert_eq!((again.status, never.status), (404, 404));
    assert_eq!(again.body, never.body);
    // The code was not looked at, so it is still good for the next.
    let link = asked(&house, "second", 2);
    let done = house.post_code(&link, &codes[0].to_uppercase());
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(copies_of_bob(&house), 0);
    let link = asked(&house, "third", 3);
    assert_eq!(house.post_code(&link, &codes[0]).status, 403, "used up");

    let log = house.done(&[
        "audit",
        "list",
        "--action",
        "factor",
        "--actor",
        "alice@example.org",
    ]);
    let actions: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split("  ").nth(3))
        .collect();
    let refuse = "factor.refuse";
    assert_eq!(
        actions,
        [refuse, "factor.show", "factor.show", refuse, refuse, refuse],
        "{log}"
    );
    assert!(!log.contains(&codes[0]));
    let log = house.done(&["audit", "list", "--action", "recall.step-up"]);
    assert!(
        log.contains("  factor=totp") && log.contains("  factor=recovery-code"),
        "{log}"
    );
}

#[test]
fn whether_it_was_opened_is_told_to_those_who_may_see_it() {
    let rules = tempfile::tempdir().expect("a directory");
    let numbers = "@id(\"house.numbers\")\n@visibility(\"aggregate:4\")\n\
        forbid (principal, action == Tern::Action::\"report.exposure\", resource);\n";
    std::fs::write(rules.path().join("numbers.cedar"), numbers).expect("written");
    let house = house_with(&[rules.path()], "");
    let (app, _) = house.enrol("alice@example.org");
    let link = asked(&house, "first", 1);
    let listed = house.done(&["--json", "recall", "list", "--waiting"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed[0]["wouldBe"], serde_json::json!({"withdrawn": 1}));
    let pages = [
        house.get(&link),
        house.post_code(&link, &app.wrong()),
        house.post_code(&link, &app.code(1)),
    ];
    for (page, status) in pages.iter().zip([200, 403, 200]) {
        assert_eq!(page.status, status, "{}", page.body);
        assert!(
            page.says("<b>1</b><span>taken back</span>"),
            "{}",
            page.body
        );
        // Beside the choice that everybody has.
        let told = page.body.replace("Those who had opened it", "");
        assert!(!told.contains("opened"), "{}", page.body);
    }
    assert_eq!(copies_of_bob(&house), 0);
}

/// The operator at the machine sees no more than policy lets them, before and after the act.
#[test]
fn what_an_operator_does_tells_them_no_more_than_they_may_see() {
    let rules = tempfile::tempdir().expect("a directory");
    let numbers = "@id(\"house.numbers\")\n@visibility(\"aggregate:4\")\n\
        forbid (principal, action == Tern::Action::\"report.exposure\", resource);\n";
    std::fs::write(rules.path().join("numbers.cedar"), numbers).expect("written");
    let house = house_with(&[rules.path()], "");
    house.enrol("alice@example.org");
    asked(&house, "first", 1);
    for (verb, json) in [
        ("plan", true),
        ("plan", false),
        ("run", true),
        ("run", false),
    ] {
        let mut args = vec!["recall", verb, "first@example.org"];
        args.extend(["--by", "alice@example.org"]);
        if json {
            args.insert(0, "--json");
        }
        // The second time it runs already.
        let said = house.tern(&args);
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(
            !said.contains("exposed\"") && !said.contains("exposed "),
            "{said}"
        );
        if json {
            assert!(said.contains("withdrawn"), "{said}");
        }
    }
    assert_eq!(copies_of_bob(&house), 0);
}

#[test]
fn the_command_line_confirms_for_the_requester_alone() {
    let house = house("");
    let (app, _) = house.enrol("alice@example.org");
    let (bobs, _) = house.enrol("bob@example.org");
    let link = asked(&house, "first", 1);
    let listed = house.done(&["--json", "recall", "list", "--waiting"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let id = listed[0]["id"].as_str().expect("an id");
    let confirm = |speaker: &str, code: &str| {
        let args = [
            "--json", "recall", "confirm", id, "--as", speaker, "--code", code,
        ];
        house.tern(&args)
    };
    let bob = confirm("bob@example.org", &bobs.code(1));
    let why = String::from_utf8_lossy(&bob.stderr).into_owned();
    assert!(
        !bob.status.success() && why.contains("there is no waiting recall"),
        "{why}"
    );
    let wrong = confirm("alice@example.org", &app.wrong());
    let why = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        !wrong.status.success() && why.contains("tries left: 4"),
        "{why}"
    );
    let done = confirm("alice@example.org", &app.code(1));
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let done: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(done["state"], "done", "{text}");
    assert_eq!(copies_of_bob(&house), 0);
    assert_eq!(house.get(&link).status, 404, "the link is over, too");
    let log = house.done(&["audit", "list", "--action", "factor.show"]);
    assert!(
        log.contains("operator ") && log.contains("alice@example.org"),
        "{log}"
    );
}

#[test]
fn too_many_wrong_codes_lock_and_a_right_one_does_not_help() {
    let house = house("");
    let (app, codes) = house.enrol("alice@example.org");
    let link = asked(&house, "first", 1);
    for _ in 0..4 {
        assert_eq!(house.post_code(&link, &app.wrong()).status, 403);
    }
    for code in [app.wrong(), app.code(1), codes[0].clone()] {
        let page = house.post_code(&link, &code);
        assert_eq!(page.status, 429, "{}", page.body);
        assert!(page.says("Too many codes were wrong") && !page.says("<form"));
    }
    let page = house.get(&link);
    assert!(page.status == 200 && page.says("Too many codes were wrong"));
    assert_eq!(copies_of_bob(&house), 1);
    let status = house.done(&["account", "totp", "status", "alice@example.org"]);
    assert!(status.contains("locked until"), "{status}");
}

#[test]
fn who_has_no_second_factor_is_told_how_to_get_one() {
    let house = house("");
    house.enrol("alice@example.org");
    let link = asked(&house, "first", 1);
    // It is gone before the link is opened; who never had one is refused at once, and told.
    house.done(&["account", "totp", "remove", "alice@example.org"]);
    let page = house.get(&link);
    assert!(page.status == 200 && page.says("no second factor") && !page.says("<form"));
    assert_eq!(house.post_code(&link, "000000").status, 403);
    assert_eq!(copies_of_bob(&house), 1);
}

#[test]
fn a_link_that_is_over_opens_nothing() {
    let house = house("[recall]\nstep_up_minutes = 0\n");
    let (app, _) = house.enrol("alice@example.org");
    let link = asked(&house, "first", 1);
    let (page, posted) = (house.get(&link), house.post_code(&link, &app.code(1)));
    assert_eq!((page.status, posted.status), (404, 404));
    assert_eq!(page.body, house.get("/recall/confirm/AAAA").body);
    assert_eq!(copies_of_bob(&house), 1);
}

#[test]
fn what_is_not_there_or_not_allowed_is_refused_in_strict_headers() {
    let house = house("");
    let form = "Content-Type: application/x-www-form-urlencoded";
    let link = "/recall/confirm/AAAA";
    let long = format!("/recall/confirm/{}", "A".repeat(1_000));
    let huge = format!("code={}", "1".repeat(100_000));
    let cases: &[(&str, &str, &[&str], &str, u16)] = &[
        ("GET", "/", &[], "", 404),
        ("GET", "/style.css/..", &[], "", 404),
        ("GET", "/recall/confirm", &[], "", 404),
        ("GET", link, &[], "", 404),
        ("GET", &long, &[], "", 404),
        ("GET", "/recall/confirm/%00%ff%3Cscript%3E", &[], "", 404),
        ("PUT", link, &[form], "code=1", 405),
        ("DELETE", "/style.css", &[], "", 405),
        ("POST", "/style.css", &[form], "code=1", 405),
        ("POST", link, &[], "code=1", 415),
        (
            "POST",
            link,
            &["Content-Type: multipart/form-data"],
            "code=1",
            415,
        ),
        (
            "POST",
            link,
            &[form, "Sec-Fetch-Site: cross-site"],
            "code=1",
            403,
        ),
        (
            "POST",
            link,
            &[form, "Origin: https://evil.test"],
            "code=1",
            403,
        ),
        ("POST", link, &[form], &huge, 413),
        ("POST", link, &[form], "", 404),
        ("POST", link, &[form], "%ff=%ff&&&=&code", 404),
    ];
    for (method, path, fields, body, status) in cases {
        let answer = house.http(method, path, fields, body);
        assert_eq!(answer.status, *status, "{method} {path} {fields:?}");
        is_strict(&answer);
    }
    let refused = house.http("PUT", link, &[form], "code=1");
    assert_eq!(refused.field("allow"), Some("GET, HEAD, POST"));
    let style = house.get("/style.css");
    assert_eq!(style.field("content-type"), Some("text/css; charset=utf-8"));
    is_strict(&style);
}

#[test]
fn one_client_takes_no_more_than_the_limits_say() {
    let house = house("");
    // A head that is too long, or has too many fields.
    let long = format!("X-Long: {}", "x".repeat(40_000));
    assert_eq!(house.http("GET", "/", &[&long], "").status, 431);
    let many = ["X: y"; 200];
    assert_eq!(house.http("GET", "/", &many, "").status, 431);
    // What is no HTTP, and HTTP in the clear, gets no page.
    let mut wire = house.secure_wire(house.ports.https);
    wire.send(b"EHLO client.example\r\n\r\n").expect("sent");
    assert!(read(&mut wire, "GET").is_ok_and(|answer| answer.status == 400));
    let mut wire = house.wire(house.ports.https);
    wire.send(b"GET / HTTP/1.1\r\nHost: mx.example.org\r\n\r\n")
        .expect("sent");
    assert!(!wire.line().is_ok_and(|line| line.contains("HTTP")));
    // Whoever is slow with a head, or with a form, is waited for ten seconds: side by side here.
    let slow = |sent: &str| {
        let mut wire = house.secure_wire(house.ports.https);
        wire.send(sent.as_bytes()).expect("sent");
        wire
    };
    let mut nothing = slow("");
    let mut head = slow("GET / HTTP/1.1\r\nHost: mx.exam");
    let mut form = slow(
        "POST /recall/confirm/AAAA HTTP/1.1\r\nHost: mx.example.org\r\nContent-Length: 11\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\ncode=1",
    );
    let mut kept = slow("GET / HTTP/1.1\r\nHost: mx.example.org\r\n\r\n");
    assert_eq!(read(&mut kept, "GET").expect("an answer").status, 404);
    assert_eq!(read(&mut form, "POST").expect("an answer").status, 408);
    for (name, wire) in [
        ("nothing", &mut nothing),
        ("head", &mut head),
        ("kept", &mut kept),
    ] {
        let end = read(wire, "GET").map(|answer| answer.status);
        assert!(
            end.as_ref().is_ok_and(|status| *status == 408) || is_closed(end),
            "{name}"
        );
    }
}

#[test]
fn a_server_that_stops_lets_the_pages_end() {
    let mut house = house("");
    let mut kept = house.secure_wire(house.ports.https);
    kept.send(b"GET / HTTP/1.1\r\nHost: mx.example.org\r\n\r\n")
        .expect("sent");
    assert_eq!(read(&mut kept, "GET").expect("an answer").status, 404);
    let (ended_well, took) = house.stop();
    assert!(
        ended_well && took < std::time::Duration::from_secs(5),
        "{took:?}"
    );
    assert!(is_closed(kept.line()));
}

/// The account's application shows a good code, which is not used up by what would not be enough.
#[test]
fn where_a_reason_is_required_the_page_asks_for_it() {
    let rules = tempfile::tempdir().expect("a directory");
    let why = "@id(\"house.why\") @reason(\"reason-required\")\n\
        forbid (principal, action == Tern::Action::\"recall.own\", resource)\n\
        unless { context.options.hasReason };\n";
    std::fs::write(rules.path().join("why.cedar"), why).expect("written");
    let house = house_with(&[rules.path()], "");
    let (app, _) = house.enrol("alice@example.org");
    let link = asked(&house, "first", 1);
    let page = house.get(&link);
    assert!(
        page.says("<textarea") && page.says("rows=\"3\" maxlength=\"1000\" required"),
        "{}",
        page.body
    );
    is_strict(&page);
    let code = app.code(1);
    for reason in ["", "&reason=", "&reason=+%0d%0a"] {
        let page = house.post(&link, &format!("code={code}{reason}"));
        assert_eq!(page.status, 422, "{}", page.body);
        assert!(page.says("A reason is required"), "{}", page.body);
        is_strict(&page);
    }
    assert_eq!(copies_of_bob(&house), 1);
    assert!(
        page.says("<option value=\"exposed-only\" selected>"),
        "{}",
        page.body
    );
    let said = "reason=The+%3Cwrong%3E+list&notice=all&notice-text=%3Ci%3EMy+mistake%3C%2Fi%3E";
    let page = house.post(&link, &format!("code={code}&{said}"));
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(copies_of_bob(&house), 0);
    let log = house.done(&["audit", "export"]);
    let line = log.lines().find(|line| line.contains("\"recall.reason\""));
    assert!(
        line.is_some_and(|line| line.contains("The <wrong> list")),
        "{log}"
    );
    // Whom it says are told, in its words.
    let line = log.lines().find(|line| line.contains("\"recall.notices\""));
    assert!(
        line.is_some_and(|line| line.contains("\"all\"") && line.contains("<i>My mistake</i>")),
        "{log}"
    );
}

/// Where a policy wants a factor for a time that a message sets itself, nobody else has to agree afterwards.
#[test]
fn who_confirms_a_message_that_expires_is_told_when_that_is() {
    let rules = tempfile::tempdir().expect("a directory");
    let expiry = "@id(\"house.expiry\") @step_up(\"15m\")\n\
        forbid (principal, action == Tern::Action::\"recall.own\", resource)\n\
        when { context.options.mode == \"expire\" }\n\
        unless { context.authentication has stepUpAge\n\
          && context.authentication.stepUpAge <= duration(\"15m\") };\n";
    std::fs::write(rules.path().join("expiry.cedar"), expiry).expect("written");
    let house = house_with(&[rules.path()], "");
    let (app, _) = house.enrol("alice@example.org");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at = Timestamp::from_secs(now.expect("after 1970").as_secs() + 60 * 60).rfc5322();
    let message = format!(
        "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: Offer\r\n\
         Message-ID: <offer@example.org>\r\nExpires: {at}\r\n\r\nUntil then.\r\n"
    );
    let mut submission = house.submission("alice");
    let sent = submission.send(
        "alice@example.org",
        &["bob@example.org"],
        message.as_bytes(),
    );
    assert_eq!(sent.expect("an answer").1.0, 250);
    let mut phone = house.imap("alice");
    let inbox = phone.command("SELECT INBOX").expect("an answer");
    if inbox.number("EXISTS") != Some(1) {
        let idle = phone.idle().expect("idling");
        phone.wait_for("1 EXISTS").expect("told");
        phone.done(&idle).expect("an answer");
    }
    let mail = phone.command("FETCH * BODY.PEEK[TEXT]").expect("an answer");
    let text = String::from_utf8_lossy(&mail.literals[0]).into_owned();
    let (_, link) = text.split_once("https://mx.example.org").expect("a link");
    let link = link.split_whitespace().next().expect("a path");
    let page = house.post_code(link, &app.code(1));
    assert_eq!(page.status, 200, "{}", page.body);
    is_strict(&page);
    let until = at.replace("+0000", "UTC");
    let told = format!("It will be taken back on {until}, and nothing is before.");
    assert!(page.says(&told), "{}", page.body);
    assert!(!page.says("Somebody else"), "{}", page.body);
    assert_eq!(copies_of_bob(&house), 1);
}
