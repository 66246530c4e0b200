//! A person's mail client that speaks JMAP: meli at a terminal.
#![allow(clippy::unwrap_used, reason = "a test panics")]

use serde_json::json;
use tern_interop::house::{address, letter};
use tern_interop::{DEADLINE, House, Screen, until};

/// Bob reads a message in meli, hears of another by push, and loses the first by push: it leaves the list
/// while he looks at it.
#[test]
fn meli_lists_reads_and_loses_what_is_taken_back() {
    let house = House::new();
    let send = |word: &str| {
        let content = letter("alice", &address("bob"), word);
        house.submit_tls("alice", &[&address("bob")], &content).ok();
    };
    send("taken");
    let screen = Screen::meli(&house, "bob");
    screen.wait_for("About taken");
    screen.keys(&["Enter"]);
    screen.wait_for("The word is taken.");
    // What is opened there is read for IMAP.
    let mut imap = house.imap("bob");
    imap.call("select_folder", json!(["INBOX"]));
    until("it is marked as read", DEADLINE, || {
        imap.call("noop", json!([]));
        let seen = imap.call("search", json!([["SEEN", "SUBJECT", "taken"]]));
        (seen.as_array().unwrap().len() == 1).then_some(())
    });
    screen.keys(&["i"]);
    screen.wait_without("The word is taken.");
    send("stays");
    // meli reads its list before it listens: what comes in between it hears of with the next change, which a
    // busy machine may have to wait for.
    let mut looks = 0;
    until("what comes in is listed", DEADLINE, || {
        looks += 1;
        if looks % 200 == 0 {
            imap.call("add_flags", json!([[1], [format!("look{looks}")]]));
        }
        screen.shown().contains("About stays").then_some(())
    });

    house
        .tern
        .tern(&["recall", "run", "taken@example.org"], "")
        .ok();
    // Since he had opened it, a notice says that it was taken back.
    screen.wait_for("Taken back: About taken");
    until("it leaves the list", DEADLINE, || {
        let shown = screen.shown();
        let mut lines = shown.lines().filter(|line| line.contains("About taken"));
        lines
            .all(|line| line.contains("Taken back: "))
            .then_some(())
    });
    assert!(screen.shown().contains("About stays"));
    assert!(screen.is_open());
    drop(screen);
    house.close();
}
