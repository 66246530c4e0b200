//! What this server sent out and a mailing list sends back, with something added: a copy of what was
//! submitted. What only pretends to be is not.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::House;
use tern_base::OriginId;
use tern_mailbox::{AppendRequest, Carriage, Flags, INBOX, Viewer};
use tern_queue::LeaseId;
use tern_recall::{Outcome, Reason, RecallId, Recalls, Requested};

const ASK: &str = "recall@tern.test";
const LIST: &str = "list@far.example";
const TEXT: &str = "The figures are wrong.\n\nThey are: 12, 13 and 14.";

fn letter(who: &str, id: &str, text: &str) -> String {
    format!(
        "From: {who}@tern.test\nTo: {LIST}\nSubject: {id}\n\
         Date: Fri, 20 Nov 2026 10:11:12 +0100\nMessage-ID: <{id}@tern.test>\n\n{text}\n"
    )
}

fn submit(house: &mut House, who: &str, to: &[&str], mail: &str) {
    let from = format!("{who}@tern.test");
    let mut incoming = house.incoming(&from, to, Some(who));
    incoming.content = mail.replace('\n', "\r\n").into_bytes();
    house.accept(incoming).unwrap();
}

/// Something comes in from another server. Answers whether a seal stopped it.
fn arrives(house: &mut House, to: &str, mail: &str) -> bool {
    let mut incoming = house.incoming("list-bounces@far.example", &[to], None);
    incoming.content = mail
        .replace("\r\n", "\n")
        .replace('\n', "\r\n")
        .into_bytes();
    !house.accept(incoming).unwrap().late.is_empty()
}

/// What went out to the list last, as it was handed to the network.
fn sent_out(house: &House) -> String {
    let due = house.delivery.due(house.now, 10).unwrap();
    let item = due.last().unwrap().id;
    let taken = house.delivery.take(&[item], LeaseId(1), house.now, 60_000);
    String::from_utf8(taken.unwrap().unwrap().content).unwrap()
}

fn field<'a>(mail: &'a str, name: &str) -> &'a str {
    let start = format!("{name}: ");
    let line = mail.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap()
}

/// What a mailing list makes of a message: its own sender and subject, and a footer.
fn from_the_list(mail: &str) -> String {
    let subject = format!("Subject: {}", field(mail, "Subject"));
    let from = format!("From: {}", field(mail, "From"));
    let mail = mail.replace("\r\n", "\n");
    let mail = mail.replace(&subject, &format!("Subject: [list] {}", &subject[9..]));
    let mail = mail.replace(&from, "From: Alice via list <list@far.example>");
    format!("{mail}\n_______\nlist mailing list\nhttps://far.example/unsubscribe\n")
}

/// The same as a part of its own, the text encoded anew.
fn from_a_list_with_parts(mail: &str) -> String {
    let mail = mail.replace("\r\n", "\n");
    let (head, text) = mail.split_once("\n\n").unwrap();
    let text = text.replace('=', "=3D").replace("figures", "fig=\nures");
    format!(
        "{head}\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=l\n\n--l\n\
         Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n{text}\n\
         --l\nContent-Type: text/plain\n\nlist mailing list\n--l--\n"
    )
}

fn recalls(house: &House) -> Recalls {
    house.recalls_under(tern_policy::built_in())
}

/// Somebody takes back a message of theirs.
fn recall(house: &mut House, who: &str, id: &str) -> RecallId {
    let recalls = recalls(house);
    recall_by(&recalls, house, who, id)
}

fn recall_by(recalls: &Recalls, house: &mut House, who: &str, id: &str) -> RecallId {
    let ask = format!("Message-ID: <ask-{who}-{id}@tern.test>\n\n<{id}@tern.test>\n");
    submit(house, who, &[ASK], &ask);
    let answers = recalls.triggers(house.account(who), house.now).unwrap();
    assert!(matches!(answers[..], [Requested::Sealed(_)]), "{answers:?}");
    recalls.run(answers[0].id(), house.now).unwrap();
    assert_eq!(recalls.check().unwrap(), []);
    answers[0].id()
}

fn count(house: &House, who: &str) -> usize {
    house.inbox(house.account(who)).len()
}

