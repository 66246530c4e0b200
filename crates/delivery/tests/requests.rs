//! What accounts ask for by mail: to the server's own address, and by what a submission takes the
//! place of.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{House, address};
use tern_base::Domain;
use tern_delivery::{Accepted, DeliveryError, RecipientCheck, Refusal, is_request_address};
use tern_directory::target::Target;
use tern_directory::{DomainSettings, set_alias};
use tern_mailbox::INBOX;
use tern_policy::Notice;
use tern_recall::{Refusal as RecallRefusal, Requested};

const ASK: &str = "recall@tern.test";

fn letter(id: &str, further: &str, text: &str) -> String {
    format!(
        "From: alice@tern.test\nTo: bob@tern.test\nSubject: {id}\n\
         Date: Fri, 20 Nov 2026 10:11:12 +0100\nMessage-ID: <{id}@tern.test>\n{further}\n{text}\n"
    )
}

fn submit(
    house: &mut House,
    who: &str,
    to: &[&str],
    mail: &str,
) -> Result<Accepted, DeliveryError> {
    let from = format!("{who}@tern.test");
    let mut incoming = house.incoming(&from, to, Some(who));
    incoming.content = mail.replace('\n', "\r\n").into_bytes();
    house.accept(incoming)
}

/// Sees to what somebody has asked for, up to the report.
fn triggers(house: &House, who: &str) -> Vec<Requested> {
    let recalls = house.recalls();
    let answers = recalls.triggers(house.account(who), house.now).unwrap();
    for answer in &answers {
        recalls.run(answer.id(), house.now).unwrap();
    }
    assert_eq!(recalls.check().unwrap(), []);
    answers
}

fn inbox(house: &House, who: &str) -> Vec<String> {
    house.inbox(house.account(who))
}

fn forward(attached: &str) -> String {
    format!(
        "From: alice@tern.test\nTo: {ASK}\nSubject: Fwd\nMessage-ID: <ask@tern.test>\n\
         MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n\
         Please take this back.\n--b\nContent-Type: message/rfc822\n\n{attached}\n--b--\n"
    )
}

#[test]
fn a_mail_to_the_servers_own_address_takes_back_what_it_names() {
    let by_text = "Subject: recall\nMessage-ID: <ask@tern.test>\n\nplease: one@tern.test\n";
    let by_answer = "Subject: Fwd: one\nMessage-ID: <ask@tern.test>\n\
                     References: <else@x> <one@tern.test>\n\n> text\n";
    let mangled = letter("one", "", "text, changed by a client on the way");
    let attached = forward(&letter("one", "", "text"));
    for mail in [by_text, by_answer, &forward(&mangled), &attached] {
        let mut house = House::new();
        submit(
            &mut house,
            "alice",
            &["bob@tern.test"],
            &letter("one", "", "text"),
        )
        .unwrap();
        submit(
            &mut house,
            "alice",
            &["bob@tern.test"],
            &letter("two", "", "text"),
        )
        .unwrap();
        assert_eq!(inbox(&house, "bob").len(), 2);
        let accepted = submit(&mut house, "alice", &["Recall+x@tern.test"], mail).unwrap();
        assert_eq!((accepted.local, accepted.outside), (0, 0));
        let answers = triggers(&house, "alice");
        assert!(matches!(answers[..], [Requested::Sealed(_)]), "{answers:?}");
        let left = inbox(&house, "bob");
        assert!(
            left.len() == 1 && left[0].contains("<two@tern.test>"),
            "{left:?}"
        );
        let replies = inbox(&house, "alice");
        assert_eq!(replies.len(), 1);
        assert!(
            replies[0].contains("In-Reply-To: <ask@tern.test>"),
            "{replies:?}"
        );
        assert!(replies[0].contains("Taken back: one"), "{replies:?}");
        assert_eq!(triggers(&house, "alice"), []);
        house.check();
    }
}

