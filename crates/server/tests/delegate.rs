//! Somebody takes back for another what that one sent, as far as policies let delegates.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::House;

const ALICE: &str = "alice@example.org";
const CAROL: &str = "carol@example.org";

/// A recall of Alice's message by the permission of Carol; what was said, and whether it was done.
fn by_carol(house: &House, verb: &str, subject: &str) -> (bool, String) {
    let output = house.tern(&["recall", verb, "--subject", subject, "--as", CAROL]);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace("\n  │ ", " ");
    (output.status.success(), text)
}

#[test]
fn a_delegate_takes_back_what_was_sent_by_whoever_made_them_one() {
    let house = House::started("");
    house.send("first");
    let (done, said) = by_carol(&house, "run", "first");
    assert!(
        !done && said.contains("not-found"),
        "as if it were not there: {said}"
    );
    house.done(&["account", "delegate", "add", ALICE, CAROL]);
    let list = house.done(&["account", "delegate", "list", ALICE]);
    assert!(list.starts_with(CAROL), "{list}");
    let (done, said) = by_carol(&house, "plan", "first");
    assert!(done, "{said}");
    let (done, said) = by_carol(&house, "run", "first");
    assert!(done && said.contains("withdrawn-unexposed"), "{said}");
    // The log says who, for whom, and by which policy.
    let log = house.done(&["audit", "search", "--action", "recall.request"]);
    let granted = log.lines().find(|line| line.contains("verdict=allow"));
    let granted = granted.expect("one is");
    assert!(
        granted.contains(CAROL) && granted.contains("role.delegate"),
        "{granted}"
    );
    // The conditions on one's own messages are theirs, too.
    house.send("second");
    let mut bob = house.imap("bob");
    bob.command("SELECT INBOX").expect("an answer");
    bob.command("FETCH 1:* BODY[]").expect("an answer");
    let (_, said) = by_carol(&house, "run", "second");
    assert!(
        said.contains("step-up") || said.contains("second factor"),
        "{said}"
    );
    // It does not go both ways, and ends when it is ended.
    house.done(&["account", "delegate", "remove", ALICE, CAROL]);
    house.send("third");
    let (done, said) = by_carol(&house, "run", "third");
    assert!(!done && said.contains("not-found"), "{said}");
    for action in ["delegate.add", "delegate.remove"] {
        let log = house.done(&["audit", "search", "--action", action]);
        assert!(log.contains(ALICE) && log.contains(CAROL), "{log}");
    }
    assert_eq!(house.done(&["check"]), "everything holds\n");
}
