//! What policies are told of a message that its copies and its header say: its label, how many copies
//! are unread, and how far a request reaches.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use tern_base::Uid;
use tern_mailbox::{Access, FlagChange, FlagRequest, Flags, INBOX, SystemFlag};
use tern_policy::{Authentication, PolicySet, SHIPPED_DEFAULT};
use tern_recall::{Reach, RecallId, Recalls, Refusal, Request, Requested, Requester, Selector};

fn recalls(house: &House, rule: &str) -> Recalls {
    let set = PolicySet::load(&[SHIPPED_DEFAULT[0], ("rule.cedar", rule)]).unwrap();
    house.recalls_under(Arc::new(set))
}

/// Alice sends a letter with these header fields to Bob and Carol, and asks for it.
fn submit(house: &mut House, further: &str) -> Request {
    let to = ["bob@tern.test", "carol@tern.test"];
    let mut incoming = house.incoming("alice@tern.test", &to, Some("alice"));
    let content = format!(
        "From: alice@tern.test\nTo: bob@tern.test\nSubject: one\nMessage-ID: <one@tern.test>\n\
         {further}\ntext\n"
    );
    incoming.content = content.replace('\n', "\r\n").into_bytes();
    house.accept(incoming).unwrap();
    let account = house.account("alice");
    let requester = Requester {
        account: Some(account),
        name: "alice@tern.test".into(),
        authentication: Authentication::default(),
    };
    let selector = Selector::MessageId(account, "one@tern.test".into());
    Request::new(RecallId([1; 16]), selector, requester)
}

fn is_sealed(recalls: &Recalls, request: &Request, house: &House) -> bool {
    match recalls.request(request, house.now).unwrap() {
        Requested::Sealed(_) => true,
        Requested::Refused(_, Refusal::PolicyDenied) => false,
        other => panic!("{other:?}"),
    }
}

fn inputs(recalls: &Recalls, name: &str) -> Option<String> {
    let decided = recalls.decided(RecallId([1; 16])).unwrap().unwrap();
    let found = decided.inputs.into_iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value)
}

#[test]
fn a_policy_is_told_the_label_of_a_message() {
    const RULE: &str = "@id(\"label\") forbid (principal, action == Tern::Action::\"recall.own\", \
        resource) unless { resource has label && resource.label == \"Company-Confidential\" };";
    let cases = [
        ("Sensitivity: company-confidential\n", true),
        ("X-Label: Company-Confidential\n", true),
        ("X-Label: open\nSensitivity: Company-Confidential\n", false),
        ("Sensitivity: Private\n", false),
        ("Sensitivity: what else\n", false),
        ("", false),
    ];
    for (further, allowed) in cases {
        let mut house = House::new();
        let request = submit(&mut house, further);
        let recalls = recalls(&house, RULE);
        assert_eq!(is_sealed(&recalls, &request, &house), allowed, "{further}");
        let is_known = !further.is_empty() && !further.contains("what else");
        let told = inputs(&recalls, "resource.label");
        assert_eq!(told.is_some(), is_known, "{further} {told:?}");
    }
}

#[test]
fn a_policy_that_asks_is_told_how_many_copies_are_unread() {
    const RULE: &str = "@id(\"unread\") forbid (principal, action, resource) \
        unless { resource has unread && resource.unread == 1 };";
    for (readers, unread) in [(&[][..], 2), (&["bob"], 1), (&["bob", "carol"], 0)] {
        let mut house = House::new();
        let request = submit(&mut house, "");
        for name in readers {
            let seen = FlagRequest {
                access: Access::owner(house.account(name), INBOX),
                uids: &[Uid(1)],
                change: &FlagChange::Add(Flags::of(&[SystemFlag::Seen])),
                unchanged_since: None,
                by: None,
            };
            house.mailboxes.change_flags(&seen).unwrap();
        }
        // The rule is about recalls and about plans: either is told.
        let asking = recalls(&house, RULE);
        let planned = asking.plan(&request, house.now).unwrap();
        assert_eq!(planned.is_ok(), unread == 1);
        assert_eq!(
            is_sealed(&asking, &request, &house),
            unread == 1,
            "{readers:?}"
        );
        let told = inputs(&asking, "resource.unread");
        assert_eq!(told, Some(unread.to_string()));
    }
    // Who does not ask is not told: it takes time.
    let mut house = House::new();
    let request = submit(&mut house, "");
    let other = "@id(\"other\") forbid (principal, action == Tern::Action::\"recall.own\", resource) \
        when { context.options has reach && context.options.reach == \"none\" };";
    let recalls = recalls(&house, other);
    assert!(is_sealed(&recalls, &request, &house));
    assert_eq!(inputs(&recalls, "resource.unread"), None);
}

#[test]
fn a_policy_is_told_how_far_a_request_reaches() {
    const RULE: &str = "@id(\"reach\") forbid (principal, action == Tern::Action::\"recall.own\", \
        resource) unless { context.options has reach && context.options.reach == \"copies\" };";
    for (reach, allowed) in [(Reach::Copies, true), (Reach::Attached, false)] {
        let mut house = House::new();
        let mut request = submit(&mut house, "");
        request.reach = reach;
        let recalls = recalls(&house, RULE);
        assert_eq!(is_sealed(&recalls, &request, &house), allowed, "{reach:?}");
    }
}