#[test]
fn what_a_mailing_list_sends_back_is_a_copy_before_the_recall_and_after() {
    for change in [from_the_list, from_a_list_with_parts] {
        let mut house = House::new();
        submit(&mut house, "alice", &[LIST], &letter("alice", "one", TEXT));
        let back = change(&sent_out(&house));
        assert!(!arrives(&mut house, "bob@tern.test", &back));
        assert!(!arrives(&mut house, "alice@tern.test", &back));
        assert_eq!(count(&house, "bob"), 1);
        let id = recall(&mut house, "alice", "one");
        assert_eq!(count(&house, "bob"), 0);
        assert!(arrives(&mut house, "carol@tern.test", &back));
        assert_eq!(count(&house, "carol"), 0);
        let recalls = recalls(&house);
        recalls.refresh_late(id.tag(), house.now).unwrap();
        let json = recalls.status(id, 10).unwrap().json();
        let copies = json["copies"].as_array().unwrap().iter();
        let returned = copies.filter(|copy| copy["lineage"] == "returned");
        let mut ends: Vec<_> = returned.map(|copy| copy["outcome"].to_string()).collect();
        ends.sort_unstable();
        let [late, taken] = [Outcome::BlockedLate, Outcome::WithdrawnUnexposed]
            .map(|outcome| format!("\"{}\"", outcome.code()));
        assert_eq!(ends, [late, taken]);
        house.check();
    }
}

/// What a list sends back to an address that leads to another server waits to leave when the recall
/// falls.
#[test]
fn what_a_mailing_list_sends_back_does_not_leave_again() {
    let mut house = House::new();
    submit(&mut house, "alice", &[LIST], &letter("alice", "one", TEXT));
    let back = from_the_list(&sent_out(&house));
    let other = back.replace("<one@tern.test>", "<two@tern.test>");
    for mail in [&back, &other] {
        assert!(!arrives(&mut house, "away@tern.test", mail));
    }
    let waits = house.delivery.due(house.now, 10).unwrap().len();
    recall(&mut house, "alice", "one");
    let due = house.delivery.due(house.now, 10).unwrap();
    let mut left = Vec::new();
    for (lease, item) in (2..).zip(&due) {
        let taken = house
            .delivery
            .take(&[item.id], LeaseId(lease), house.now, 60_000);
        left.extend(taken.unwrap().map(|taken| taken.content));
    }
    assert_eq!((waits, due.len(), left.len()), (2, 1, 1));
    let left = String::from_utf8(left.remove(0)).unwrap();
    assert!(left.contains("<two@tern.test>"), "{left}");
    house.check();
}

/// A client puts something into an inbox. Answers whether a seal stopped it.
fn appends(house: &mut House, who: &str, mail: &str) -> bool {
    let request = AppendRequest {
        account: house.account(who),
        mailbox: INBOX,
        content: mail
            .replace("\r\n", "\n")
            .replace('\n', "\r\n")
            .into_bytes(),
        flags: Flags::empty(),
        by: Viewer::default().into(),
        received: None,
        origin: OriginId::new(house.now, &mut house.entropy),
    };
    let placed = house.mailboxes.append(request, house.now).unwrap();
    placed.sealed.is_some()
}

#[test]
fn what_came_back_and_a_client_appends_is_a_copy_before_the_recall_and_after() {
    let mut house = House::new();
    submit(&mut house, "alice", &[LIST], &letter("alice", "one", TEXT));
    let out = sent_out(&house);
    let back = from_the_list(&out);
    assert!(!appends(&mut house, "bob", &back));
    // A client has what it brings: by the default policy this would wait for a second factor.
    let recalls = house.recalls_under(tern_policy::unattended());
    let id = recall_by(&recalls, &mut house, "alice", "one");
    // He is told, since he had it, and has it no more.
    let left = house.inbox(house.account("bob"));
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left.iter().all(|mail| !mail.contains("[list]")), "{left:?}");
    for _ in 0..2 {
        assert!(appends(&mut house, "carol", &back));
        assert!(appends(&mut house, "bob", &from_a_list_with_parts(&out)));
    }
    recalls.refresh_late(id.tag(), house.now).unwrap();
    let status = recalls.status(id, 10).unwrap();
    let returned = status.lines.iter().filter(|line| {
        let how = line.outcome.carriage;
        matches!(how, Some(Carriage::Returned(_)))
    });
    let mut ends: Vec<_> = returned
        .map(|line| (line.outcome.outcome, line.outcome.reason))
        .collect();
    ends.sort_unstable();
    let late = (Outcome::BlockedLate, Reason::PutBack);
    let taken = (Outcome::WithdrawnExposed, Reason::BodyServed);
    assert_eq!(ends, [taken, late, late, late, late]);
    house.check();
}

