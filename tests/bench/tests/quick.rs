//! The suite's small sizes against a real server: every part works and tells what it is there to tell. It
//! measures nothing.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test panics and reads clocks"
)]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value;
use tern_interop::Tern;

const PASSWORD: &str = "bench-password";
const USERS: usize = 10;

/// A server as `tern/setup.sh` has it: for one client that asks as fast as it is answered.
fn server() -> Tern {
    let tern = Tern::start(
        "[imap]\nauth_without_tls = true\n\n[jmap]\nrequests_per_minute = 0\nuploads_per_hour = 0\n",
    );
    tern.add_domain("example.org");
    tern.add_account("sender@example.org", PASSWORD);
    for number in 0..USERS {
        tern.add_account(&format!("user{number}@example.org"), PASSWORD);
    }
    tern
}

/// Runs parts of the suite: what each row says.
fn run(tern: &Tern, parts: &str) -> BTreeMap<String, Value> {
    let (config, report) = (tern.dir().join("suite.toml"), tern.dir().join("rows.json"));
    let text = format!(
        "name = \"tern\"\nsmtp = \"{}\"\nimap = \"{}\"\nimaps = \"{}\"\nhttps = \"{}\"\n\
         users_pattern = \"user{{}}@example.org\"\nusers = {USERS}\npassword = \"{PASSWORD}\"\n\
         sender = \"sender@example.org\"\n",
        tern.address("smtp"),
        tern.address("imap"),
        tern.address("imaps"),
        tern.address("https"),
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tern-bench"));
    command.arg("--json").arg(&report);
    command.args(["--max-seconds", "60", "suite", "--quick", "--only", parts]);
    let done = command
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| {
            (
                row["name"].as_str().unwrap().to_owned(),
                row["metrics"].clone(),
            )
        })
        .collect()
}

#[test]
fn the_parts_of_jmap_work() {
    let mut tern = server();
    let rows = run(
        &tern,
        "jmap-fill,jmap-get,jmap-query,jmap-set,jmap-changes,jmap-blob,jmap-events,jmap-sockets",
    );
    let number = |row: &str, metric: &str| rows[row][metric].as_f64().unwrap();
    assert_eq!(number("fill for JMAP", "messages"), 100.0);
    for row in [
        "Email/get of 20 lists",
        "Email/get of 20 lists, again",
        "Email/get of 20 bodies",
        "Email/get of 20 bodies, again",
    ] {
        assert!(number(row, "emails_per_s") > 0.0, "{row}");
    }
    assert_eq!(number("Email/query text that is nowhere", "hits"), 0.0);
    for (start, count) in [("Email/query", 8), ("Email/set", 1), ("Email/changes", 1)] {
        let such = rows.keys().filter(|name| name.starts_with(start));
        assert_eq!(such.count(), count, "{start}: {:?}", rows.keys());
    }
    for row in ["upload of 1 MiB", "download of 1 MiB"] {
        assert!(number(row, "megabytes_per_s") > 0.0, "{row}");
    }
    for kind in ["EventSource", "WebSocket"] {
        let such: Vec<_> = rows.keys().filter(|name| name.contains(kind)).collect();
        assert!(!such.is_empty(), "{kind}: {:?}", rows.keys());
    }
    tern.stop();
}

#[test]
fn the_parts_of_smtp_and_imap_work() {
    let mut tern = server();
    let parts = "fill,select,fetch,search,store,expunge,append,deliver,idle";
    let rows = run(&tern, parts);
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    for start in [
        "fill",
        "select",
        "fetch flags",
        "fetch envelope",
        "fetch body structure",
        "fetch bodies",
        "search",
        "store",
        "copy",
        "expunge",
        "append",
        "deliver",
        "idle",
        "push",
    ] {
        assert!(
            names
                .iter()
                .any(|name| name.to_ascii_lowercase().starts_with(start)),
            "{start}: {names:?}"
        );
    }
    tern.stop();
}
