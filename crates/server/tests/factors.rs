//! Second factors from the command line: set up in two steps, on record, and gone with the account.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::House;
use house::http::App;
use serde_json::Value;
use totp_rs::Secret;

fn json(house: &House, args: &[&str]) -> Value {
    let args = [&["--json"], args].concat();
    serde_json::from_str(&house.done(&args)).expect("JSON")
}

#[test]
fn a_second_factor_is_set_up_in_two_steps_and_each_is_on_record() {
    let mut house = House::new("");
    let alice = "alice@example.org";
    let none = json(&house, &["account", "totp", "status", alice]);
    assert_eq!(
        (&none["setUp"], &none["pending"]),
        (&false.into(), &false.into())
    );
    house.start();
    let made = json(&house, &["account", "totp", "enrol", alice]);
    let (url, secret) = (
        made["url"].as_str().expect("a URL"),
        made["secret"].as_str(),
    );
    let secret = secret.expect("a secret");
    assert!(
        url.starts_with("otpauth://totp/example.org:alice%40example.org?secret="),
        "{url}"
    );
    assert!(url.contains(secret));
    let app = App::new(Secret::try_from_base32(secret).expect("Base32"));
    let wrong = house.tern(&["account", "totp", "confirm", alice, "1234567"]);
    assert_eq!(wrong.status.code(), Some(1));
    let why = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(why.contains("tries left: 4"), "{why}");
    let confirmed = json(&house, &["account", "totp", "confirm", alice, &app.code(0)]);
    let codes = confirmed["recoveryCodes"].as_array().expect("codes");
    assert_eq!(codes.len(), 10);
    let status = house.done(&["account", "totp", "status", alice]);
    assert!(
        status.contains("alice@example.org has a second factor since "),
        "{status}"
    );
    assert!(status.contains("10 recovery codes left"), "{status}");
    assert!(!status.contains(secret), "it is shown once");
    let again = house.tern(&["account", "totp", "enrol", alice]);
    assert_eq!(
        again.status.code(),
        Some(1),
        "what is set up is not replaced unseen"
    );
    let renewed = json(&house, &["account", "recovery-codes", alice]);
    assert_ne!(renewed["recoveryCodes"], confirmed["recoveryCodes"]);
    house.done(&["account", "totp", "remove", alice]);
    let gone = house.tern(&["account", "recovery-codes", alice]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(house.stop().0);
    let log = house.done(&["audit", "list", "--action", "factor"]);
    let actions: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split("  ").nth(3))
        .collect();
    assert_eq!(
        actions,
        [
            "factor.remove",
            "factor.recovery-codes",
            "factor.confirm",
            "factor.refuse",
            "factor.enrol"
        ]
    );
    assert!(!log.contains(secret) && !log.contains(&app.code(0)));
    assert_eq!(house.done(&["check"]), "everything holds\n");
}
