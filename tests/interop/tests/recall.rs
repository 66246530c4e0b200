//! Recall as people live it: asked for from imapclient and from NeoMutt, seen by imapclient in
//! IDLE, by mbsync, by interimap, by a session opened later, by the command line and in the audit log.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test panics and reads clocks"
)]

mod job;

use std::time::{Duration, Instant};

use job::{CAROLS, Job, agent_has, find, outcome_of, report, show};
use serde_json::json;
use tern_interop::interimap::Pair;
use tern_interop::mbsync::{Mirror, read};
use tern_interop::{DEADLINE, House, until};

/// Push is part of the promise; this is what the contract calls "at once", on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn moved_into_recall_by_imapclient() {
    let mut job = Job::begin("imapclient");
    let started = Instant::now();
    job.recall_by_imapclient();
    job.bob_is_told();
    let told = started.elapsed();
    assert!(told < AT_ONCE, "bob was told after {told:?}");
    job.everybody_lost_it();
    job.queue_is_cancelled();
    let (id, text) = job.report();
    job.outcomes_agree(&id, &text);
    let Job { house, .. } = job;
    house.close();
}

#[test]
fn saved_into_recall_by_neomutt() {
    let mut job = Job::begin("neomutt");
    let screen = job.recall_by_neomutt();
    job.bob_is_told();
    job.everybody_lost_it();
    job.queue_is_cancelled();
    let (id, text) = job.report();
    job.outcomes_agree(&id, &text);
    screen.text("c");
    screen.wait_for("Open mailbox");
    screen.keys(&["C-u"]);
    screen.text("=Recall");
    screen.keys(&["Enter"]);
    screen.wait_for("Taken back");
    show("alice's Recall mailbox in NeoMutt", &screen.shown());
    screen.text("/");
    screen.wait_for("Search for");
    screen.text("~s 'Taken back'");
    screen.keys(&["Enter", "Enter"]);
    screen.wait_for("withdrawn-exposed");
    show("the report in NeoMutt", &screen.shown());
    let Job { house, .. } = job;
    drop(screen);
    house.close();
}

/// A mirror on another server that learns of removals by `VANISHED (EARLIER)` alone: what was
/// recalled while it was away leaves it too, and does not come back from it.
#[test]
fn a_mirror_by_qresync_loses_it_and_does_not_bring_it_back() {
    let mut job = Job::begin("qresync");
    let far = House::new();
    let pair = Pair::new(&job.house, &far, "bob");
    pair.sync().ok();
    let mut mirror = far.imap("bob");
    for word in [&job.word, &job.other] {
        assert!(agent_has(&mut mirror, "INBOX", word), "{word}");
    }
    job.recall_by_imapclient();
    job.bob_is_told();
    pair.sync().ok();
    assert!(!agent_has(&mut mirror, "INBOX", &job.word));
    assert!(agent_has(&mut mirror, "INBOX", &job.other));
    pair.sync().ok();
    assert!(!agent_has(&mut job.bob, "INBOX", &job.word));
    assert!(agent_has(&mut job.bob, "INBOX", &job.other));
    let Job { house, .. } = job;
    house.close();
    drop(mirror);
    far.close();
}

/// An offline client that puts the message back: it settles, and nobody gets the message.
#[test]
fn put_back_by_imapclient_and_mbsync_and_delivered_late() {
    let mut job = Job::begin("late");
    let kept = job.mirror.holding("INBOX", &job::exactly(&job.word));
    let kept = read(&kept[0]);
    job.recall_by_imapclient();
    job.bob_is_told();
    let (id, _) = job.report();
    job.everybody_lost_it();

    let appended = job
        .bob
        .attempt("append", json!(["INBOX", job.as_received, [], null]));
    assert!(appended.is_ok(), "{appended:?}");
    assert!(
        !agent_has(&mut job.bob, "INBOX", &job.word),
        "bob got it back by APPEND"
    );

    job.mirror.put("INBOX", "1700000000.kept.offline", &kept);
    job.mirror.sync().ok();
    assert!(
        !agent_has(&mut job.bob, "INBOX", &job.word),
        "bob got it back by mbsync"
    );
    until("the mirror settles", DEADLINE, || {
        job.mirror.sync().ok();
        job.mirror
            .holding("INBOX", &job::exactly(&job.word))
            .is_empty()
            .then_some(())
    });

    let late = job.house.deliver(
        "list@elsewhere.test",
        &["erin@example.org"],
        &job.as_received,
    );
    late.ok();
    assert!(
        !agent_has(&mut job.house.imap("erin"), "INBOX", &job.word),
        "delivered late"
    );

    until("the report says blocked-late", DEADLINE, || {
        let (same, text) = report(&mut job.alice, "Taken back");
        assert_eq!(same, id);
        text.contains("blocked-late").then_some(())
    });
    let status = job.house.tern.recall_status(&id);
    for recipient in ["bob@example.org", "erin@example.org"] {
        let outcomes = outcome_of(&status, recipient);
        assert!(
            outcomes.iter().any(|outcome| outcome == "blocked-late"),
            "{status:#}"
        );
    }
    let Job { house, .. } = job;
    house.close();
}

