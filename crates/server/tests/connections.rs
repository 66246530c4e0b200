//! What policies are told of a real connection: the network it comes from, and how the account
//! proved who it is on it.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::fs;
use std::path::Path;

use house::House;

const OFFICE: &str = "@id(\"house.office\")\n\
    forbid (principal, action == Tern::Action::\"recall.own\", resource)\n\
    unless { context has networks && context.networks.contains(\"office\") &&\n\
    context.authentication has tls && context.authentication.tls &&\n\
    context.authentication has factors && context.authentication.factors.contains(\"password\") };\n";

/// A server that takes back only what is asked for from this network.
fn house_with_office(rules: &Path, network: &str) -> House {
    fs::write(rules.join("rules.cedar"), OFFICE).expect("written");
    let roles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies/roles");
    House::started(&format!(
        "[policy]\ndirectories = [{roles:?}, {rules:?}]\nnetworks = {{ office = [{network:?}] }}\n"
    ))
}

/// Alice asks by mail for what she has sent to Bob.
fn ask_by_mail(house: &House) {
    let mail = "From: alice@example.org\r\nTo: recall@example.org\r\n\
        Subject: <price@example.org>\r\nMessage-ID: <ask@example.org>\r\n\r\n\r\n";
    let sent = house.submission("alice").send(
        "alice@example.org",
        &["recall@example.org"],
        mail.as_bytes(),
    );
    assert_eq!(sent.expect("an answer").1.0, 250);
}

#[test]
fn what_is_asked_for_from_inside_is_taken_back_and_from_outside_refused() {
    for (network, answer) in [
        ("127.0.0.0/8", "recall sealed"),
        ("192.0.2.0/24", "recall refused"),
    ] {
        let rules = tempfile::tempdir().expect("a directory");
        let mut house = house_with_office(rules.path(), network);
        house.send("price");
        ask_by_mail(&house);
        house.wait_log(answer);
        let log = house.done(&["audit", "export"]);
        let asked = log.lines().find(|line| line.contains("\"smtp\""));
        let asked = asked.expect("the request is on record");
        assert!(asked.contains("\"127.0.0.1\""), "{asked}");
        assert!(asked.contains("\"PLAIN\""), "{asked}");
        assert!(house.stop().0);
    }
}
