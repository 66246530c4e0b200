//! The pages behind the links of a step-up and of an approval in Debian's Chromium with scripts turned off,
//! with codes by Debian's oathtool: from a message moved into `Recall` by imapclient to its end at the
//! recipient.
#![allow(clippy::unwrap_used, reason = "a test panics")]

mod job;

use std::process::Command;

use job::{agent_has, find, report};
use serde_json::{Value, json};
use tern_interop::house::{self, address};
use tern_interop::policy::{by_default_policy, four_eyes};
use tern_interop::process::{program_of, run};
use tern_interop::{Agent, DEADLINE, House, client_script, until};

/// A server whose links begin with a URL that the browser is told the place of.
fn house_with(policy: &str) -> House {
    House::with(&format!(
        "[https]\nurl = \"https://mail.example.org\"\n{policy}"
    ))
}

/// What a page is looked at with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Glass {
    Desk,
    Phone,
}

/// Opens a page and sends its forms; what each page was.
fn browse(house: &House, url: &str, forms: &[&str]) -> Vec<Value> {
    browse_with(Glass::Desk, house, url, forms)
}

fn browse_with(glass: Glass, house: &House, url: &str, forms: &[&str]) -> Vec<Value> {
    let mut command = Command::new(program_of("TERN_TEST_PYTHON"));
    command.arg(client_script("browser.py"));
    if glass == Glass::Phone {
        command.arg("--phone");
    }
    command
        .arg(url)
        .arg(house.tern.address("https").to_string());
    command.arg(house.tern.dir()).args(forms);
    // One for the browser to start, and one for each page.
    let pages = u32::try_from(forms.len()).unwrap() + 1;
    let out = run(&mut command, b"", (pages + 1) * DEADLINE).ok();
    serde_json::from_str(&out).unwrap()
}

/// The page has a picture, of a whole window, with something on it, and nothing is wider than the window.
fn is_drawn(page: &Value) {
    let picture = &page["screenshot"];
    let of = |name: &str| picture[name].as_u64().unwrap();
    assert!(of("width") > 600 && of("height") > 500, "{picture}");
    assert!(of("different") > 40, "an empty page: {picture}");
    assert_eq!(page["isWithinWindow"], json!(true), "{}", text(page));
}

fn text(page: &Value) -> &str {
    page["text"].as_str().unwrap()
}

/// The link of this kind in a mail to somebody.
fn link(agent: &mut Agent, kind: &str) -> String {
    let (mail, _) = until("a mail with a link", DEADLINE, || {
        let messages = agent.messages("INBOX").into_iter();
        messages
            .map(|(_, text)| text)
            .find(|text| text.contains(kind))
    });
    let mut words = mail.split_whitespace();
    let link = words.find(|word| word.starts_with("https://") && word.contains(kind));
    link.unwrap_or_else(|| panic!("no link: {mail}")).to_owned()
}

