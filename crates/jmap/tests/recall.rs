//! Recalls as a type: asked for, confirmed, approved, followed and undone.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod house;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tern_jmap::push::{Position, Wanted, look};
use tern_policy::{Decision, DenyReason, Operation, Permission, Policy, Question, Verdict};
use tern_recall::Submission;

use house::recall::{Asks, CODE};
use house::{BOB, CAROL, House};

/// Asks for one recall: what is told of it, or the SetError.
fn ask(house: &mut House, request: Value) -> Result<Value, Value> {
    let set = house.call("Recall/set", json!({"create": {"k": request}}));
    match set["created"]["k"].clone() {
        Value::Null => Err(set["notCreated"]["k"].clone()),
        created => Ok(created),
    }
}

fn of(sent: &Submission) -> Value {
    json!({"messageId": sent.message_id})
}

/// Acts upon one recall: what is told of it, or the SetError.
fn act(house: &mut House, id: &Value, action: Value) -> Result<Value, Value> {
    let id = id.as_str().unwrap();
    let set = house.call("Recall/set", json!({"update": {id: {"action": action}}}));
    match set["updated"][id].clone() {
        Value::Null => Err(set["notUpdated"][id].clone()),
        updated => Ok(updated),
    }
}

fn get(house: &mut House, id: &Value) -> Value {
    let got = house.call("Recall/get", json!({"ids": [id]}));
    assert_eq!(got["notFound"], json!([]));
    got["list"][0].clone()
}

#[test]
fn who_is_told_can_be_chosen_and_who_got_a_notice_is_reported() {
    let mut house = House::new();
    let mut notice = |subject: &str, whom: Value| {
        let sent = house.send(BOB, CAROL, subject);
        let mut request = of(&sent);
        for (name, value) in whom.as_object().unwrap() {
            request[name] = value.clone();
        }
        let made = ask(&mut house, request).unwrap();
        let recall = get(&mut house, &made["id"]);
        let told = recall["addressed"][0]["ends"][0]["notice"].clone();
        (recall["notice"].clone(), recall["noticeText"].clone(), told)
    };
    let all = json!({"notice": "all", "noticeText": "The wrong list."});
    let (whom, text, told) = notice("one", all);
    assert_eq!(
        (whom, text, told),
        (json!("all"), json!("The wrong list."), json!("sent"))
    );
    // She had not opened it.
    let (whom, _, told) = notice("two", json!({"notice": "exposed-only"}));
    assert_eq!((whom, told), (json!("exposed-only"), Value::Null));
    let (whom, _, told) = notice("three", json!({"notice": "none"}));
    assert_eq!((whom, told), (json!("none"), Value::Null));
    let (whom, text, _) = notice("four", json!({}));
    assert_eq!((whom, text), (json!("exposed-only"), Value::Null));
    let inbox = house
        .mailboxes
        .folder_of_role(CAROL, tern_mailbox::Role::Inbox);
    let inbox = inbox.unwrap().unwrap().id;
    let view = house.mailboxes.view(CAROL, inbox).unwrap();
    assert_eq!(view.iter().count(), 1, "one notice, and nothing else");
    house.check();
}

