//! Policies and roles on a server that runs: read again without a restart, explained, and on
//! record; and the commands that look at files alone.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::fs;
use std::path::{Path, PathBuf};

use house::House;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn shipped(directory: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
    root.join(directory).display().to_string()
}

const SUBJECT: &str = "price";

/// A server whose policies are the shipped roles and what is written into `rules`.
fn house_with(rules: &Path) -> House {
    let roles = shipped("roles");
    let options = format!("[policy]\ndirectories = [{roles:?}, {rules:?}]\n");
    let mut house = House::new(&options);
    house.start();
    house
}

fn write(rules: &Path, text: &str) -> PathBuf {
    let file = rules.join("rules.cedar");
    fs::write(&file, text).expect("written");
    file
}

/// Sends a message from Alice to Bob; its Message-ID.
fn sent(house: &House) -> String {
    house.send(SUBJECT);
    format!("{SUBJECT}@example.org")
}

const NOBODY: &str = "@id(\"house.nobody\")\n@description(\"Nobody takes anything back.\")\n\
    @reason(\"not-enabled\")\nforbid (principal, action == Tern::Action::\"recall.own\", resource);\n";
const YOUNG: &str = "@id(\"house.age\")\n@reason(\"too-old\")\n\
    forbid (principal, action == Tern::Action::\"recall.own\", resource)\n\
    when { resource.age > duration(\"1h\") };\n";

#[test]
fn policies_are_read_again_while_the_server_runs() {
    let rules = tempfile::tempdir().expect("a directory");
    write(rules.path(), NOBODY);
    let mut house = house_with(rules.path());
    let id = sent(&house);
    let explain = |house: &House| {
        let actor = ["--actor", "alice@example.org"];
        let by = ["policy", "explain", &id, "--by", "alice@example.org"];
        house.done(&[&by[..], &actor].concat())
    };
    let before = explain(&house);
    assert!(before.contains("verdict: not-enabled"), "{before}");
    assert!(
        before.contains("by house.nobody, ") && before.contains("rules.cedar:1"),
        "{before}"
    );
    assert!(before.contains("Nobody takes anything back."), "{before}");
    assert!(before.contains("resource.recipients = "), "{before}");

    // A wrong change: the old ones stay.
    write(rules.path(), "forbid everything;");
    kill(Pid::from_raw(house.pid()), Signal::SIGHUP).expect("told");
    let said = house.wait_log("the policies stay as they were");
    assert!(said.contains("rules.cedar:1:8"), "{said}");
    assert!(explain(&house).contains("by house.nobody, "));
    let check = house.tern(&["policy", "check"]);
    assert_eq!(check.status.code(), Some(3));
    let printed = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(printed.contains("rules.cedar:1:8: "), "{printed}");

    // A right one.
    write(rules.path(), YOUNG);
    kill(Pid::from_raw(house.pid()), Signal::SIGHUP).expect("told");
    house.wait_log("the policies were read again");
    let after = explain(&house);
    assert!(after.contains("verdict: allow"), "{after}");
    assert!(after.contains("by role.user"), "{after}");
    let list = house.done(&["policy", "list"]);
    assert!(list.contains("house.age  denies (too-old)"), "{list}");
    let digest = list
        .lines()
        .next()
        .expect("a line")
        .trim_start_matches("set ");
    let log = house.done(&["audit", "export"]);
    let loads: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("\"policy.load\""))
        .collect();
    assert_eq!(
        loads.len(),
        2,
        "at the start, and the right change: {loads:?}"
    );
    assert!(loads[1].contains(digest), "{loads:?}");
    assert!(house.stop().0);
}

/// Operators run the directory no more, and see of nobody what they have opened.
const HANDS_OFF: &str = "@id(\"house.hands-off\")\n@reason(\"not-enabled\")\n\
    forbid (principal is Tern::Operator, action in [Tern::Action::\"directory.manage\", \
    Tern::Action::\"queue.manage\"], resource);\n\
    @id(\"house.unseen\")\n\
    forbid (principal is Tern::Operator, action == Tern::Action::\"report.exposure\", resource);\n";

#[test]
fn what_a_policy_forbids_operators_they_cannot_do_and_an_explanation_does_not_tell() {
    let rules = tempfile::tempdir().expect("a directory");
    write(rules.path(), YOUNG);
    let mut house = house_with(rules.path());
    let id = sent(&house);
    let mut bob = house.imap("bob");
    for command in ["SELECT INBOX", "FETCH 1 BODY[]"] {
        assert!(bob.command(command).expect("an answer").is_ok());
    }
    let explain = |house: &House, of: &[&str]| {
        let explained = house.done(&[&["policy", "explain"], of].concat());
        assert!(explained.contains("inputs:"), "{explained}");
        explained.contains("resource.exposed")
    };
    let asked = [&id[..], "--by", "alice@example.org"];
    assert!(explain(&house, &asked));
    write(rules.path(), HANDS_OFF);
    kill(Pid::from_raw(house.pid()), Signal::SIGHUP).expect("told");
    house.wait_log("the policies were read again");
    assert!(!explain(&house, &asked), "who has opened it");
    let run = house.done(&["recall", "run", "--by", "alice@example.org", &id, "--json"]);
    let status: serde_json::Value = serde_json::from_str(&run).expect("JSON");
    let recall = status["id"].as_str().expect("an id");
    assert!(!explain(&house, &[recall]), "who had opened it");
    let commands: [&[&str]; 4] = [
        &["account", "disable", "bob@example.org"],
        &["alias", "add", "all@example.org", "bob@example.org"],
        &[
            "role",
            "grant",
            "auditor",
            "bob@example.org",
            "--over",
            "everyone",
        ],
        &["queue", "flush"],
    ];
    for command in commands {
        let refused = house.tern(command);
        assert_eq!(refused.status.code(), Some(1), "{command:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            said.contains(".manage is not permitted by house."),
            "{said}"
        );
    }
    // What only lists asks nobody.
    house.done(&["account", "list"]);
    house.done(&["queue", "list"]);
    let log = house.done(&["audit", "list"]);
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("permission.refused"), 4, "{log}");
    assert_eq!(count("policy.explain"), 3, "{log}");
    assert!(house.stop().0);
}

