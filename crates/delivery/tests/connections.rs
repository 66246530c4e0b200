//! What policies are told of the connection by which a mail asked for something.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use tern_base::{MailboxId, OriginId, Uid};
use tern_mailbox::{
    Access, Bringer, Client, Connection, FlagChange, FlagRequest, Flags, INBOX, Landing, Lineage,
    Transfer, Viewer,
};
use tern_policy::{Policy, PolicySet, Question, SHIPPED_DEFAULT, Verdict};
use tern_recall::{RECALL_KEYWORD, RECALL_MAILBOX, Recalls, Requested};

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
    house.recalls_under(Arc::new(Placed(set)))
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

/// What a client does to ask, with a sent message that is at hand.
#[derive(Clone, Copy, Debug)]
enum By {
    Keyword,
    Copy,
    Move,
    Append,
}

/// Puts a message into a mailbox of Alice's.
fn append(house: &House, mailbox: MailboxId, content: &str, connection: Option<Connection>) -> Uid {
    let prepared = house.mailboxes.prepare(content.into(), house.now).unwrap();
    let landing = Landing {
        account: house.account("alice"),
        mailbox,
        flags: Flags::empty(),
        received: house.now,
        prefix: Vec::new(),
        origin: OriginId([99; 16]),
        lineage: Lineage::Copied,
        brought_by: Some(Bringer {
            viewer: Viewer::default(),
            connection,
        }),
    };
    let placed = house.mailboxes.land(&prepared, &[landing], house.now);
    placed.unwrap().pop().unwrap().unwrap().uid
}

/// Alice's client asks for what she sent.
fn ask(house: &House, id: &str, by: By, connection: Option<&Connection>) {
    let account = house.account("alice");
    let content = letter(id, "").replace('\n', "\r\n");
    let mailboxes = &house.mailboxes;
    let recall = match mailboxes.folder(account, RECALL_MAILBOX) {
        Ok(folder) => folder.id,
        Err(_) => {
            let folder = mailboxes.create_folder(account, RECALL_MAILBOX, None, house.now);
            folder.unwrap().id
        }
    };
    if let By::Append = by {
        append(house, recall, &content, connection.cloned());
        return;
    }
    let uids = [append(house, INBOX, &content, None)];
    let transfer = Transfer {
        from: Access::owner(account, INBOX),
        uids: &uids,
        to: recall,
        by: connection,
    };
    match by {
        By::Copy => drop(mailboxes.copy(&transfer, house.now).unwrap()),
        By::Move => drop(mailboxes.move_messages(&transfer, house.now).unwrap()),
        By::Keyword | By::Append => {
            let mut keyword = Flags::empty();
            keyword.add_keyword(RECALL_KEYWORD);
            let request = FlagRequest {
                access: Access::owner(account, INBOX),
                uids: &uids,
                change: &FlagChange::Add(keyword),
                unchanged_since: None,
                by: connection,
            };
            mailboxes.change_flags(&request).unwrap();
        }
    }
}

/// Each way in turn, by two connections of one account, that are looked at together or not.
#[test]
fn a_condition_on_the_connection_is_about_the_one_that_asked_by_imap() {
    let office = Some(from("192.0.2.1"));
    let places = [office, Some(from("198.51.100.1")), None];
    for by in [By::Keyword, By::Copy, By::Move, By::Append] {
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let mut house = House::new();
            let recalls = recalls(&house);
            for n in order {
                let id = format!("m{n}");
                submit(&mut house, BOB, &letter(&id, ""), None);
                ask(&house, &id, by, places[n].as_ref());
            }
            let account = house.account("alice");
            let answers = recalls.triggers(account, house.now).unwrap();
            assert_eq!(answers.len(), 3);
            for (answer, n) in answers.iter().zip(order) {
                let sealed = matches!(answer, Requested::Sealed(_));
                assert_eq!(sealed, n == 0, "{by:?} {n} {answer:?}");
            }
            // What was looked at is not kept.
            let folder = house.mailboxes.folder(account, RECALL_MAILBOX).unwrap().id;
            for uid in 1..8 {
                let kept = house.sealing.brought(account, folder, Uid(uid));
                assert_eq!(kept.unwrap(), None);
            }
            assert_eq!(house.sealing.marked(account, 9).unwrap(), []);
            assert_eq!(recalls.check().unwrap(), []);
        }
    }
}
