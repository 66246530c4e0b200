//! The page behind a step-up link in Debian's Chromium with scripts turned off, with codes by
//! Debian's oathtool: from a message moved into `Recall` by imapclient to its end at the recipient.
#![allow(clippy::unwrap_used, reason = "a test panics")]

mod job;

use std::process::Command;

use job::{agent_has, find, report};
use serde_json::{Value, json};
use tern_interop::house::{self, address};
use tern_interop::process::{program_of, run};
use tern_interop::{DEADLINE, House, client_script, until};

/// The shipped default, whatever is built in: what was opened needs a second factor.
fn house_by_default_policy() -> House {
    let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/policies");
    House::with(&format!(
        "[https]\nurl = \"https://mail.example.org\"\n\
         [policy]\ndirectories = [\"{policies}/roles\", \"{policies}/default\"]\n"
    ))
}

/// What an authenticator application with this secret shows, so many seconds from now.
fn oathtool(secret: &str, when: &str) -> String {
    let mut command = Command::new("oathtool");
    command.args(["--totp", "--base32", "--now", when, secret]);
    run(&mut command, b"", DEADLINE).ok().trim().to_owned()
}

/// Opens a page and enters codes; what each page was.
fn browse(house: &House, url: &str, codes: &[&str]) -> Vec<Value> {
    let mut command = Command::new(program_of("TERN_TEST_PYTHON"));
    command.arg(client_script("browser.py")).arg(url);
    command.arg(house.tern.address("https").to_string());
    command.arg(house.tern.dir()).args(codes);
    let out = run(&mut command, b"", 3 * DEADLINE).ok();
    serde_json::from_str(&out).unwrap()
}

/// The page has a picture, of a whole window, with something on it.
fn is_drawn(page: &Value) {
    let picture = &page["screenshot"];
    let of = |name: &str| picture[name].as_u64().unwrap();
    assert!(of("width") > 600 && of("height") > 500, "{picture}");
    assert!(of("different") > 40, "an empty page: {picture}");
}

fn text(page: &Value) -> &str {
    page["text"].as_str().unwrap()
}

#[test]
fn a_second_factor_is_set_up_in_chromium_by_a_telephones_camera() {
    let house = house_by_default_policy();
    let alice = address("alice");
    let made = house.tern.json(&["account", "totp", "invite", &alice]);
    let link = made["link"].as_str().unwrap();
    let pages = browse(
        &house,
        link,
        &["not hers at all", &house::password("alice"), "@scan"],
    );
    let [_, wrong, scan, done] = pages.as_slice() else {
        panic!("{pages:?}");
    };
    pages.iter().for_each(is_drawn);
    assert!(text(wrong).contains("That password is wrong"));
    assert!(text(scan).contains("Scan this"));
    assert_eq!(done["title"], "Your second factor is set up");
    let status = house.tern.json(&["account", "totp", "status", &alice]);
    assert_eq!(
        (&status["setUp"], &status["recoveryCodes"]),
        (&json!(true), &json!(10))
    );
    house.close();
}

#[test]
fn a_recall_from_imapclient_is_confirmed_in_chromium_without_scripts() {
    let house = house_by_default_policy();
    let enrolled = house
        .tern
        .json(&["account", "totp", "enrol", &address("alice")]);
    let secret = enrolled["secret"].as_str().unwrap();
    let first = oathtool(secret, "now");
    house
        .tern
        .json(&["account", "totp", "confirm", &address("alice"), &first]);

    let (word, other) = (job::word("page"), job::word("stays"));
    let mut alice = job::send(&house, &word, &other);
    let mut bob = house.imap("bob");
    job::read_by(&mut bob, &word);
    let uid = find(&mut alice, "Sent", &word);
    alice.call("move", json!([[uid], "Recall"]));
    report(&mut alice, "Waits for your second factor");
    let (mail, _) = until("the mail with the link", DEADLINE, || {
        let messages = alice.messages("INBOX").into_iter();
        messages
            .map(|(_, text)| text)
            .find(|text| text.contains("/recall/confirm/"))
    });
    let link = mail
        .split_whitespace()
        .find(|part| part.starts_with("https://mail.example.org/"));
    let link = link.unwrap();
    assert!(
        agent_has(&mut bob, "INBOX", &word),
        "it waits, and nothing happened"
    );

    // Five digits are no code; the next step's code is good already, and was not used.
    let next = oathtool(secret, "now + 30 seconds");
    let pages = browse(&house, link, &["12345", &next]);
    let [asked, wrong, done] = pages.as_slice() else {
        panic!("{pages:?}");
    };
    pages.iter().for_each(is_drawn);
    assert_eq!(asked["title"], "Take this message back?");
    for page in [asked, wrong] {
        assert!(
            text(page).contains(&format!("About {word}")),
            "{}",
            text(page)
        );
        assert!(page["source"].as_str().unwrap().contains(&word));
        let focus =
            json!({"label": "Code of your second factor", "role": "textbox", "name": "input"});
        assert_eq!(page["focus"], focus);
    }
    assert!(text(asked).contains("taken back, though opened or downloaded before"));
    assert!(text(wrong).contains("That code is wrong") && text(wrong).contains("4 more tries"));
    assert_eq!(done["title"], "Taken back");
    assert!(
        text(done).contains("stopped before leaving this server"),
        "{}",
        text(done)
    );
    assert!(!agent_has(&mut bob, "INBOX", &word), "taken back");
    assert!(agent_has(&mut bob, "INBOX", &other), "and nothing else");

    // The link is used up.
    let [again] = &browse(&house, link, &[])[..] else {
        panic!("one page");
    };
    assert_eq!(again["title"], "This link opens nothing");
    house.close();
}
