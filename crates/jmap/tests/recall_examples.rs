//! The examples of docs/jmap-recall.md are what the server answers. `TERN_BLESS=1` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use house::recall::{Asks, CODE};
use house::{BOB, CAROL, House};

const BEGIN: &str = "<!-- examples: begin -->\n";
const END: &str = "<!-- examples: end -->\n";

/// One call and its response, below a title.
fn example(house: &mut House, out: &mut String, title: &str, name: &str, args: Value) -> Value {
    let mut shown = args.clone();
    shown["accountId"] = json!("A1");
    let answer = house.call(name, args);
    let text = |value: Value| serde_json::to_string_pretty(&value).unwrap();
    let (call, response) = (
        text(json!([[name, shown, "0"]])),
        text(json!([[name, answer, "0"]])),
    );
    let _ = write!(
        out,
        "### {title}\n\nMethod calls:\n\n```json\n{call}\n```\n\nResponses:\n\n```json\n{response}\n```\n\n"
    );
    answer
}

fn examples() -> String {
    let mut out = String::new();
    let mut house = House::new();
    let first = house.send(BOB, CAROL, "prices");
    let plan = json!({"plan": {"k1": {"messageId": first.message_id}}});
    example(
        &mut house,
        &mut out,
        "7.1. What would happen",
        "Recall/plan",
        plan,
    );
    let create = json!({"create": {"k1": {
        "messageId": first.message_id, "requestId": "7f2c", "reason": "The wrong list",
    }}});
    let title = "7.2. A message is taken back";
    let made = example(&mut house, &mut out, title, "Recall/set", create);
    let id = made["created"]["k1"]["id"].clone();
    let get = json!({"ids": [id]});
    example(&mut house, &mut out, "7.3. The report", "Recall/get", get);
    let create = json!({"create": {"k1": {"messageId": "unknown@example.org"}}});
    example(&mut house, &mut out, "7.4. A refusal", "Recall/set", create);
    let restore = json!({"ids": [id]});
    example(
        &mut house,
        &mut out,
        "7.5. It is undone",
        "Recall/restore",
        restore,
    );
    let changes = json!({"sinceState": "0"});
    example(
        &mut house,
        &mut out,
        "7.6. What has changed",
        "Recall/changes",
        changes,
    );
    let sent = house.send(BOB, CAROL, "offers");
    let create = json!({"create": {"k1": {
        "messageId": sent.message_id, "notice": "all", "noticeText": "It was the draft.",
    }}});
    let made = house.call("Recall/set", create);
    let get = json!({
        "ids": [made["created"]["k1"]["id"]],
        "properties": ["state", "notice", "noticeText", "addressed"],
    });
    let title = "7.7. Who got a notice";
    example(&mut house, &mut out, title, "Recall/get", get);
    of_second_factors(&mut out);
    out
}

/// Those of a server where a policy asks for a second factor.
fn of_second_factors(out: &mut String) {
    let mut house = House::under(Arc::new(Asks::Factor));
    house.enrol(BOB);
    let second = house.send(BOB, CAROL, "salaries");
    let create = json!({"create": {"k1": {"messageId": second.message_id}}});
    let title = "7.8. A second factor is asked for";
    let made = example(&mut house, out, title, "Recall/set", create);
    let id = made["created"]["k1"]["id"].as_str().unwrap().to_owned();
    let wrong = json!({"update": {id.as_str(): {"action": {"type": "confirm", "code": "000000"}}}});
    example(&mut house, out, "7.9. A wrong code", "Recall/set", wrong);
    let right = json!({"update": {id.as_str(): {"action": {"type": "confirm", "code": CODE}}}});
    example(&mut house, out, "7.10. The right one", "Recall/set", right);
    let query = json!({
        "filter": {"state": "done", "requestedBy": "bob@example.org"},
        "sort": [{"property": "requestedAt", "isAscending": false}],
    });
    let title = "7.11. What was taken back";
    let found = example(&mut house, out, title, "Recall/query", query.clone());
    house.now = house.now.plus_millis(60_000);
    let third = house.send(BOB, CAROL, "addresses");
    let create = json!({"create": {"k1": {"messageId": third.message_id}}});
    let made = house.call("Recall/set", create);
    let id = made["created"]["k1"]["id"].as_str().unwrap().to_owned();
    let confirm = json!({"update": {id: {"action": {"type": "confirm", "code": CODE}}}});
    house.call("Recall/set", confirm);
    let mut since = query;
    since["sinceQueryState"] = found["queryState"].clone();
    let title = "7.12. What was taken back since";
    example(&mut house, out, title, "Recall/queryChanges", since);
}

#[test]
fn the_examples_of_the_specification_are_what_is_answered() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/jmap-recall.md");
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (held, tail) = rest.split_once(END).unwrap();
    let examples = examples();
    if std::env::var_os("TERN_BLESS").is_some() {
        fs::write(&path, [head, BEGIN, &examples, END, tail].concat()).unwrap();
        return;
    }
    assert_eq!(held, examples, "TERN_BLESS=1 writes the examples anew");
}