#[test]
fn what_was_sent_is_taken_back_and_put_back_and_each_step_is_news() {
    let mut house = House::new();
    let sent = house.send(BOB, CAROL, "one");
    let none = house.call("Recall/get", json!({"ids": null}));
    assert_eq!((&none["list"], &none["state"]), (&json!([]), &json!("0")));
    let planned = house.call(
        "Recall/plan",
        json!({"plan": {"p": of(&sent), "q": {"messageId": "x@y"}}}),
    );
    let plan = &planned["planned"]["p"];
    assert_eq!(plan["outcomes"], json!({"withdrawn-unexposed": 1}));
    assert_eq!(
        (&plan["subject"], &plan["waitsFor"]),
        (&json!("one"), &Value::Null)
    );
    assert_eq!(planned["notPlanned"]["q"]["type"], "notFound");
    let made = ask(&mut house, of(&sent)).unwrap();
    assert_eq!(
        (&made["state"], &made["withdrawn"]),
        (&json!("done"), &json!("all"))
    );
    assert_eq!(made["isJoined"], false);
    assert_eq!(made["actions"], json!(["restore"]));
    let recall = get(&mut house, &made["id"]);
    assert_eq!(recall["requestedBy"], "bob@example.org");
    assert_eq!(recall["requestedVia"], "jmap");
    assert_eq!(recall["submissionId"], sent.id.to_string());
    assert_eq!(recall["addressed"][0]["email"], "carol@example.org");
    assert_eq!(
        recall["addressed"][0]["ends"][0]["outcome"],
        "withdrawn-unexposed"
    );
    let changes = house.call("Recall/changes", json!({"sinceState": "0"}));
    assert_eq!(changes["created"], json!([made["id"]]));
    assert_eq!(
        (&changes["updated"], &changes["destroyed"]),
        (&json!([]), &json!([]))
    );
    // Asked again it is the same one, whichever way the message is named.
    let all = house.call("Email/get", json!({"ids": null, "properties": ["subject"]}));
    let email = all["list"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["subject"] == "one");
    let email = email.unwrap()["id"].clone();
    for again in [
        json!({"submissionId": sent.id.to_string()}),
        json!({"emailId": email}),
    ] {
        let again = ask(&mut house, again).unwrap();
        assert_eq!(
            (&again["id"], &again["isJoined"]),
            (&made["id"], &json!(true))
        );
    }
    let since = json!({"sinceState": changes["newState"]});
    assert_eq!(
        house.call("Recall/changes", since.clone())["updated"],
        json!([])
    );
    let before = Position::now(&house.verbs(), BOB).unwrap();
    let undone = house.call("Recall/restore", json!({"ids": [made["id"], "R0"]}));
    let id = made["id"].as_str().unwrap();
    assert_eq!(undone["restored"][id]["state"], "restored");
    assert_eq!(undone["notRestored"]["R0"]["type"], "notFound");
    assert_eq!(house.call("Recall/changes", since)["updated"], json!([id]));
    let wanted = Wanted::parse("Recall").unwrap();
    let (_, change) = look(&house.verbs(), BOB, &wanted, Some(&before)).unwrap();
    let told = json!({"A1": {"Recall": undone["newState"]}});
    assert_eq!(change.unwrap()["changed"], told, "it is pushed");
    house.check();
}

#[test]
fn what_answers_it_is_in_the_report_of_whoever_wrote_it() {
    let mut house = House::new();
    let sent = house.send(BOB, CAROL, "one");
    let reply = "In-Reply-To: <one@example.org>\r\n";
    house.send_with(CAROL, BOB, "hers", reply);
    let more = house.send_with(BOB, CAROL, "more", reply);
    let id = ask(&mut house, of(&sent)).unwrap()["id"].clone();
    let recall = get(&mut house, &id);
    let expected = json!([{
        "depth": 1, "email": "bob@example.org", "subject": "more", "messageId": "more@example.org",
        "submissionId": more.id.to_string(), "sentAt": recall["sentAt"], "outcome": "left",
        "description": "It stays as it is.", "recallId": null, "requestedBy": null,
    }]);
    assert_eq!(recall["answers"], expected, "and nothing of carol's");
    assert_eq!(recall["moreAnswers"], 0);
    let other = ask(&mut house, of(&more)).unwrap()["id"].clone();
    let line = get(&mut house, &id)["answers"][0].clone();
    assert_eq!(
        (&line["outcome"], &line["recallId"], &line["requestedBy"]),
        (&json!("taken-back"), &other, &json!("bob@example.org"))
    );
}