#[test]
fn a_second_factor_is_set_up_in_chromium_by_a_telephones_camera() {
    let house = house_with(&by_default_policy());
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
    let house = house_with(&by_default_policy());
    let authenticator = house.enrol("alice");

    let (word, other) = (job::word("page"), job::word("stays"));
    let mut alice = job::send(&house, &word, &other);
    let mut bob = house.imap("bob");
    job::read_by(&mut bob, &word);
    let uid = find(&mut alice, "Sent", &word);
    alice.call("move", json!([[uid], "Recall"]));
    report(&mut alice, "Waits for your second factor");
    let link = link(&mut alice, "/recall/confirm/");
    let link = link.as_str();
    assert!(
        agent_has(&mut bob, "INBOX", &word),
        "it waits, and nothing happened"
    );

    // Five digits are no code; the next step's code is good already, and was not used.
    let pages = browse(&house, link, &["12345", &authenticator.fresh()]);
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

/// A house where every recall waits this long for somebody else. Alice, bob and carol may approve; alice has
/// sent a message, bob has opened it.
fn waits_for_approval(rules: &std::path::Path, expires: &str) -> (House, Agent, String) {
    let house = house_with(&four_eyes(rules, expires));
    for name in ["alice", "bob", "carol"] {
        let words = ["role", "grant", "manager", &address(name)];
        let words = [&words[..], &["--over", "everyone"]].concat();
        house.tern.tern(&words, "").ok();
    }
    let (word, other) = (job::word("four"), job::word("stays"));
    let mut alice = job::send(&house, &word, &other);
    job::read_by(&mut house.imap("bob"), &word);
    let uid = find(&mut alice, "Sent", &word);
    alice.call("move", json!([[uid], "Recall"]));
    report(&mut alice, "Waits for approval");
    (house, alice, word)
}

#[test]
fn a_recall_is_approved_in_chromium_on_a_phone_and_by_nobody_for_themselves() {
    let rules = tempfile::tempdir().unwrap();
    let (house, mut alice, word) = waits_for_approval(rules.path(), "1h");
    let (hers, carols) = (house.enrol("alice"), house.enrol("carol"));
    let link = link(&mut house.imap("carol"), "/recall/approve/");
    assert!(
        !alice.holds("INBOX", "/recall/approve/"),
        "nobody is asked about what is their own"
    );
    let form = |code: &str, reason: &str, press: &str| {
        json!({"code": code, "reason": reason, "press": press}).to_string()
    };
    // A code of alice's, on carol's link: nobody approves their own by having somebody's link.
    let own = form(&hers.fresh(), "it is mine", "Approve");
    let unsaid = form(&carols.fresh(), "", "Decline");
    let good = form(&carols.fresh(), "", "Approve");
    let pages = browse_with(Glass::Phone, &house, &link, &[&own, &unsaid, &good]);
    let [asked, refused, why, done] = pages.as_slice() else {
        panic!("{pages:?}");
    };
    pages.iter().for_each(is_drawn);
    assert_eq!(asked["title"], "Let this message be taken back?");
    for told in [
        &format!("About {word}"),
        "alice@example.org",
        "taken back, though opened or downloaded before",
        "stopped before leaving this server",
        "You are asked as carol@example.org",
    ] {
        assert!(text(asked).contains(told), "{told}: {}", text(asked));
    }
    assert!(
        !text(asked).contains(&job::exactly(&word)),
        "whoever approves is not shown the message"
    );
    assert!(
        text(refused).contains("That code is wrong"),
        "{}",
        text(refused)
    );
    assert!(text(why).contains("To decline, say why"), "{}", text(why));
    assert_eq!(done["title"], "Approved");
    assert!(!house.imap("bob").holds("INBOX", &job::exactly(&word)));
    assert!(
        text(done).contains("nobody can open it here"),
        "{}",
        text(done)
    );
    report(&mut alice, "Taken back");
    let [again] = &browse_with(Glass::Phone, &house, &link, &[])[..] else {
        panic!("one page");
    };
    assert_eq!(again["title"], "This link opens nothing");
    house.close();
}

#[test]
fn a_request_that_nobody_approved_in_time_is_over_in_chromium_too() {
    let rules = tempfile::tempdir().unwrap();
    let (house, mut alice, word) = waits_for_approval(rules.path(), "5s");
    house.enrol("carol");
    let link = link(&mut house.imap("carol"), "/recall/approve/");
    let over = || {
        let pages = browse(&house, &link, &[]);
        (pages[0]["title"] == "This link opens nothing").then_some(pages)
    };
    let (pages, _) = until("its time is over", DEADLINE, over);
    is_drawn(&pages[0]);
    assert!(!pages[0]["source"].as_str().unwrap().contains("<form"));
    assert!(house.imap("bob").holds("INBOX", &job::exactly(&word)));
    report(&mut alice, "Not taken back");
    house.close();
}