#[test]
fn what_is_not_the_senders_or_not_one_message_is_refused() {
    let two = "Message-ID: <ask@tern.test>\n\n<one@tern.test> or <two@tern.test>\n";
    let one = forward(&letter("one", "", "text"));
    for (who, mail) in [("alice", two), ("bob", &one), ("carol", &one)] {
        let mut house = House::new();
        for id in ["one", "two"] {
            submit(
                &mut house,
                "alice",
                &["bob@tern.test"],
                &letter(id, "", "text"),
            )
            .unwrap();
        }
        submit(&mut house, who, &[ASK], mail).unwrap();
        let answers = triggers(&house, who);
        assert!(
            matches!(
                answers[..],
                [Requested::Refused(_, RecallRefusal::NotFound)]
            ),
            "{answers:?}"
        );
        let answered = inbox(&house, who);
        assert!(answered.last().unwrap().contains("Not taken back"));
        let bobs = inbox(&house, "bob");
        for id in ["<one@tern.test>", "<two@tern.test>"] {
            assert!(bobs.iter().any(|mail| mail.contains(id)));
        }
        house.check();
    }
}

#[test]
fn only_accounts_may_write_to_it_and_it_is_nobodys() {
    let mut house = House::new();
    let ask = address("recall+tag@tern.test");
    let carol = Target::Account(house.account("carol"));
    let settings = DomainSettings {
        catch_all: Some(carol.clone()),
        ..DomainSettings::default()
    };
    let domain = Domain::parse("tern.test").unwrap();
    tern_directory::set_domain(&house.engine, &domain, &settings).unwrap();
    let check = |house: &House, who| house.delivery.check_recipient(who, &ask).unwrap();
    assert_eq!(check(&house, None), RecipientCheck::AccountsOnly);
    let alice = Some(house.account("alice"));
    assert_eq!(check(&house, alice), RecipientCheck::Local);
    let mut outside = house.incoming("al@far.example", &[ASK], None);
    outside.content = b"Subject: x\r\n\r\n<one@tern.test>\r\n".to_vec();
    let refused = house.accept(outside);
    assert_eq!(refused, Err(DeliveryError::Refused(Refusal::UnknownUser)));
    // Among others it is taken out, and they get theirs.
    let mail = letter("one", "", "text");
    submit(&mut house, "alice", &["bob@tern.test", ASK], &mail).unwrap();
    assert_eq!(inbox(&house, "bob").len(), 1);
    assert!(inbox(&house, "carol").is_empty());
    // Where somebody has the name, the mail is theirs and asks for nothing.
    assert!(is_request_address(&house.engine, &ask).unwrap());
    set_alias(&house.engine, &address(ASK), &[carol]).unwrap();
    assert!(!is_request_address(&house.engine, &ask).unwrap());
    assert_eq!(check(&house, None), RecipientCheck::Local);
    triggers(&house, "alice");
    submit(&mut house, "alice", &[ASK], &mail).unwrap();
    assert_eq!(inbox(&house, "carol").len(), 1);
    assert_eq!(triggers(&house, "alice"), []);
    house.check();
}

#[test]
fn a_correction_takes_the_place_of_what_the_same_account_sent() {
    let mut house = House::new();
    let bob = house.account("bob");
    let mut accept = |who, mail: &str| submit(&mut house, who, &["bob@tern.test"], mail).unwrap();
    accept("alice", &letter("one", "", "wrong"));
    let supersedes = "Supersedes: <one@tern.test>\n";
    accept("carol", &letter("rival", supersedes, "not hers to correct"));
    let correction = letter("new", supersedes, "right");
    accept(
        "alice",
        &correction.replace("Subject: new", "Subject: Re: one"),
    );
    let threads: Vec<_> = {
        let view = house.mailboxes.view(bob, INBOX).unwrap();
        let thread = |entry: &tern_mailbox::Entry| {
            house.mailboxes.message(bob, entry.message).unwrap().thread
        };
        view.iter().map(thread).collect()
    };
    assert_eq!(threads[0], threads[2], "in the same conversation");
    let refused = triggers(&house, "carol");
    assert!(
        matches!(
            refused[..],
            [Requested::Refused(_, RecallRefusal::NotFound)]
        ),
        "{refused:?}"
    );
    let told = inbox(&house, "carol");
    assert!(told[0].contains("delivered as ordinary mail"), "{told:?}");
    assert_eq!(inbox(&house, "bob").len(), 3);
    let answers = triggers(&house, "alice");
    assert!(matches!(answers[..], [Requested::Sealed(_)]), "{answers:?}");
    let left = inbox(&house, "bob");
    assert_eq!(left.len(), 2);
    assert!(left[1].contains("Supersedes: <one@tern.test>"));
    assert!(
        inbox(&house, "alice").is_empty(),
        "a correction is no question"
    );
    house.check();
}