#[test]
fn every_part_of_the_log_leads_to_what_there_is() {
    let mut house = House::new();
    for n in 0..3 {
        let sent = house.send(BOB, CAROL, &format!("m{n}"));
        ask(&mut house, of(&sent)).unwrap();
    }
    let (mut state, mut known) = (json!("0"), std::collections::BTreeSet::new());
    loop {
        let args = json!({"sinceState": state, "maxChanges": 1});
        let changes = house.call("Recall/changes", args);
        for id in changes["created"].as_array().unwrap() {
            assert!(
                known.insert(id.as_str().unwrap().to_owned()),
                "created once"
            );
        }
        for id in changes["updated"].as_array().unwrap() {
            assert!(known.contains(id.as_str().unwrap()), "created before");
        }
        state = changes["newState"].clone();
        if changes["hasMoreChanges"] == false {
            break;
        }
    }
    let all = house.call("Recall/get", json!({"ids": null, "properties": ["id"]}));
    assert_eq!(all["state"], state);
    let ids: Vec<&str> = all["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    assert_eq!(known.iter().map(String::as_str).collect::<Vec<_>>(), ids);
    for wrong in ["", "x", "01", "999"] {
        let args = json!({"sinceState": wrong});
        assert_eq!(
            house.error("Recall/changes", args),
            "cannotCalculateChanges"
        );
    }
    let none = json!({"sinceState": "0", "maxChanges": 0});
    assert_eq!(house.error("Recall/changes", none), "invalidArguments");
}

#[test]
fn a_request_with_an_id_is_one_request() {
    let mut house = House::new();
    let sent = house.send(BOB, CAROL, "one");
    let request = json!({"messageId": sent.message_id, "requestId": "mine-1"});
    let first = ask(&mut house, request.clone()).unwrap();
    let again = ask(&mut house, request).unwrap();
    assert_eq!(
        (&first["isJoined"], &again["isJoined"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(first["id"], again["id"]);
    let all = house.call("Recall/get", json!({"ids": null, "properties": ["state"]}));
    assert_eq!(all["list"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_refused_is_named_and_on_record() {
    let mut house = House::new();
    let theirs = house.send(CAROL, BOB, "theirs");
    let by_id = json!({"submissionId": theirs.id.to_string()});
    let refused = ask(&mut house, by_id).unwrap_err();
    assert_eq!(refused["type"], "notYours");
    let record = get(&mut house, &refused["recallId"]);
    assert_eq!(
        (&record["state"], &record["refusal"]),
        (&json!("refused"), &json!("not-yours"))
    );
    // Nothing of the message that is not theirs is told.
    assert_eq!(
        (&record["subject"], &record["messageId"]),
        (&json!(""), &Value::Null)
    );
    assert_eq!(
        ask(&mut house, of(&theirs)).unwrap_err()["type"],
        "notFound"
    );
    house.who = CAROL;
    let got = house.call("Recall/get", json!({"ids": [refused["recallId"]]}));
    assert_eq!(
        got["notFound"],
        json!([refused["recallId"]]),
        "another account's"
    );
    assert_eq!(
        house.call("Recall/get", json!({"ids": null}))["list"],
        json!([])
    );
}

#[test]
fn who_asks_for_too_much_is_told_to_wait() {
    let mut house = House::new();
    let nothing = json!({"messageId": "none@example.org"});
    for _ in 0..tern_recall::limits::MAX_REFUSALS {
        let refused = ask(&mut house, nothing.clone()).unwrap_err();
        assert_eq!(refused["type"], "notFound");
    }
    let refused = ask(&mut house, nothing).unwrap_err();
    assert_eq!(refused["type"], "rateLimit");
}

/// Whoever was sent a message can name its submission, and how much is looked at before they are refused is not told
/// them: a request pays for its refusals, and those behind it are not looked at.
#[test]
fn a_request_that_is_refused_is_paid_for() {
    for method in ["Recall/set", "Recall/plan"] {
        let mut house = House::new();
        let theirs = house.send(CAROL, BOB, "theirs");
        let one = json!({"submissionId": theirs.id.to_string()});
        let many: serde_json::Map<_, _> =
            (0..100).map(|n| (format!("k{n}"), one.clone())).collect();
        let (given, answered) = match method {
            "Recall/set" => ("create", "notCreated"),
            _ => ("plan", "notPlanned"),
        };
        let told = house.call(method, json!({given: many}));
        let errors = told[answered].as_object().unwrap();
        assert_eq!(errors.len(), 100);
        let beyond = |error: &&Value| error["type"] == "rateLimit" && error["recallId"].is_null();
        let beyond = errors.values().filter(beyond).count();
        assert!((50..100).contains(&beyond), "{method}: {beyond}");
        let told = house.call(method, json!({given: {"k": one}}));
        assert_ne!(told[answered]["k"]["type"], Value::Null, "{method}: {told}");
        if method == "Recall/plan" {
            assert_eq!(told[answered]["k"]["type"], "notFound", "another request");
        }
    }
}

#[test]
fn a_request_that_is_none_names_the_property() {
    let mut house = House::new();
    let sent = house.send(BOB, CAROL, "one");
    let many: Vec<String> = (0..1_001).map(|n| format!("a{n}@x")).collect();
    let long = "x".repeat(2_001);
    for (name, value) in [
        ("recipients", json!([])),
        ("recipients", json!(many)),
        ("recipients", json!([1])),
        ("only", json!("odd")),
        ("reach", json!("conversation")),
        ("notice", json!("some")),
        ("noticeText", json!(long)),
        ("reason", json!(long)),
        ("reason", json!(1)),
        ("requestId", json!("")),
        ("requestId", json!("x".repeat(256))),
        ("expiresAt", json!("2001-01-01T00:00:00Z")),
        ("expiresAt", json!("soon")),
        ("state", json!("done")),
    ] {
        let mut request = of(&sent);
        request[name] = value.clone();
        let error = ask(&mut house, request).unwrap_err();
        assert_eq!(error["type"], "invalidProperties", "{name} {value}");
        assert_eq!(error["properties"], json!([name]));
    }
    for request in [
        json!({}),
        json!({"messageId": "a", "emailId": "b"}),
        json!("x"),
    ] {
        assert_eq!(
            ask(&mut house, request).unwrap_err()["type"],
            "invalidProperties"
        );
    }
    for (name, value) in [
        ("emailId", "M1-99"),
        ("emailId", "x"),
        ("submissionId", "x"),
    ] {
        let error = ask(&mut house, json!({name: value})).unwrap_err();
        assert_eq!(error["properties"], json!([name]));
    }
    assert_eq!(
        house.error("Recall/get", json!({"ids": [], "properties": ["odd"]})),
        "invalidArguments"
    );
    assert_eq!(house.error("Recall/plan", json!({})), "invalidArguments");
    assert_eq!(
        house.error("Recall/get", json!({"accountId": "A9", "ids": []})),
        "accountNotFound"
    );
    let stale = json!({"ifInState": "7", "create": {}});
    assert_eq!(house.error("Recall/set", stale), "stateMismatch");
}

#[test]
fn its_requester_confirms_with_a_code() {
    let mut house = House::under(Arc::new(Asks::Factor));
    let sent = house.send(BOB, CAROL, "one");
    let refused = ask(&mut house, of(&sent)).unwrap_err();
    assert_eq!(
        refused["type"], "stepUpRequired",
        "there is no factor to show"
    );
    house.enrol(BOB);
    let plan = house.call("Recall/plan", json!({"plan": {"p": of(&sent)}}));
    assert_eq!(plan["planned"]["p"]["waitsFor"], "second-factor");
    let made = ask(&mut house, of(&sent)).unwrap();
    assert_eq!(made["state"], "awaiting-step-up");
    assert_eq!(made["actions"], json!(["confirm", "cancel"]));
    assert_eq!(made["waiting"]["for"], "second-factor");
    assert_eq!(
        made["waiting"]["wouldBe"],
        json!({"withdrawn-unexposed": 1})
    );
    let id = made["id"].clone();
    let confirm = |code: &str| json!({"type": "confirm", "code": code});
    for (code, error) in [
        ("000000", "codeWrong"),
        ("locked", "codeLocked"),
        ("none", "codeNotSetUp"),
        ("down", "serverFail"),
    ] {
        let refused = act(&mut house, &id, confirm(code)).unwrap_err();
        assert_eq!(refused["type"], error);
    }
    house.who = CAROL;
    assert_eq!(
        act(&mut house, &id, confirm(CODE)).unwrap_err()["type"],
        "notFound"
    );
    house.who = BOB;
    let done = act(&mut house, &id, confirm(CODE)).unwrap();
    assert_eq!(
        (&done["state"], &done["withdrawn"]),
        (&json!("done"), &json!("all"))
    );
    let again = act(&mut house, &id, confirm(CODE)).unwrap_err();
    assert_eq!(again["type"], "wrongState");
    for action in [json!({"type": "odd"}), json!({"type": "confirm"}), json!(1)] {
        let refused = act(&mut house, &id, action).unwrap_err();
        assert_eq!(refused["type"], "invalidProperties");
    }
    let text = id.as_str().unwrap();
    let set = json!({"update": {text: {"state": "done"}, "R0": {}}, "destroy": [text]});
    assert_eq!(
        house.call("Recall/set", set)["notUpdated"][text]["type"],
        "willDestroy"
    );
    let set = json!({"update": {text: {"state": "running"}, "R0": {}}});
    let set = house.call("Recall/set", set);
    assert_eq!(set["notUpdated"][text]["properties"], json!(["state"]));
    assert_eq!(set["notUpdated"]["R0"]["type"], "notFound");
    let set = house.call("Recall/set", json!({"destroy": [text, "R0"]}));
    assert_eq!(set["notDestroyed"][text]["type"], "forbidden");
    assert_eq!(set["notDestroyed"]["R0"]["type"], "notFound");
}

#[test]
fn somebody_else_approves_and_sees_no_more_than_they_need() {
    let mut house = House::under(Arc::new(Asks::Approval));
    let sent = house.send(BOB, CAROL, "one");
    let mut request = of(&sent);
    request["reason"] = json!("the wrong file");
    request["recipients"] = json!(["carol@example.org"]);
    let made = ask(&mut house, request).unwrap();
    assert_eq!(made["state"], "awaiting-approval");
    assert_eq!(made["actions"], json!(["cancel"]));
    let id = made["id"].clone();
    let approve = json!({"type": "approve", "code": CODE, "reason": "so it is"});
    let own = act(&mut house, &id, approve.clone()).unwrap_err();
    assert_eq!(
        own["type"], "forbidden",
        "nobody approves what is their own"
    );
    house.who = CAROL;
    let seen = get(&mut house, &id);
    assert_eq!(seen["actions"], json!(["approve", "decline"]));
    assert_eq!(seen["visibility"], "none");
    assert_eq!(seen["reason"], "the wrong file");
    assert_eq!(
        (&seen["recipients"], &seen["addressed"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(seen["waiting"]["sender"], "bob@example.org");
    let cancel = act(&mut house, &id, json!({"type": "cancel"})).unwrap_err();
    assert_eq!(
        cancel["type"], "notFound",
        "only its requester wants it no longer"
    );
    // By a second factor of their own: a password of a client is not enough.
    let without = act(
        &mut house,
        &id,
        json!({"type": "approve", "reason": "so it is"}),
    );
    assert_eq!(without.unwrap_err()["type"], "invalidProperties");
    let wrong = json!({"type": "approve", "code": "000000", "reason": "so it is"});
    assert_eq!(
        act(&mut house, &id, wrong).unwrap_err()["type"],
        "codeWrong"
    );
    let none = json!({"type": "decline", "code": "none"});
    assert_eq!(
        act(&mut house, &id, none).unwrap_err()["type"],
        "codeNotSetUp"
    );
    let done = act(&mut house, &id, approve).unwrap();
    assert_eq!(done["state"], "done");
    assert_eq!(done["approvals"][0]["by"], "carol@example.org");
    assert_eq!(done["outcomes"], json!({}));
    house.who = BOB;
    assert_eq!(get(&mut house, &id)["withdrawn"], "all");

    let sent = house.send(BOB, CAROL, "two");
    let second = ask(&mut house, of(&sent)).unwrap()["id"].clone();
    house.who = CAROL;
    let decline = json!({"type": "decline", "code": CODE, "reason": "no"});
    let declined = act(&mut house, &second, decline).unwrap();
    house.who = BOB;
    let seen = get(&mut house, &second);
    assert_eq!(
        (&seen["state"], &seen["refusal"]),
        (&json!("refused"), &json!("approval-required"))
    );
    assert_eq!(seen["ended"]["by"], "carol@example.org");
    assert_eq!(declined["id"], second);

    let sent = house.send(BOB, CAROL, "three");
    let third = ask(&mut house, of(&sent)).unwrap()["id"].clone();
    let cancelled = act(&mut house, &third, json!({"type": "cancel"})).unwrap();
    assert_eq!(cancelled["state"], "cancelled");
    let again = act(&mut house, &third, json!({"type": "cancel"})).unwrap_err();
    assert_eq!(
        (&again["type"], &again["state"]),
        (&json!("wrongState"), &json!("cancelled"))
    );
}

/// Lets approve whoever has asked a few times before: a role that is given in the midst of a request.
struct Later(AtomicU32);

impl Policy for Later {
    fn decide(&self, question: &Question) -> Verdict {
        let mut verdict = Asks::Approval.decide(question);
        if question.operation == Operation::Use(Permission::RecallApprove)
            && self.0.fetch_add(1, Ordering::Relaxed) == 0
        {
            verdict.decision = Decision::Deny(DenyReason::PolicyDenied);
        }
        verdict
    }
}

#[test]
fn nobody_approves_without_a_code_whatever_they_may_a_moment_later() {
    for answer in ["approve", "decline"] {
        let mut house = House::under(Arc::new(Later(AtomicU32::new(0))));
        let sent = house.send(BOB, CAROL, "one");
        let id = ask(&mut house, of(&sent)).unwrap()["id"].clone();
        house.who = CAROL;
        let wrong = json!({"type": answer, "code": "000000"});
        let early = act(&mut house, &id, wrong.clone()).unwrap_err();
        assert_eq!(early["type"], "notFound", "{early}");
        let later = act(&mut house, &id, wrong).unwrap_err();
        assert_eq!(later["type"], "codeWrong", "{later}");
        house.who = BOB;
        assert_eq!(get(&mut house, &id)["state"], "awaiting-approval");
    }
}

#[test]
fn what_expires_is_planned_until_then() {
    let mut house = House::new();
    let sent = house.send(BOB, CAROL, "one");
    let mut request = of(&sent);
    request["expiresAt"] = json!("2027-02-01T00:00:00Z");
    let made = ask(&mut house, request).unwrap();
    assert_eq!(
        (&made["state"], &made["waiting"]["for"]),
        (&json!("planned"), &json!("time"))
    );
    assert_eq!(made["actions"], json!(["cancel"]));
    let cancelled = act(&mut house, &made["id"], json!({"type": "cancel"})).unwrap();
    assert_eq!(cancelled["state"], "cancelled");
}
