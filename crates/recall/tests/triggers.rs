//! The triggers of people without a special client, by keyword and by mail, over the in-memory
//! engine: each is seen to once, whatever cuts it off. Every test ends with a check of every table.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, House, OUTSIDE};
use tern_base::{AccountId, MailboxId, OriginId, Uid};
use tern_mailbox::{Access, FlagChange, FlagRequest, Flags, INBOX, Transfer};
use tern_recall::mail::{MailRequest, record_request_in};
use tern_recall::{Named, RECALL_KEYWORD, Refusal, Requested, State};
use tern_store::{StoreError, Verdict};

fn sent_folder(house: &House) -> MailboxId {
    house.mailboxes.folder(ALICE, "Sent").unwrap().id
}

/// A client adds the keyword, or clears it.
fn flag(house: &House, account: AccountId, mailbox: MailboxId, adds: bool) {
    let mut keyword = Flags::empty();
    keyword.add_keyword(&RECALL_KEYWORD.to_lowercase());
    let change = match adds {
        true => FlagChange::Add(keyword),
        false => FlagChange::Remove(keyword),
    };
    let request = FlagRequest {
        access: Access::owner(account, mailbox),
        uids: &[Uid(1)],
        change: &change,
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&request).unwrap();
}

#[test]
fn the_keyword_on_a_sent_message_is_the_trigger() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB, OUTSIDE], &[], 1);
    let sent = sent_folder(&house);
    house.append(ALICE, sent, &house.letter(1));
    assert_eq!(house.triggers(ALICE).unwrap(), []);
    flag(&house, ALICE, sent, true);
    let answers = house.triggers(ALICE).unwrap();
    let [Requested::Sealed(id)] = answers[..] else {
        panic!("{answers:?}")
    };
    assert!(house.uids(BOB, INBOX).is_empty());
    assert_eq!(house.uids(ALICE, sent), [1], "her own copy stays");
    assert!(house.report(ALICE).contains("Taken back"));
    // Once: neither a second look, nor the keyword set where it is set, nor clearing it asks.
    flag(&house, ALICE, sent, true);
    flag(&house, ALICE, sent, false);
    assert_eq!(house.triggers(ALICE).unwrap(), []);
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Done);
    flag(&house, ALICE, sent, true);
    assert_eq!(house.triggers(ALICE).unwrap(), [Requested::Joined(id)]);
    house.check();
}

#[test]
fn a_copy_that_has_the_keyword_already_asks_nothing() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB], &[], 1);
    let sent = sent_folder(&house);
    house.append(ALICE, sent, &house.letter(1));
    flag(&house, ALICE, sent, true);
    assert_eq!(house.triggers(ALICE).unwrap().len(), 1);
    let transfer = Transfer {
        from: Access::owner(ALICE, sent),
        uids: &[Uid(1)],
        to: INBOX,
        by: None,
    };
    house.mailboxes.copy(&transfer, house.now).unwrap();
    assert_eq!(house.triggers(ALICE).unwrap(), []);
    house.check();
}

#[test]
fn the_keyword_on_what_another_sent_is_refused() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB, CAROL], &[], 1);
    flag(&house, BOB, INBOX, true);
    let answers = house.triggers(BOB).unwrap();
    assert!(
        matches!(answers[..], [Requested::Refused(_, Refusal::NotFound)]),
        "{answers:?}"
    );
    // It is named by what Bob's own copy says of itself.
    let report = house.report(BOB);
    for told in [
        "\r\nSubject: Not taken back: <1@example.org>\r\n",
        "\r\nMessage:    <1@example.org>\r\n",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }
    assert_eq!(house.uids(BOB, INBOX), [1]);
    assert_eq!(house.uids(CAROL, INBOX), [1]);
    house.check();
}

#[test]
fn a_removed_account_leaves_nothing_that_it_asked_for() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB], &[], 1);
    flag(&house, BOB, INBOX, true);
    ask_by_mail(&house, BOB);
    house.upkeep.remove_account(BOB, house.now).unwrap();
    house.recalls.forget_triggers(BOB).unwrap();
    assert_eq!(house.triggers(BOB).unwrap(), []);
    house.check();
}

fn ask_by_mail(house: &House, account: AccountId) {
    let request = MailRequest {
        account,
        connection: None,
        origin: OriginId([8; 16]),
        message_id: "ask@example.org".into(),
        named: Some(Named::by_message_id("1@example.org")),
        replaces_with: None,
        expires: None,
        said: tern_recall::Said::default(),
    };
    tern_store::transact(&house.engine, |txn| {
        record_request_in(txn, &request);
        Ok::<_, StoreError>(Verdict::Commit(()))
    })
    .unwrap();
}

fn inbox_texts(house: &House, account: AccountId) -> Vec<String> {
    let view = house.mailboxes.view(account, INBOX).unwrap();
    let text = |message| {
        let row = house.mailboxes.message(account, message).unwrap();
        let body = house.mailboxes.read(account, &row, 0..u64::MAX).unwrap().0;
        String::from_utf8(body).unwrap()
    };
    view.iter().map(|entry| text(entry.message)).collect()
}

/// The process is killed before each commit in turn; what was asked for by keyword and by mail is
/// carried out once, and the mail is answered once.
#[test]
fn killed_at_any_commit_what_was_asked_for_is_done_once() {
    for by_mail in [false, true] {
        let mut survived = 0;
        for kill_at in 0.. {
            let mut house = House::new();
            house.submit(ALICE, &[BOB, CAROL], &["out@elsewhere.test"], 1);
            let sent = sent_folder(&house);
            house.append(ALICE, sent, &house.letter(1));
            match by_mail {
                true => ask_by_mail(&house, ALICE),
                false => flag(&house, ALICE, sent, true),
            }
            let finished = house.killed_at(kill_at, |house| house.triggers(ALICE));
            let house = house.restarted();
            house.recalls.run_open(house.now).unwrap();
            house.triggers(ALICE).unwrap();
            house.recalls.run_open(house.now).unwrap();
            assert_eq!(house.triggers(ALICE).unwrap(), []);
            let recalls = house.recalls.list(None, 9).unwrap();
            assert_eq!(recalls.len(), 1, "killed at commit {kill_at}");
            assert_eq!(recalls[0].recall.state, State::Done);
            assert!(house.uids(BOB, INBOX).is_empty() && house.uids(CAROL, INBOX).is_empty());
            let replies = inbox_texts(&house, ALICE);
            assert_eq!(replies.len(), usize::from(by_mail), "killed at {kill_at}");
            for reply in replies {
                assert!(reply.contains("In-Reply-To: <ask@example.org>"), "{reply}");
                assert!(reply.contains("Taken back"), "{reply}");
            }
            house.report(ALICE);
            house.check();
            if finished {
                break;
            }
            survived += 1;
        }
        assert!(survived > 5, "only {survived} commits");
    }
}