/// To take the first back would take both: they are one letter.
#[test]
fn the_same_letter_sent_again_takes_no_place() {
    let mut house = House::new();
    let mail = letter("one", "", "text");
    let again = mail.replace(
        "Message-ID: <one@",
        "Supersedes: <one@tern.test>\nMessage-ID: <two@",
    );
    for mail in [&mail, &again] {
        submit(&mut house, "alice", &["bob@tern.test"], mail).unwrap();
    }
    assert_eq!(triggers(&house, "alice"), []);
    assert_eq!(inbox(&house, "bob").len(), 2);
    house.check();
}

/// As Outlook sends it: to the same people, the class in the header or in its own attachment.
fn recall_message(field: &str) -> String {
    let stream = "eJ8+IgEAAQiABwATAAAASVBNLk91dGxvb2suUmVjYWxsAIIG";
    format!(
        "From: alice@tern.test\nTo: bob@tern.test\nSubject: =?utf-8?q?R=C3=BCckruf?=: one\n\
         Message-ID: <ask@tern.test>\nMIME-Version: 1.0\n{field}\
         Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\
         alice would like to recall the message, \"one\".\n--b\n\
         Content-Type: application/ms-tnef; name=winmail.dat\n\
         Content-Transfer-Encoding: base64\n\n{stream}\n--b--\n"
    )
}

#[test]
fn a_recall_message_of_outlook_from_an_account_is_a_request() {
    let by_class = recall_message("");
    let by_field = recall_message("Content-Class: urn:content-classes:recallmessage\n")
        .replace("application/ms-tnef", "application/octet-stream");
    for mail in [by_class, by_field] {
        let mut house = House::new();
        let to = ["bob@tern.test", "pal@far.example"];
        for id in ["one", "two"] {
            submit(&mut house, "alice", &to, &letter(id, "", "text")).unwrap();
        }
        submit(&mut house, "carol", &to, &letter("one", "", "hers")).unwrap();
        let accepted = submit(&mut house, "alice", &to, &mail).unwrap();
        // Here nobody is shown it; elsewhere it may be understood.
        assert_eq!((accepted.local, accepted.outside), (0, 1));
        let answers = triggers(&house, "alice");
        assert!(matches!(answers[..], [Requested::Sealed(_)]), "{answers:?}");
        let left = inbox(&house, "bob");
        assert!(
            left.len() == 2
                && !left
                    .iter()
                    .any(|mail| mail.ends_with("one\r\n\r\ntext\r\n")),
            "{left:?}"
        );
        assert!(left.iter().any(|mail| mail.contains("hers")));
        assert!(inbox(&house, "alice")[0].contains("Taken back: one"));
        house.check();
    }
}

