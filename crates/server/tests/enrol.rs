//! Setting up a second factor by oneself: an invitation and the password, both, and neither alone.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::http::{Answer, App};
use house::{House, PASSWORD};
use serde_json::Value;
use totp_rs::Secret;

const ALICE: &str = "alice@example.org";

fn invited(house: &House, address: &str) -> String {
    let answer = house.done(&["--json", "account", "totp", "invite", address]);
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let link = answer["link"].as_str().expect("a link");
    let path = link.strip_prefix("https://mx.example.org");
    path.expect("of this server").to_owned()
}

fn post(house: &House, path: &str, body: &str) -> Answer {
    let fields = [
        "Content-Type: application/x-www-form-urlencoded",
        "Sec-Fetch-Site: same-origin",
    ];
    house.http("POST", path, &fields, body)
}

fn with_password(house: &House, path: &str, password: &str) -> Answer {
    let password = password.replace(' ', "+");
    post(house, path, &format!("password={password}"))
}

/// What stands in the page between two texts.
fn between<'a>(page: &'a Answer, before: &str, after: &str) -> &'a str {
    let (_, rest) = page.body.split_once(before).expect(before);
    rest.split_once(after).expect(after).0
}

fn is_set_up(house: &House) -> bool {
    let status = house.done(&["--json", "account", "totp", "status", ALICE]);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    status["setUp"] == true
}

#[test]
fn the_owner_of_an_account_sets_up_a_second_factor_alone() {
    let house = House::started("");
    let link = invited(&house, ALICE);
    let page = house.get(&link);
    assert!(page.status == 200 && page.says("type=\"password\"") && page.says(ALICE));
    let app_password = house.done(&[
        "--json",
        "account",
        "app-password",
        "add",
        ALICE,
        "--label",
        "phone",
    ]);
    let app_password: Value = serde_json::from_str(&app_password).expect("JSON");
    for wrong in [
        "wrong password",
        "",
        app_password["password"].as_str().expect("one"),
    ] {
        let page = with_password(&house, &link, wrong);
        assert_eq!(page.status, 403, "{wrong}");
        assert!(page.says("That password is wrong") && !page.says("<svg"));
    }
    let page = with_password(&house, &link, PASSWORD);
    assert!(
        page.status == 200 && page.says("<svg class=\"qr\"") && !page.says("type=\"password\"")
    );
    let secret = between(&page, "Or type this into it: <code>", "</code>").to_owned();
    let proof = between(&page, "name=\"proof\" value=\"", "\"").to_owned();
    let app = App::new(Secret::try_from_base32(&secret).expect("Base32"));
    assert!(!is_set_up(&house), "not before a code of it was shown");

    let confirm =
        |proof: &str, code: &str| post(&house, &link, &format!("proof={proof}&code={code}"));
    let wrong = confirm(&proof, &app.wrong());
    assert!(wrong.status == 403 && wrong.says("4 more tries") && !wrong.says(&secret));
    // The invitation is no proof that the password was shown.
    let token = link.rsplit('/').next().expect("a token");
    for forged in ["", "AAAA", token] {
        let page = confirm(forged, &app.code(0));
        assert!(
            page.status == 403 && page.says("type=\"password\""),
            "{forged}"
        );
    }
    assert!(!is_set_up(&house));
    let done = confirm(&proof, &app.code(0));
    assert!(
        done.status == 200 && done.says("Your second factor is set up"),
        "{}",
        done.body
    );
    assert_eq!(done.body.matches("<li><code>").count(), 10);
    assert!(is_set_up(&house));

    // Used, the invitation opens nothing, with the password or without.
    let never = house.get("/factor/set-up/AAAA");
    for page in [
        house.get(&link),
        with_password(&house, &link, PASSWORD),
        confirm(&proof, &app.code(1)),
    ] {
        assert_eq!((page.status, &page.body), (404, &never.body));
    }
    let again = house.tern(&["account", "totp", "invite", ALICE]);
    assert_eq!(again.status.code(), Some(1));
    let log = house.done(&["audit", "list", "--action", "factor"]);
    let actions: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split("  ").nth(3))
        .collect();
    assert_eq!(
        actions,
        [
            "factor.confirm",
            "factor.refuse",
            "factor.enrol",
            "factor.invite"
        ],
        "{log}"
    );
    assert!(!log.contains(&secret) && !log.contains(token) && !log.contains(&proof));
}

#[test]
fn an_invitation_is_for_one_account_that_is_in_order() {
    let house = House::started("");
    let (alices, bobs) = (invited(&house, ALICE), invited(&house, "bob@example.org"));
    let page = with_password(&house, &bobs, PASSWORD);
    let proof = between(&page, "name=\"proof\" value=\"", "\"");
    // Bob's proof is none of Alice's.
    with_password(&house, &alices, PASSWORD);
    let page = post(&house, &alices, &format!("proof={proof}&code=000000"));
    assert!(page.status == 403 && page.says("type=\"password\""));
    house.done(&["account", "disable", ALICE]);
    assert_eq!(house.get(&alices).status, 404);
    assert_eq!(with_password(&house, &alices, PASSWORD).status, 404);
    let last = if alices.ends_with('A') { 'Q' } else { 'A' };
    let changed = format!("{}{last}", &alices[..alices.len() - 1]);
    assert_eq!(house.get(&changed).status, 404);
}

#[test]
fn guesses_at_the_password_are_throttled_as_at_any_other_door() {
    let house = House::started("[limits]\nmax_login_failures = 2\nuncounted_networks = []\n");
    let link = invited(&house, ALICE);
    for _ in 0..2 {
        assert_eq!(with_password(&house, &link, "wrong password").status, 403);
    }
    assert_eq!(with_password(&house, &link, PASSWORD).status, 429);
    let mut client =
        tern_server::demo::client::ImapClient::new(house.secure_wire(house.ports.imaps))
            .expect("a greeting");
    assert!(
        !client.login(ALICE, PASSWORD).expect("an answer").is_ok(),
        "there, too"
    );
}

#[test]
fn an_invitation_does_not_come_to_life_again() {
    let house = House::started("");
    let link = invited(&house, ALICE);
    let page = with_password(&house, &link, PASSWORD);
    assert_eq!(page.status, 200);
    let proof = between(&page, "name=\"proof\" value=\"", "\"").to_owned();
    // A second factor that an operator removes again, as after somebody has stolen link and password.
    let enrolled = house.done(&["--json", "account", "totp", "enrol", ALICE]);
    let enrolled: Value = serde_json::from_str(&enrolled).expect("JSON");
    assert!(enrolled["secret"].is_string());
    house.done(&["account", "totp", "remove", ALICE]);
    assert!(
        !house.get(&link).says("type=\"password\""),
        "the invitation is over"
    );
    assert_ne!(with_password(&house, &link, PASSWORD).status, 200);
    let end = post(&house, &link, &format!("proof={proof}&code=000000"));
    assert_ne!(end.status, 200);
    // And so does none that was there before a new password.
    let link = invited(&house, ALICE);
    assert!(house.get(&link).says("type=\"password\""));
    house.done(&[
        "account",
        "password",
        ALICE,
        "--password",
        "another password",
    ]);
    assert!(!house.get(&link).says("type=\"password\""));
    let link = invited(&house, ALICE);
    assert_eq!(with_password(&house, &link, "another password").status, 200);
}