#[test]
fn a_client_that_appends_a_token_on_something_else_loses_nothing_by_it() {
    let mut house = House::new();
    submit(&mut house, "alice", &[LIST], &letter("alice", "one", TEXT));
    let out = sent_out(&house);
    let token = field(&out, "Recall-Token");
    let real = from_the_list(&out);
    for other in [
        // Another text, another Message-ID, another token, none, and a text with something above it.
        real.replace("12, 13", "13, 12"),
        real.replace("<one@tern.test>", "<other@tern.test>"),
        real.replace(token, &token.replace(&token[30..34], "AAAA")),
        real.replace(&format!("Recall-Token: {token}\n"), ""),
        real.replace("The figures", "Look:\n\nThe figures"),
    ] {
        assert_ne!(other, real);
        assert!(!appends(&mut house, "bob", &other));
    }
    recall(&mut house, "alice", "one");
    assert_eq!(count(&house, "bob"), 5);
    house.check();
}

#[test]
fn a_token_that_is_forged_or_on_something_else_does_nothing() {
    let mut house = House::new();
    submit(&mut house, "alice", &[LIST], &letter("alice", "one", TEXT));
    let out = sent_out(&house);
    let token = field(&out, "Recall-Token").to_owned();
    let mut forged = token.clone().into_bytes();
    let last = forged.len() - 2;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let listed = from_the_list(&out);
    let other = format!(
        "Recall-Token: {token}\n{}",
        letter("mallory", "one", "Buy this")
    );
    let cases = [
        // Not ours.
        listed.replace(&token, &forged),
        listed.replace(&token, "bm9uc2Vuc2U"),
        // Ours, on another text, or on one that was cut or changed.
        other.clone(),
        listed.replace("12, 13", "12, 99"),
        listed.replace("They are: 12, 13 and 14.", ""),
        listed.replace(
            "The figures are wrong.",
            "Look at this:\nThe figures are wrong.",
        ),
        // Ours, under another name.
        listed.replace("<one@tern.test>", "<two@tern.test>"),
        // What merely has it inside.
        format!(
            "Subject: see\nContent-Type: text/rfc822-headers\n\n{}",
            &listed
        ),
    ];
    for case in &cases {
        assert!(!arrives(&mut house, "bob@tern.test", case));
    }
    recall(&mut house, "alice", "one");
    assert_eq!(count(&house, "bob"), cases.len(), "none was taken");
    for case in &cases {
        assert!(!arrives(&mut house, "carol@tern.test", case));
    }
    assert_eq!(count(&house, "carol"), cases.len(), "none was stopped");
    house.check();
}

#[test]
fn a_token_gives_no_power_to_who_puts_it_on_what_they_submit() {
    let mut house = House::new();
    submit(&mut house, "alice", &[LIST], &letter("alice", "one", TEXT));
    let listed = from_the_list(&sent_out(&house));
    // Bob has it from the list and submits it: what an account submits has a token of its own.
    submit(&mut house, "bob", &["dave@tern.test"], &listed);
    recall(&mut house, "alice", "one");
    assert_eq!(count(&house, "dave"), 1);
    house.check();
}

#[test]
fn what_another_account_sent_to_the_list_comes_back_as_theirs() {
    let mut house = House::new();
    submit(&mut house, "alice", &[LIST], &letter("alice", "one", TEXT));
    // Bob sends the same letter again, word for word.
    submit(&mut house, "bob", &[LIST], &letter("alice", "one", TEXT));
    let due = house.delivery.due(house.now, 10).unwrap();
    let mut back = Vec::new();
    for item in due {
        let taken = house
            .delivery
            .take(&[item.id], LeaseId(1), house.now, 60_000);
        let taken = taken.unwrap().unwrap();
        let content = String::from_utf8(taken.content).unwrap();
        back.push((taken.items[0].account, from_the_list(&content)));
    }
    let bob = house.account("bob");
    for (of, mail) in &back {
        let to = if *of == Some(bob) {
            "dave@tern.test"
        } else {
            "carol@tern.test"
        };
        assert!(!arrives(&mut house, to, mail));
    }
    recall(&mut house, "alice", "one");
    assert_eq!((count(&house, "carol"), count(&house, "dave")), (0, 1));
    recall(&mut house, "bob", "one");
    assert_eq!(count(&house, "dave"), 0);
    house.check();
}
