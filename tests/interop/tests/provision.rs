//! What an administrator does first: domain, accounts, alias and group by the command line, with
//! the server running; and what is kept of a password.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test panics and reads clocks"
)]

use serde_json::json;
use tern_interop::house::{ALIAS, DOMAIN, GROUP, PEOPLE, address, letter, password};
use tern_interop::{Agent, House};

#[test]
fn what_was_added_is_listed_and_works() {
    let house = House::new();
    let listed = house.tern.tern(&["account", "list"], "").ok();
    for name in PEOPLE {
        assert!(listed.contains(&address(name)), "{listed}");
    }
    assert!(
        house
            .tern
            .tern(&["domain", "list"], "")
            .ok()
            .contains(DOMAIN)
    );
    let to = [ALIAS, GROUP];
    house
        .submit_starttls("alice", &to, &letter("alice", &to.join(", "), "expanded"))
        .ok();
    for (name, expected) in [
        ("bob", true),
        ("carol", false),
        ("dave", true),
        ("erin", true),
    ] {
        assert_eq!(
            house.imap(name).holds("INBOX", "The word is expanded."),
            expected,
            "{name}"
        );
    }
    house.close();
}

#[test]
fn the_same_again_is_refused_and_changes_nothing() {
    let house = House::new();
    let words = ["account", "add", "bob@example.org", "--password-stdin"];
    house.tern.tern(&words, "another password\n").failed();
    house.imap("bob").call("select_folder", json!(["INBOX"]));
    let words = ["account", "add", "new@nowhere.test", "--password-stdin"];
    house.tern.tern(&words, "some password\n").failed();
    house.close();
}

/// The password is in no file of the server's, in no log line; what is kept is an Argon2id hash.
#[test]
fn passwords_are_kept_as_argon2id_only() {
    let mut house = House::new();
    house.imap("bob");
    house.tern.stop();
    let mut hashed = 0;
    let mut folders = vec![house.tern.dir().join("data")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
        {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let has = |needle: &str| bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
            assert!(
                !has(&password("bob")),
                "{} holds the password",
                path.display()
            );
            hashed += usize::from(has("$argon2id$v=19$"));
        }
    }
    assert!(hashed > 0, "no Argon2id hash is in the store's files");
    let log = house.tern.log().join("\n");
    assert!(
        !log.contains(&password("bob")),
        "the log holds the password"
    );
}

#[test]
fn many_accounts_are_imported_and_log_in() {
    let house = House::new();
    // The hash of "imported password", as another server made it.
    let hash = "$argon2id$v=19$m=8192,t=2,p=1$nhkksjmFWxBRhkPD6XuN3w$Z7IMQ3uA9wFz3LaCJhyGFhkF/qL8iT960Xflq+cVXvQ";
    let mut lines = String::new();
    for number in 0..130 {
        let (who, secret) = match number % 65 {
            0 => (
                format!("i{number}"),
                format!("\"password_hash\": \"{hash}\""),
            ),
            _ => (
                format!("i{number}"),
                format!("\"password_hash\": \"{{ARGON2ID}}{hash}\""),
            ),
        };
        lines += &format!(
            "{{\"address\": \"{}\", \"quota\": 5000, {secret}}}\n",
            address(&who)
        );
    }
    lines += &format!(
        "{{\"address\": \"{}\", \"password\": \"in the clear\"}}\n",
        address("clear")
    );
    lines += "{\"address\": \"last@example.org\"}\n";
    let import = &["account", "import", "-"];
    let said = house.tern.tern(import, &lines).failed();
    assert!(said.contains("line 132: either"), "{said}");
    let lines = lines.replace("\"last@example.org\"", "\"last@example.org\", \"nmae\": 1");
    let said = house.tern.tern(import, &lines).failed();
    assert!(said.contains("31 added, 100 there already"), "{said}");
    assert!(said.contains("line 132: unknown field `nmae`"), "{said}");
    let mut imported = Agent::login(&house.tern, &address("i129"), "imported password");
    assert_eq!(
        imported.call("folder_exists", json!(["Recall"])),
        json!(true)
    );
    Agent::login(&house.tern, &address("clear"), "in the clear");
    let weak = "{\"address\": \"weak@example.org\", \"password_hash\": \"$1$old$hash\"}\n";
    let said = house.tern.tern(import, weak).failed();
    assert!(
        said.contains("line 1: a password hash is Argon2id"),
        "{said}"
    );
    house.close();
}