#[test]
fn restored_with_folders_flags_and_received_date() {
    let mut job = Job::begin("restore");
    let uid = find(&mut job.bob, "INBOX", &job.word);
    job.bob
        .call("add_flags", json!([[uid], ["\\Flagged", "kept"]]));
    let facts = |agent: &mut tern_interop::Agent, folder: &str, word: &str| {
        let uid = find(agent, folder, word);
        let items = json!([[uid], ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]]);
        let fetched = agent.call("fetch", items);
        let fetched = &fetched[uid.to_string()];
        let mut flags: Vec<String> = fetched["FLAGS"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|flag| flag.as_str().map(str::to_owned))
            .filter(|flag| flag != "\\Recent")
            .collect();
        flags.sort();
        (
            flags,
            fetched["INTERNALDATE"].to_string(),
            fetched["RFC822.SIZE"].to_string(),
        )
    };
    let bobs = facts(&mut job.bob, "INBOX", &job.word);
    let carols = CAROLS.map(|folder| facts(&mut job.carol, folder, &job.word));
    assert!(bobs.0.contains(&"kept".to_owned()) && bobs.0.contains(&"\\Seen".to_owned()));
    job.recall_by_imapclient();
    job.bob_is_told();
    let (id, _) = job.report();
    job.everybody_lost_it();

    job.house.tern.tern(&["recall", "restore", &id], "").ok();
    until("the recall is undone", DEADLINE, || {
        (job.house.tern.recall_status(&id)["state"] == "restored").then_some(())
    });
    assert_eq!(facts(&mut job.bob, "INBOX", &job.word), bobs);
    for (folder, before) in CAROLS.iter().zip(carols) {
        assert_eq!(facts(&mut job.carol, folder, &job.word), before, "{folder}");
    }
    for member in ["dave", "erin"] {
        assert!(
            agent_has(&mut job.house.imap(member), "INBOX", &job.word),
            "{member}"
        );
    }
    job.mirror.sync().ok();
    assert_eq!(
        job.mirror.holding("INBOX", &job::exactly(&job.word)).len(),
        1
    );
    let Job { house, .. } = job;
    house.close();
}

/// Nobody takes back what somebody else sent, whatever they put into their own `Recall`.
#[test]
fn not_yours_is_refused_and_touches_nothing() {
    let mut job = Job::begin("notyours");
    job::ensure_folder(&mut job.bob, "Recall");
    let uid = find(&mut job.bob, "INBOX", &job.word);
    job.bob.call("copy", json!([[uid], "Recall"]));
    let (id, text) = report(&mut job.bob, "Not taken back");
    let status = job.house.tern.recall_status(&id);
    assert_eq!(status["state"], "refused", "{status:#}");
    assert!(
        !text.contains("carol@example.org"),
        "a refusal names nobody else's copies:\n{text}"
    );
    assert!(agent_has(&mut job.carol, CAROLS[0], &job.word));
    assert!(agent_has(&mut job.house.imap("dave"), "INBOX", &job.word));
    let Job { house, .. } = job;
    house.close();
}

/// The whole job in order, printing what each client saw.
#[test]
fn the_whole_job_in_order() {
    let mut job = Job::begin("whole");
    show("bob's inbox by imapclient", &job.as_received);
    show(
        "bob's mirror by mbsync",
        &format!("{:#?}", job.mirror.files("INBOX")),
    );
    let screen = job.recall_by_neomutt();
    let started = Instant::now();
    job.bob_is_told();
    show(
        "bob's IDLE was told EXPUNGE after",
        &format!("{:?}", started.elapsed()),
    );
    job.everybody_lost_it();
    show(
        "bob's mirror after its next run",
        &format!("{:#?}", job.mirror.files("INBOX")),
    );
    job.queue_is_cancelled();
    let (id, text) = job.report();
    show("alice's report", &text);
    job.outcomes_agree(&id, &text);
    show(
        "tern recall status",
        &job.house.tern.tern(&["recall", "status", &id], "").ok(),
    );
    show(
        "tern queue list",
        &job.house.tern.tern(&["queue", "list"], "").ok(),
    );
    screen.text("c");
    screen.wait_for("Open mailbox");
    screen.keys(&["C-u"]);
    screen.text("=Recall");
    screen.keys(&["Enter"]);
    screen.wait_for("Taken back");
    show("alice's screen", &screen.shown());
    job.bob
        .call("append", json!(["INBOX", job.as_received, [], null]));
    assert!(!agent_has(&mut job.bob, "INBOX", &job.word));
    until("blocked-late is reported", DEADLINE, || {
        let (_, text) = report(&mut job.alice, "Taken back");
        text.contains("blocked-late").then_some(())
    });
    show(
        "tern recall restore",
        &job.house.tern.tern(&["recall", "restore", &id], "").ok(),
    );
    until("the recall is undone", DEADLINE, || {
        (job.house.tern.recall_status(&id)["state"] == "restored").then_some(())
    });
    assert!(agent_has(&mut job.bob, "INBOX", &job.word));
    let later = Mirror::new(&job.house, "bob", "second-mirror");
    later.sync().ok();
    assert_eq!(later.holding("INBOX", &job::exactly(&job.word)).len(), 1);
    show(
        "tern audit list",
        &job.house.tern.tern(&["audit", "list"], "").ok(),
    );
    show("tern audit verify", &job.house.tern.verify_audit());
    drop(screen);
    let Job { house, .. } = job;
    house.close();
}
