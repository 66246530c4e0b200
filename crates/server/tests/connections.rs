//! What policies are told of a real connection: the network it comes from, and how the account
//! proved who it is on it.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use house::{House, PASSWORD, TIME_LIMIT, address, message};
use tern_server::demo::client::{ImapClient, Wire};

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

const ELSEWHERE: &str = "@id(\"house.elsewhere\")\n@step_up(\"15m\")\n\
    forbid (principal, action == Tern::Action::\"recall.own\", resource)\n\
    unless { context has networks && context.networks.contains(\"office\") }\n\
    unless { context.authentication has stepUpAge &&\n\
    context.authentication.stepUpAge <= duration(\"15m\") };\n";

/// IMAP under TLS, logged in, from one of the addresses of loopback.
fn imap_from(house: &House, from: [u8; 4], name: &str) -> ImapClient {
    let to = SocketAddr::from(([127, 0, 0, 1], house.ports.imaps));
    let mut wire = Wire::connect_from(from.into(), to, TIME_LIMIT).expect("connected");
    wire.start_tls().expect("TLS");
    let mut client = ImapClient::new(wire).expect("a greeting");
    let reply = client.login(&address(name), PASSWORD).expect("an answer");
    assert!(reply.is_ok(), "{}", reply.done);
    client
}

/// One account, two places: by the keyword and by the mailbox, what is asked for from the office is
/// taken back, and from elsewhere a second factor is asked for.
#[test]
fn what_an_imap_client_asks_for_is_judged_by_the_place_it_is_at() {
    let rules = tempfile::tempdir().expect("a directory");
    fs::write(rules.path().join("rules.cedar"), ELSEWHERE).expect("written");
    let roles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies/roles");
    let rules = rules.path();
    let mut house = House::started(&format!(
        "[policy]\ndirectories = [{roles:?}, {rules:?}]\n\
         networks = {{ office = [\"127.0.0.2/32\"] }}\n"
    ));
    let (office, elsewhere) = ([127, 0, 0, 2], [127, 0, 0, 1]);
    let mut places = [office, elsewhere].map(|from| imap_from(&house, from, "alice"));
    let ok = |client: &mut ImapClient, command: &str| {
        let reply = client.command(command).expect("an answer");
        assert!(reply.is_ok(), "{command}: {}", reply.done);
    };
    let asks = [
        "UID STORE * +FLAGS ($Recall)",
        "UID COPY * Recall",
        "UID MOVE * Recall",
    ];
    for (n, ask) in asks.into_iter().enumerate() {
        for (client, answer) in places.iter_mut().zip(["recall sealed", "StepUpRequired"]) {
            let subject = format!("{}-{n}", answer.len());
            house.send(&subject);
            let kept = client.append("Sent", "", message(&subject).as_bytes());
            assert!(kept.expect("an answer").is_ok());
            ok(client, "SELECT Sent");
            ok(client, ask);
            let said = house.wait_log("recall ");
            assert!(said.contains(answer), "{ask}: {said}");
        }
    }
    let log = house.done(&["audit", "export"]);
    let asked = |peer: &str| {
        let line = |line: &&str| line.contains("\"recall.request\"") && line.contains(peer);
        log.lines().filter(line).count()
    };
    assert_eq!(asked("\"127.0.0.2\""), 3, "{log}");
    assert_eq!(asked("\"127.0.0.1\""), 3, "{log}");
    assert!(house.stop().0);
}
