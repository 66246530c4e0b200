//! Web push to a foreign service: what it decrypts, and whose signature it finds.
#![allow(clippy::unwrap_used, reason = "a test panics")]

use serde_json::{Value, json};
use tern_interop::house::{address, letter, password};
use tern_interop::push::push_service;
use tern_interop::{House, Tern};

#[test]
fn what_is_pushed_is_read_and_verified_by_foreign_libraries() {
    let directory = tempfile::tempdir().unwrap();
    // The agent reads it when it first asks, by then the server has made it.
    let server = directory.path().join("server.pem");
    let mut service = push_service(directory.path(), &server);
    let place = service.call("where", json!([]));
    let certificate = &place["certificate"];
    let push = format!(
        "[push]\nallowed_networks = [\"127.0.0.0/8\"]\ntrusted_certificates = {certificate}\n"
    );
    let house = House::on(Tern::start(&push));
    std::fs::copy(house.tern.certificate(), &server).unwrap();
    let host = format!("localhost:{}", house.tern.port("https"));
    let login = json!([host, address("bob"), password("bob")]);
    let made = service.call("subscribe", login);
    assert_eq!(made["proved"], json!([made["made"]]));
    let types = |pushed: &Value| {
        assert_eq!(pushed["message"]["@type"], "StateChange");
        assert_eq!(pushed["key"], made["key"]);
        let mut all = pushed["message"]["changed"].as_object().unwrap().values();
        let of_account = all.next().unwrap().as_object().unwrap().clone();
        of_account.keys().cloned().collect::<Vec<String>>()
    };
    assert!(types(&service.call("next", json!([]))).contains(&"Mailbox".to_owned()));
    let content = letter("alice", &address("bob"), "pushed");
    house
        .submit_starttls("alice", &[&address("bob")], &content)
        .ok();
    let pushed = service.call("next", json!([]));
    assert!(types(&pushed).contains(&"EmailDelivery".to_owned()));
    assert!(!pushed["message"].to_string().contains("pushed."));
    house.close();
}