#[test]
fn a_recall_message_of_outlook_that_fits_two_messages_takes_back_none() {
    let mut house = House::new();
    let bob = ["bob@tern.test"];
    for id in ["first", "second"] {
        let mail = letter(id, "", "text").replace(&format!("Subject: {id}"), "Subject: one");
        submit(&mut house, "alice", &bob, &mail).unwrap();
    }
    submit(&mut house, "alice", &bob, &recall_message("")).unwrap();
    let answers = triggers(&house, "alice");
    assert!(
        matches!(
            answers[..],
            [Requested::Refused(_, RecallRefusal::NotFound)]
        ),
        "{answers:?}"
    );
    assert_eq!(inbox(&house, "bob").len(), 2);
    house.check();
}

#[test]
fn a_recall_message_of_outlook_from_outside_is_mail_and_nothing_more() {
    let mut house = House::new();
    let bob = ["bob@tern.test"];
    submit(&mut house, "alice", &bob, &letter("one", "", "text")).unwrap();
    let mut forged = house.incoming("alice@tern.test", &bob, None);
    forged.content = recall_message("").replace('\n', "\r\n").into_bytes();
    let accepted = house.accept(forged).unwrap();
    assert_eq!(accepted.local, 1);
    for who in ["alice", "bob"] {
        assert_eq!(triggers(&house, who), []);
    }
    assert_eq!(inbox(&house, "bob").len(), 2);
    house.check();
}

/// The one recall that a mail to the server's own address asks for.
fn asked_by(mail: &str) -> tern_recall::Recall {
    let mut house = House::new();
    submit(
        &mut house,
        "alice",
        &["bob@tern.test"],
        &letter("one", "", "text"),
    )
    .unwrap();
    submit(&mut house, "alice", &[ASK], mail).unwrap();
    let answers = triggers(&house, "alice");
    let [Requested::Sealed(id)] = answers[..] else {
        panic!("{answers:?}")
    };
    let recalls = house.recalls();
    recalls.recall(id).unwrap()
}

#[test]
fn a_mail_says_why_in_a_line_of_its_own() {
    let plain =
        |text: &str| format!("Subject: <one@tern.test>\nMessage-ID: <ask@tern.test>\n\n{text}\n");
    let cases = [
        (
            plain("Please.\n\nReason: the wrong list\nThanks"),
            Some("the wrong list"),
        ),
        (plain("  REASON:\tthe wrong list  "), Some("the wrong list")),
        (plain("Reason:\nReason: the second"), Some("the second")),
        (plain("The reason: none of a line of its own"), None),
        (plain("> Reason: quoted"), None),
        (plain("nothing"), None),
        (
            forward(&letter("one", "", "text"))
                .replace("take this back.", "take this back.\nReason: ours"),
            Some("ours"),
        ),
        (
            forward(&letter(
                "one",
                "",
                "text\nReason: of the letter that is attached",
            )),
            None,
        ),
    ];
    for (mail, reason) in cases {
        assert_eq!(asked_by(&mail).reason.as_deref(), reason, "{mail}");
    }
}

#[test]
fn a_mail_says_who_is_told_in_lines_of_their_own() {
    let plain =
        |text: &str| format!("Subject: <one@tern.test>\nMessage-ID: <ask@tern.test>\n\n{text}\n");
    let cases = [
        (plain("nothing"), Notice::ExposedOnly, None),
        (plain("Notice: all"), Notice::All, None),
        (plain("  NOTICE:none\nNotice: all"), Notice::None, None),
        (plain("Notice: exposed"), Notice::ExposedOnly, None),
        (
            plain("Notice: whoever\n> Notice: all"),
            Notice::ExposedOnly,
            None,
        ),
        (
            plain("Notice: all\nReason: typo\nNotice-Text: It said May.\nNotice-Text: It is June."),
            Notice::All,
            Some("It said May.\nIt is June."),
        ),
        (
            forward(&letter(
                "one",
                "",
                "Notice: all\nNotice-Text: of the letter",
            )),
            Notice::ExposedOnly,
            None,
        ),
    ];
    for (mail, whom, text) in cases {
        let notices = asked_by(&mail).notices;
        assert_eq!(
            (notices.whom, notices.text.as_deref()),
            (Some(whom), text),
            "{mail}"
        );
    }
}
