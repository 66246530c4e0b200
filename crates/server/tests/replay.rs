//! A store that was put back from a backup older than a recall takes back again what the log that
//! was kept elsewhere says.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::fs;

use house::House;
use serde_json::Value;

/// How many messages Bob finds.
fn inbox(house: &House) -> String {
    let mut bob = house.imap("bob");
    let reply = bob.command("STATUS INBOX (MESSAGES)").expect("an answer");
    reply.untagged.join("\n")
}

fn ids(house: &House) -> Vec<String> {
    let list = house.done(&["--json", "recall", "list"]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let list = list.as_array().expect("a list");
    let ids = list
        .iter()
        .map(|recall| recall["id"].as_str().expect("an id").to_owned());
    ids.collect()
}

#[test]
fn what_the_log_kept_elsewhere_says_was_taken_back_is_taken_back_again() {
    let mut house = House::started("");
    for subject in ["first wrong", "second wrong", "sent on purpose"] {
        house.send(subject);
    }
    let backup = house.path("old");
    house.done(&["backup", backup.to_str().expect("UTF-8")]);
    house.send("after the backup");
    let subjects = [
        "first wrong",
        "second wrong",
        "after the backup",
        "sent on purpose",
    ];
    for subject in subjects {
        house.done(&[
            "recall",
            "run",
            "--subject",
            subject,
            "--to",
            "bob@example.org",
        ]);
    }
    // The one that was sent on purpose is put back.
    let recalled = ids(&house);
    house.send("after it, to all");
    house.done(&["recall", "run", "--subject", "after it, to all"]);
    house.done(&["recall", "restore", &recalled[0]]);
    let kept_out = ids(&house)
        .into_iter()
        .find(|id| !recalled.contains(id))
        .expect("a recall");
    let log = house.done(&["audit", "export"]);
    let file = house.path("log");
    fs::write(&file, &log).expect("written");
    let file = file.to_str().expect("UTF-8");

    house.stop();
    fs::remove_dir_all(house.path("data/store")).expect("removed");
    fs::rename(&backup, house.path("data/store")).expect("put back");
    house.start();
    assert!(inbox(&house).contains("MESSAGES 3"), "{}", inbox(&house));

    let said = house.done(&["recall", "replay", file]);
    let last = "2 asked for again, 0 known, 1 of messages that are not here and are kept out, \
                1 of others that are not here, 0 failed\n";
    assert!(said.ends_with(last), "{said}");
    assert!(inbox(&house).contains("MESSAGES 1"), "{}", inbox(&house));
    // Under the ids that they had, by whom it was asked first, and asking twice is asking once.
    let mut again = ids(&house);
    again.sort();
    let mut wanted = [&recalled[2..], std::slice::from_ref(&kept_out)].concat();
    wanted.sort();
    assert_eq!(again, wanted);
    let status = house.done(&["--json", "recall", "status", &again[0]]);
    assert!(
        status.contains("Again after the store was put back"),
        "{status}"
    );
    let said = house.done(&["recall", "replay", file]);
    assert!(
        said.contains(
            "0 asked for again, 3 known, 0 of messages that are not here and are kept out, 1 of"
        ),
        "{said}"
    );
    assert_eq!(house.done(&["check"]), "everything holds\n");

    // A line that somebody has changed, and a file that is something else.
    for (text, why) in [
        (
            log.replace("second wrong", "another")
                .replace("\"allow\"", "\"deny\""),
            "is not what its hash says",
        ),
        (String::from("{}\n"), "line 1 is not what its hash says"),
        (String::from("Subject: hello\n"), "line 1"),
    ] {
        fs::write(file, text).expect("written");
        let output = house.tern(&["recall", "replay", file]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1) && said.contains(why),
            "{output:?}"
        );
    }
}

#[test]
fn whom_it_was_taken_back_from_is_in_the_log_whole_however_many_they_are() {
    let mut house = House::started("");
    // Bob comes last, behind more than one text of the log has room for.
    let mut written: Vec<String> = (0..60)
        .map(|n| format!("a-rather-long-name-of-number-{n}@elsewhere.test"))
        .collect();
    written.push("bob@example.org".to_owned());
    let written: Vec<&str> = written.iter().map(String::as_str).collect();
    let letter = house::message("to many");
    let mut alice = house.submission("alice");
    let sent = alice.send("alice@example.org", &written, letter.as_bytes());
    assert_eq!(sent.expect("an answer").1.0, 250);
    let backup = house.path("old");
    house.done(&["backup", backup.to_str().expect("UTF-8")]);
    let mut by = vec!["recall", "run", "--subject", "to many"];
    by.extend(written.iter().flat_map(|one| ["--to", one]));
    house.done(&by);
    let log = house.done(&["audit", "export"]);
    let file = house.path("log");
    fs::write(&file, &log).expect("written");
    house.stop();
    fs::remove_dir_all(house.path("data/store")).expect("removed");
    fs::rename(&backup, house.path("data/store")).expect("put back");
    house.start();
    assert!(inbox(&house).contains("MESSAGES 1"));
    let said = house.done(&["recall", "replay", file.to_str().expect("UTF-8")]);
    assert!(said.contains("1 asked for again"), "{said}");
    assert!(inbox(&house).contains("MESSAGES 0"), "{}", inbox(&house));
    assert_eq!(house.done(&["check"]), "everything holds\n");
}

#[test]
fn what_joins_a_recall_that_the_backup_has_is_known() {
    let mut house = House::started("");
    house.send("twice wrong");
    let run = ["recall", "run", "--subject", "twice wrong"];
    house.done(&run);
    let first = ids(&house).remove(0);
    let backup = house.path("old");
    house.done(&["backup", backup.to_str().expect("UTF-8")]);
    house.done(&["recall", "restore", &first]);
    house.done(&run);
    let file = house.path("log");
    fs::write(&file, house.done(&["audit", "export"])).expect("written");
    let file = file.to_str().expect("UTF-8");

    house.stop();
    fs::remove_dir_all(house.path("data/store")).expect("removed");
    fs::rename(&backup, house.path("data/store")).expect("put back");
    house.start();
    for _ in 0..2 {
        let said = house.done(&["recall", "replay", file]);
        assert!(
            said.contains(&format!("joins recall {first}, which is known here")),
            "{said}"
        );
        assert!(
            said.contains("1 known") && said.contains("0 failed"),
            "{said}"
        );
    }
    assert!(inbox(&house).contains("MESSAGES 0"), "{}", inbox(&house));
}