#[test]
fn a_recall_on_record_is_explained_by_what_was_known_then() {
    let mut house = House::started("");
    let id = sent(&house);
    let run = house.done(&["recall", "run", "--by", "alice@example.org", &id, "--json"]);
    let status: serde_json::Value = serde_json::from_str(&run).expect("JSON");
    let recall = status["id"].as_str().expect("an id");
    let explained = house.done(&["policy", "explain", recall]);
    assert!(explained.contains("verdict: allow"), "{explained}");
    assert!(
        explained.contains("by operator.at-the-machine"),
        "{explained}"
    );
    assert!(explained.contains("action = recall.any"), "{explained}");
    assert!(
        explained.contains("context.authentication.protocol = cli"),
        "{explained}"
    );
    assert!(!explained.contains("country"), "not known: {explained}");
    assert!(house.stop().0);
}

#[test]
fn roles_are_granted_over_somebody_and_on_record() {
    let mut house = House::started("");
    let grant = [
        "role",
        "grant",
        "administrator",
        "bob@example.org",
        "--over",
        "example.org",
    ];
    assert_eq!(
        house.done(&grant),
        "bob@example.org is administrator over example.org\n"
    );
    let again = house.tern(&grant);
    assert_eq!(again.status.code(), Some(1));
    let id = sent(&house);
    let explain = [
        "policy",
        "explain",
        &id,
        "--by",
        "alice@example.org",
        "--actor",
    ];
    let by = |house: &House, actor: &str| house.done(&[&explain[..], &[actor]].concat());
    assert!(by(&house, "bob@example.org").contains("by role.administrator"));
    assert!(by(&house, "carol@example.org").contains("verdict: not-yours"));
    let listed = house.done(&["role", "list"]);
    assert_eq!(listed, "bob@example.org  administrator  over example.org\n");
    let unknown = house.tern(&[
        "role",
        "grant",
        "king",
        "bob@example.org",
        "--over",
        "everyone",
    ]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("`king` is not a role"));
    let revoke = [
        "role",
        "revoke",
        "administrator",
        "bob@example.org",
        "--over",
        "example.org",
    ];
    house.done(&revoke);
    assert!(by(&house, "bob@example.org").contains("verdict: not-yours"));
    let log = house.done(&["audit", "list", "--action", "role"]);
    assert!(
        log.contains("role.grant") && log.contains("role.revoke"),
        "{log}"
    );
    assert_eq!(house.done(&["check"]), "everything holds\n");
    assert!(house.stop().0);
}

#[test]
fn cases_are_tried_from_the_command_line() {
    let house = House::new("");
    let (roles, default) = (shipped("roles"), shipped("default"));
    let cases = shipped("default/cases.toml");
    let said = house.done(&["policy", "test", &cases, &roles, &default]);
    assert!(said.ends_with(" cases, 0 wrong\n"), "{said}");
    let said = house.done(&["policy", "test", &cases]);
    assert!(
        said.ends_with(" cases, 0 wrong\n"),
        "what is built in: {said}"
    );
    // The roles alone ask for no second factor: these cases say so.
    let alone = house.tern(&["policy", "test", &cases, &roles]);
    assert_eq!(alone.status.code(), Some(3));
    let said = String::from_utf8_lossy(&alone.stdout).into_owned();
    assert!(said.contains("WRONG  one copy was opened"), "{said}");
    let check = house.done(&["policy", "check", &roles, &default]);
    assert!(check.contains("policies are right: set "), "{check}");
}

#[test]
fn a_server_does_not_start_on_wrong_policies() {
    let rules = tempfile::tempdir().expect("a directory");
    write(rules.path(), "forbid everything;");
    let house = House::new(&format!(
        "[policy]\ndirectories = [{:?}]\n",
        shipped("roles")
    ));
    let config = fs::read_to_string(house.path("tern.toml")).expect("read");
    let wrong = config.replace(&shipped("roles"), &rules.path().display().to_string());
    fs::write(house.path("wrong.toml"), wrong).expect("written");
    let served = house.tern_by("wrong.toml", &["serve"]);
    assert_eq!(served.status.code(), Some(1));
    let said = String::from_utf8_lossy(&served.stderr).into_owned();
    assert!(said.contains("rules.cedar:1:8"), "{said}");
}
