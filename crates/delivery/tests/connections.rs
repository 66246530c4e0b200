//! What policies are told of the connection by which a mail asked for something.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use tern_mailbox::{Client, Connection};
use tern_policy::{Policy, PolicySet, Question, SHIPPED_DEFAULT, Verdict};
use tern_recall::{Recalls, Requested, Settings};

/// Only from the office, by a device of one's own, over TLS.
const OFFICE: &str = r#"@id("office") @reason("not-enabled")
forbid (principal, action == Tern::Action::"recall.own", resource) unless {
  context has networks && context.networks.contains("office") &&
  context.authentication has tls && context.authentication.tls &&
  context.authentication has factors && context.authentication.factors.contains("app-password") &&
  context.authentication has mechanism && context.authentication.mechanism == "PLAIN"
};"#;

/// The rule, told which addresses are in the office.
struct Placed(PolicySet);

impl Policy for Placed {
    fn decide(&self, question: &Question) -> Verdict {
        let mut question = question.clone();
        let peer = question.authentication.peer.as_ref();
        let networks = peer.map(|peer| {
            let inside = peer.starts_with("192.0.2.").then(|| "office".to_owned());
            inside.into_iter().collect()
        });
        question.surroundings.networks = networks;
        self.0.decide(&question)
    }
}

fn recalls(house: &House) -> Recalls {
    let set = PolicySet::load(&[SHIPPED_DEFAULT[0], ("office.cedar", OFFICE)]).unwrap();
    Recalls::open(
        Arc::new(house.engine.clone()),
        Arc::clone(&house.mailboxes),
        Arc::new(Placed(set)),
        Settings::default(),
    )
}

fn phone() -> Client {
    Client {
        protocol: "smtp".into(),
        token: "phone".into(),
        ..Client::default()
    }
}

fn from(address: &str) -> Connection {
    Connection {
        protocol: "smtp".into(),
        mechanism: "PLAIN".into(),
        app_password: true,
        address: address.into(),
        tls: true,
        device: phone().id(),
    }
}

fn letter(id: &str, further: &str) -> String {
    format!(
        "From: alice@tern.test\nTo: bob@tern.test\nSubject: {id}\n\
         Date: Fri, 20 Nov 2026 10:11:12 +0100\nMessage-ID: <{id}@tern.test>\n{further}\ntext\n"
    )
}

fn submit(house: &mut House, to: &str, mail: &str, connection: Option<Connection>) {
    let mut incoming = house.incoming("alice@tern.test", &[to], Some("alice"));
    incoming.content = mail.replace('\n', "\r\n").into_bytes();
    incoming.submitter.as_mut().unwrap().connection = connection;
    house.accept(incoming).unwrap();
}

const ASK: &str = "recall@tern.test";
const BOB: &str = "bob@tern.test";

/// A mail that asks for the recall of `id`, each way in turn, and to whom it goes.
fn asks(id: &str) -> [(String, &'static str); 3] {
    let mail = |further: &str| format!("From: alice@tern.test\n{further}\n\ntext\n");
    [
        (
            mail(&format!(
                "Subject: <{id}@tern.test>\nMessage-ID: <ask@tern.test>"
            )),
            ASK,
        ),
        (
            letter("new", &format!("Supersedes: <{id}@tern.test>\n")),
            BOB,
        ),
        (
            letter("late", "Expires: Fri, 22 Jan 2027 10:11:12 +0100\n"),
            BOB,
        ),
    ]
}

#[test]
fn a_condition_on_the_connection_is_about_the_session_that_submitted_the_mail() {
    let without = |change: fn(&mut Connection)| {
        let mut connection = from("192.0.2.1");
        change(&mut connection);
        Some(connection)
    };
    let cases = [
        (Some(from("192.0.2.1")), true),
        (Some(from("198.51.100.1")), false),
        (without(|it| it.tls = false), false),
        (without(|it| it.app_password = false), false),
        (without(|it| it.mechanism = "LOGIN".into()), false),
        (None, false),
    ];
    for (connection, allowed) in cases {
        for (mail, to) in asks("one") {
            let mut house = House::new();
            submit(&mut house, BOB, &letter("one", ""), Some(from("192.0.2.1")));
            submit(&mut house, to, &mail, connection.clone());
            let recalls = recalls(&house);
            let answers = recalls.triggers(house.account("alice"), house.now).unwrap();
            let [answer] = answers[..] else {
                panic!("{answers:?}")
            };
            let refused = matches!(answer, Requested::Refused(..));
            assert_eq!(!refused, allowed, "{connection:?} {mail} {answer:?}");
            assert_eq!(recalls.check().unwrap(), []);
        }
    }
}

/// Two sessions of one account from two places: each request is judged by its own, though both
/// are looked at together and the other came last.
#[test]
fn each_of_two_sessions_is_judged_by_its_own_place() {
    for places in [["192.0.2.1", "198.51.100.1"], ["198.51.100.1", "192.0.2.1"]] {
        let mut house = House::new();
        for id in ["one", "two"] {
            submit(&mut house, BOB, &letter(id, ""), None);
        }
        for (id, place) in ["one", "two"].into_iter().zip(places) {
            submit(&mut house, ASK, &asks(id)[0].0, Some(from(place)));
        }
        let recalls = recalls(&house);
        let answers = recalls.triggers(house.account("alice"), house.now).unwrap();
        assert_eq!(answers.len(), 2);
        for (answer, place) in answers.iter().zip(places) {
            let sealed = matches!(answer, Requested::Sealed(_));
            assert_eq!(sealed, place == "192.0.2.1", "{place} {answer:?}");
        }
    }
}
