//! Access that is taken away ends; app passwords are good for what they were made for.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::{House, PASSWORD, address, is_closed};
use serde_json::Value;
use tern_server::demo::client::{ImapClient, SmtpClient};

fn imap(house: &House, password: &str) -> (ImapClient, bool) {
    let wire = house.secure_wire(house.ports.imaps);
    let mut client = ImapClient::new(wire).expect("a greeting");
    let reply = client.login(&address("bob"), password).expect("an answer");
    let is_in = reply.is_ok();
    (client, is_in)
}

fn smtp(house: &House, password: &str) -> (SmtpClient, bool) {
    let wire = house.secure_wire(house.ports.submissions);
    let mut client = SmtpClient::new(wire).expect("a banner");
    let (code, _) = client.login(&address("bob"), password).expect("an answer");
    (client, code == 235)
}

/// Both sessions are told, and closed.
fn are_ended(mut imap: ImapClient, mut smtp: SmtpClient) {
    imap.wait_for("BYE Access has been revoked").expect("told");
    assert!(is_closed(imap.wait_for("anything")));
    let told = smtp.wire().line().expect("told");
    assert!(told.starts_with("421 4.7.0 "), "{told}");
    assert!(is_closed(smtp.wire().line()));
}

#[test]
fn a_disabled_account_has_no_sessions() {
    let house = House::started("");
    let (mut imap_client, _) = imap(&house, PASSWORD);
    imap_client.command("SELECT INBOX").expect("an answer");
    imap_client.idle().expect("idling");
    let (smtp_client, _) = smtp(&house, PASSWORD);
    let mut alice = house.imap("alice");
    house.done(&["account", "disable", "bob@example.org"]);
    are_ended(imap_client, smtp_client);
    assert!(!imap(&house, PASSWORD).1);
    assert!(alice.command("NOOP").expect("an answer").is_ok());
    house.done(&["account", "disable", "bob@example.org", "--undo"]);
    assert!(imap(&house, PASSWORD).1);
}

#[test]
fn another_password_ends_what_the_old_one_opened() {
    let house = House::started("");
    let app = app_password(&house, &[]);
    let (imap_client, _) = imap(&house, PASSWORD);
    let (smtp_client, _) = smtp(&house, PASSWORD);
    let (mut by_app, is_in) = imap(&house, &app);
    assert!(is_in);
    house.done(&[
        "account",
        "password",
        "bob@example.org",
        "--password",
        "another one",
    ]);
    are_ended(imap_client, smtp_client);
    assert!(by_app.command("NOOP").expect("an answer").is_ok());
    assert!(!imap(&house, PASSWORD).1);
    assert!(imap(&house, "another one").1);
}

fn app_password(house: &House, scopes: &[&str]) -> String {
    let mut command = vec![
        "--json",
        "account",
        "app-password",
        "add",
        "bob@example.org",
    ];
    command.extend(["--label", "phone"]);
    for scope in scopes {
        command.extend(["--scope", scope]);
    }
    let answer: Value = serde_json::from_str(&house.done(&command)).expect("JSON");
    answer["password"].as_str().expect("a password").to_owned()
}

#[test]
fn an_app_password_is_good_for_its_scopes_and_until_it_is_removed() {
    let house = House::started("");
    let reading = app_password(&house, &["imap"]);
    let sending = app_password(&house, &["smtp"]);
    let both = app_password(&house, &["smtp", "imap"]);
    let may = |password: &str| (imap(&house, password).1, smtp(&house, password).1);
    assert_eq!(may(&reading), (true, false));
    assert_eq!(may(&sending), (false, true));
    assert_eq!(may(&both), (true, true));
    let list = house.done(&["account", "app-password", "list", "bob@example.org"]);
    assert!(list.starts_with("1  active  imap  made "), "{list}");
    for secret in [&reading, &sending, &both] {
        assert!(!list.contains(secret.as_str()), "it is shown once");
    }
    let (imap_client, _) = imap(&house, &both);
    let (smtp_client, _) = smtp(&house, &both);
    let (mut other, _) = imap(&house, &reading);
    house.done(&["account", "app-password", "remove", "bob@example.org", "3"]);
    are_ended(imap_client, smtp_client);
    assert!(other.command("NOOP").expect("an answer").is_ok());
    assert_eq!(may(&both), (false, false));
    let log = house.done(&["audit", "list", "--action", "app-password"]);
    for part in [
        "app-password.remove  bob@example.org",
        "id=3",
        "label=phone",
        "scopes=imap",
    ] {
        assert!(log.contains(part), "no {part}: {log}");
    }
    assert!(!log.contains(&both));
}

#[test]
fn clients_of_an_account_are_known_trusted_and_forgotten() {
    let house = House::started("");
    let app = app_password(&house, &["imap"]);
    let (mut client, is_in) = imap(&house, &app);
    assert!(is_in);
    let says = "ID (\"name\" \"Mua\" \"version\" \"1.0\" \"os\" \"Linux\")";
    for command in [says, "SELECT INBOX", "NOOP"] {
        assert!(client.command(command).expect("an answer").is_ok());
    }
    let list = |json: bool| {
        let command = ["account", "devices", "bob@example.org"];
        let json = json.then_some("--json");
        house.done(&json.into_iter().chain(command).collect::<Vec<_>>())
    };
    let shown = list(false);
    assert!(
        shown.contains("imap  Mua 1.0  Linux  first seen "),
        "{shown}"
    );
    assert!(shown.contains("by app password phone"), "{shown}");
    let devices: Value = serde_json::from_str(&list(true)).expect("JSON");
    assert!(smtp(&house, PASSWORD).1);
    assert!(
        list(false).contains("  smtp  -  -  first seen "),
        "who submits"
    );
    let id = devices[0]["device"].as_str().expect("an id").to_owned();
    house.done(&["account", "devices", "bob@example.org", "--trust", &id]);
    assert!(list(false).ends_with("  trusted\n") || list(false).ends_with("  trusted"));
    house.done(&["account", "devices", "bob@example.org", "--distrust", &id]);
    assert!(!list(false).contains("trusted"));
    house.done(&["account", "devices", "bob@example.org", "--forget", &id]);
    assert!(!list(false).contains("Mua"));
    let log = house.done(&["audit", "list", "--action", "device"]);
    for action in ["device.trust", "device.distrust", "device.forget"] {
        assert!(log.contains(action), "{log}");
    }
}
