//! Legal holds: nothing held is destroyed, whoever asks; what may not be hidden stays.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_audit::{Actor, Draft};
use tern_base::{AccountId, EmailAddress, Timestamp, Uid};
use tern_directory::{Grant, GrantScope, Role};
use tern_mailbox::{Access, INBOX, KEPT, MailboxError, Transfer};
use tern_policy::Authentication;
use tern_recall::{
    HoldId, NewHold, Outcome, Reason, RecallError, RecallId, Requested, Requester, Scope, Selector,
    submission,
};
use tern_store::Verdict;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn operator() -> Requester {
    Requester {
        account: None,
        name: "root".into(),
        authentication: Authentication::default(),
    }
}

fn somebody(account: AccountId) -> Requester {
    Requester {
        account: Some(account),
        ..operator()
    }
}

fn of_account(account: AccountId) -> Scope {
    Scope {
        account: Some(account),
        ..Scope::default()
    }
}

impl House {
    fn new_hold(&mut self, scope: Scope) -> NewHold {
        NewHold {
            id: HoldId::new(self.now, &mut self.entropy),
            scope,
            why: "case 12".into(),
            ends: None,
            visible: false,
        }
    }

    fn hold(&mut self, scope: Scope) -> HoldId {
        let hold = self.new_hold(scope);
        self.recalls
            .place_hold(&hold, &operator(), self.now)
            .unwrap();
        hold.id
    }

    fn hold_visibly(&mut self, scope: Scope) -> HoldId {
        let hold = NewHold {
            visible: true,
            ..self.new_hold(scope)
        };
        self.recalls
            .place_hold(&hold, &operator(), self.now)
            .unwrap();
        hold.id
    }

    fn release(&self, hold: HoldId) {
        self.recalls
            .release_hold(hold, &operator(), self.now)
            .unwrap();
    }

    fn vaulted(&self, id: RecallId) -> usize {
        self.sealing.vaulted(id.tag(), None, 100).unwrap().len()
    }

    /// What owners removed and holds keep.
    fn kept(&self) -> u64 {
        self.recalls.kept_copies().unwrap().copies
    }

    fn expunge(&self, account: AccountId, uid: u32) {
        let gone =
            self.mailboxes
                .expunge(&Access::owner(account, INBOX), &[Uid(uid)], false, self.now);
        assert_eq!(gone.unwrap(), [Uid(uid)]);
    }

    fn days_pass(&mut self, days: u64) {
        self.now = self.now.plus_millis(days * DAY_MS);
    }
}

#[test]
fn a_held_copy_in_the_vault_is_not_purged_until_the_hold_is_released() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let answer = house.recall(ALICE, &sent);
    let hold = house.hold(of_account(BOB));
    house.days_pass(91);
    assert_eq!(house.recalls.purge(house.now), Ok(1), "carol's");
    assert_eq!(house.vaulted(answer.id()), 1);
    house.days_pass(300);
    assert_eq!(house.recalls.purge(house.now), Ok(0));
    assert_eq!(house.vaulted(answer.id()), 1);
    house.release(hold);
    house.days_pass(1);
    assert_eq!(house.recalls.purge(house.now), Ok(1));
    assert_eq!(house.vaulted(answer.id()), 0);
    house.check();
}

#[test]
fn what_an_owner_deletes_under_a_hold_is_kept_where_nobody_sees_it() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let hold = house.hold(of_account(BOB));
    house.submit(ALICE, &[BOB], &[], 2);
    for uid in [1, 2] {
        house.expunge(BOB, uid);
    }
    house.expunge(CAROL, 1);
    assert_eq!(house.uids(BOB, INBOX), [0u32; 0]);
    assert_eq!(house.kept(), 2, "what came after the hold too");
    assert_eq!(house.upkeep.collect_all(), Ok(0), "its content stays");
    house.check();
    house.release(hold);
    assert_eq!(house.recalls.purge(house.now), Ok(2));
    assert_eq!((house.kept(), house.upkeep.collect_all()), (0, Ok(2)));
    house.check();
}

/// A quota that deleting gives back bounds what mailboxes hold, and a second bound the rest.
#[test]
fn what_holds_keep_of_an_account_is_bounded_by_its_quota() {
    let mut house = House::new();
    let letter = house.letter(1);
    let size = letter.len() as u64;
    let boxes = std::sync::Arc::clone(&house.mailboxes);
    // Ten quotas of two letters: nineteen that are kept and one in the inbox.
    boxes.set_quota(BOB, 2 * size).unwrap();
    let hold = house.hold(of_account(BOB));
    for uid in 1..=19 {
        house.append(BOB, INBOX, &letter);
        house.expunge(BOB, uid);
    }
    let head = || boxes.account_head(BOB).unwrap();
    assert_eq!((head().used_bytes, head().kept_bytes), (0, 19 * size));
    house.append(BOB, INBOX, &letter);
    assert!(boxes.is_full(&head()));
    let full = house.try_append(BOB, INBOX, &letter);
    assert_eq!(full.unwrap_err(), MailboxError::KeptQuotaExceeded);
    let again = Transfer {
        from: Access::owner(BOB, INBOX),
        uids: &[Uid(20)],
        to: INBOX,
        by: None,
    };
    let copied = boxes.copy(&again, house.now);
    assert_eq!(copied, Err(MailboxError::KeptQuotaExceeded));
    house.check();
    // Others are not concerned, and it is over with the hold.
    house.append(CAROL, INBOX, &letter);
    house.release(hold);
    assert_eq!(house.recalls.purge(house.now), Ok(19));
    assert_eq!(head().kept_bytes, 0);
    house.append(BOB, INBOX, &letter);
    house.check();
}

#[test]
fn a_deleted_folder_and_a_removed_account_under_a_hold_are_kept() {
    let mut house = House::new();
    let boxes = std::sync::Arc::clone(&house.mailboxes);
    let folder = boxes.create_folder(BOB, "Plans", None, house.now);
    let folder = folder.unwrap().id;
    let letter = house.letter(1);
    house.append(BOB, folder, &letter);
    house.submit(ALICE, &[BOB, DAVE], &[], 2);
    house.hold(of_account(BOB));
    boxes
        .delete_folder(&Access::owner(BOB, folder), house.now)
        .unwrap();
    assert_eq!(house.kept(), 1);
    house.upkeep.remove_account(BOB, house.now).unwrap();
    house.upkeep.remove_account(DAVE, house.now).unwrap();
    assert_eq!(house.kept(), 2);
    assert_eq!(house.upkeep.collect_all(), Ok(0));
    house.check();
}

#[test]
fn a_search_holds_what_fits_it_now_and_later() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB], &[], 1);
    house.submit(CAROL, &[BOB], &[], 1);
    let scope = Scope {
        sender: Some(EmailAddress::parse("alice@example.org").unwrap()),
        subject: Some("LETTER".into()),
        since: Some(house.now),
        until: Some(house.now.plus_millis(DAY_MS)),
        ..Scope::default()
    };
    house.hold(scope);
    house.submit(ALICE, &[BOB], &[], 3);
    house.days_pass(2);
    house.submit(ALICE, &[BOB], &[], 4);
    // Its header says that alice wrote it, whoever brought it: 1, 2 and 3 are held, 4 came later.
    for uid in 1..=4 {
        house.expunge(BOB, uid);
    }
    assert_eq!(house.kept(), 3);
    house.check();
}

#[test]
fn a_message_is_held_by_its_id_or_its_digest() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    house.submit(ALICE, &[BOB], &[], 2);
    let letter = house.letter(1);
    house.append(CAROL, INBOX, &letter);
    house.hold(Scope {
        message_id: Some("2@example.org".into()),
        ..Scope::default()
    });
    house.expunge(BOB, 1);
    house.expunge(BOB, 2);
    assert_eq!(house.kept(), 1);
    house.hold(Scope {
        digest: Some(sent.digest),
        ..Scope::default()
    });
    house.expunge(CAROL, 1);
    house.expunge(CAROL, 2);
    assert_eq!(house.kept(), 3, "the one that a client put there too");
    house.check();
}

#[test]
fn a_hold_that_forbids_hiding_keeps_copies_where_they_are() {
    let mut house = House::new();
    house.hold_visibly(of_account(BOB));
    let sent = house.submit(ALICE, &[BOB, CAROL], &["x@elsewhere.test"], 1);
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let (_, plan) = house.recalls.plan(&request, house.now).unwrap().unwrap();
    assert_eq!(plan.tally().of(Outcome::KeptOnHoldVisible), 1);
    let answer = house.recall(ALICE, &sent);
    let kept = (
        "bob@example.org",
        Outcome::KeptOnHoldVisible,
        Reason::HeldVisible,
    );
    assert!(house.outcomes(answer.id()).contains(&kept));
    assert_eq!(house.uids(BOB, INBOX), [1]);
    assert_eq!(house.uids(CAROL, INBOX), [0u32; 0]);
    let row = house
        .mailboxes
        .message(BOB, house.message_at(BOB, 1))
        .unwrap();
    assert!(
        house.mailboxes.read(BOB, &row, 0..10).is_ok(),
        "it is served"
    );
    house.check();
}

#[test]
fn a_message_that_may_not_be_hidden_stays_with_everybody() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    house.hold_visibly(Scope {
        digest: Some(sent.digest),
        ..Scope::default()
    });
    let answer = house.recall(ALICE, &sent);
    let tally = house.recalls.status(answer.id(), 0).unwrap().tally;
    assert_eq!(tally.of(Outcome::KeptOnHoldVisible), 2);
    assert_eq!(
        (house.uids(BOB, INBOX), house.uids(CAROL, INBOX)),
        (vec![1], vec![1])
    );
    house.check();
}

/// A hold may fit one of the copies that a seal would cover, and not what is recalled.
#[test]
fn what_carries_it_or_was_sent_of_it_before_may_not_be_hidden_either() {
    let kept = |house: &House, id: RecallId| {
        let of_kept = |(account, _, outcome): (AccountId, _, tern_recall::CopyOutcome)| {
            (outcome.outcome == Outcome::KeptOnHoldVisible).then_some(account)
        };
        let all = house.copy_outcomes(id).into_iter();
        all.filter_map(of_kept).collect::<Vec<_>>()
    };
    // Carol forwards it to Dave, and that is held.
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let letter = house.letter(1);
    let fwd = [
        b"From: carol@example.org\r\nTo: dave@example.org\r\nMessage-ID: <fwd@example.org>\r\n\
          Subject: Fwd\r\nContent-Type: message/rfc822\r\n\r\n",
        letter.as_slice(),
    ]
    .concat();
    let forwarded = house.submit_content(CAROL, &[DAVE], &[], &fwd);
    house.hold_visibly(Scope {
        digest: Some(forwarded.digest),
        ..Scope::default()
    });
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let (_, plan) = house.recalls.plan(&request, house.now).unwrap().unwrap();
    assert_eq!(plan.tally().of(Outcome::KeptOnHoldVisible), 1);
    let answer = house.recall(ALICE, &sent);
    assert_eq!(house.uids(BOB, INBOX), [0u32; 0]);
    assert_eq!(house.uids(DAVE, INBOX), [1]);
    assert_eq!(kept(&house, answer.id()), [DAVE]);
    house.check();
    // Alice sends it again, and recalls that; what she sent the day before is held.
    let mut house = House::new();
    house.submit(ALICE, &[BOB], &[], 1);
    house.hold_visibly(Scope {
        until: Some(house.now.plus_millis(1_000)),
        ..Scope::default()
    });
    house.days_pass(1);
    let again = house.submit(ALICE, &[CAROL], &[], 1);
    let answer = house.recall(ALICE, &again);
    assert_eq!(house.uids(BOB, INBOX), [1]);
    assert_eq!(house.uids(CAROL, INBOX), [0u32; 0]);
    assert_eq!(kept(&house, answer.id()), [BOB]);
    house.check();
}

#[test]
fn a_hold_over_the_letter_does_not_outshine_one_over_what_carries_it() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let letter = house.letter(1);
    let head = b"From: carol@example.org\r\nMessage-ID: <fwd@example.org>\r\nSubject: Fwd\r\n\
                 Content-Type: message/rfc822\r\n\r\n";
    let forwarded = [&head[..], &letter].concat();
    let forwarded = house.submit_content(CAROL, &[DAVE], &[], &forwarded);
    for digest in [sent.digest, forwarded.digest] {
        house.hold_visibly(Scope {
            digest: Some(digest),
            ..Scope::default()
        });
    }
    house.recall(ALICE, &sent);
    assert_eq!(house.uids(BOB, INBOX), [1]);
    assert_eq!(house.uids(DAVE, INBOX), [1]);
    house.check();
}

#[test]
fn who_was_spared_by_a_hold_that_is_over_is_not_said_to_have_deleted_what_came_later() {
    let mut house = House::new();
    let sent = house.submit_first_of(ALICE, &[CAROL, BOB], 1);
    let reach = |house: &House, reached| {
        tern_store::transact(&house.engine, |txn| {
            submission::reached_in(txn, sent.id, reached, 2);
            Ok::<_, tern_store::StoreError>(Verdict::Commit(()))
        })
        .unwrap();
    };
    reach(&house, 1);
    let hold = house.hold_visibly(of_account(BOB));
    let answer = house.recall(ALICE, &sent);
    house.release(hold);
    assert!(house.land(&sent, BOB, 1).sealed.is_none());
    reach(&house, 2);
    house.recalls.run_open(house.now).unwrap();
    let outcomes = house.outcomes(answer.id());
    let kept = (
        "bob@example.org",
        Outcome::KeptOnHoldVisible,
        Reason::HeldVisible,
    );
    assert!(outcomes.contains(&kept), "{outcomes:?}");
    assert_eq!(house.uids(BOB, INBOX).len(), 1);
    house.check();
}

/// To ask again once the hold is over takes what it had kept, and nothing twice.
#[test]
fn what_a_hold_has_kept_where_it_was_is_taken_back_once_it_is_over() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let hold = house.hold_visibly(of_account(BOB));
    let first = house.recall(ALICE, &sent);
    assert_eq!(house.recall(ALICE, &sent), Requested::Joined(first.id()));
    assert_eq!(house.uids(BOB, INBOX), [1]);
    house.release(hold);
    let second = house.recall(ALICE, &sent);
    assert!(matches!(second, Requested::Sealed(_)), "{second:?}");
    assert!(house.uids(BOB, INBOX).is_empty());
    let taken = |who| (who, Outcome::WithdrawnUnexposed, Reason::NeverServed);
    let mut outcomes = house.outcomes(second.id());
    outcomes.sort_unstable_by_key(|(who, ..)| *who);
    assert_eq!(
        outcomes,
        [taken("bob@example.org"), taken("carol@example.org")]
    );
    assert_eq!(house.recall(ALICE, &sent), Requested::Joined(second.id()));
    house.check();
}

/// He had deleted it when the first recall fell, which left him for the hold all the same: what he puts back is not
/// under its seal.
#[test]
fn whom_a_hold_has_spared_without_a_copy_is_asked_for_once_it_is_over() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    house
        .mailboxes
        .expunge(&Access::owner(BOB, INBOX), &[Uid(1)], false, house.now)
        .unwrap();
    let hold = house.hold_visibly(of_account(BOB));
    let first = house.recall(ALICE, &sent);
    house.append(BOB, INBOX, &house.letter(1));
    assert_eq!(house.uids(BOB, INBOX), [2]);
    assert_eq!(house.recall(ALICE, &sent), Requested::Joined(first.id()));
    house.release(hold);
    let second = house.recall(ALICE, &sent);
    assert!(matches!(second, Requested::Sealed(_)), "{second:?}");
    assert!(house.uids(BOB, INBOX).is_empty());
    house.check();
}

/// The hold falls into the very moment between the decision and the seal.
#[test]
fn an_account_that_is_put_on_hold_while_a_recall_commits_is_held() {
    for visible in [false, true] {
        let mut house = House::new();
        let sent = house.submit(ALICE, &[BOB], &[], 1);
        let request = house.request(ALICE, Selector::Submission(sent.id));
        let hold = NewHold {
            visible,
            ..house.new_hold(of_account(BOB))
        };
        let beside = house.another();
        let now = house.now;
        house.once_before_next_commit(move || {
            beside.place_hold(&hold, &operator(), now).unwrap();
        });
        let answer = house.recalls.request(&request, now).unwrap();
        assert!(matches!(answer, Requested::Sealed(_)));
        house.recalls.run(answer.id(), now).unwrap();
        assert_eq!(house.uids(BOB, INBOX).len(), usize::from(visible));
        house.days_pass(91);
        assert_eq!(house.recalls.purge(house.now), Ok(0));
        assert_eq!(house.vaulted(answer.id()), usize::from(!visible));
        house.check();
    }
}

/// The hold falls into the moment in which an owner deletes, or the vault is purged.
#[test]
fn a_hold_at_the_moment_of_a_removal_is_in_time() {
    for purging in [false, true] {
        let mut house = House::new();
        let sent = house.submit(ALICE, &[BOB], &[], 1);
        let answer = purging.then(|| house.recall(ALICE, &sent));
        house.days_pass(91);
        let hold = house.new_hold(of_account(BOB));
        let (beside, now) = (house.another(), house.now);
        house.once_before_next_commit(move || {
            beside.place_hold(&hold, &operator(), now).unwrap();
        });
        match answer {
            None => {
                house.expunge(BOB, 1);
                assert_eq!(house.kept(), 1);
            }
            Some(answer) => {
                assert_eq!(house.recalls.purge(now), Ok(0));
                assert_eq!(house.vaulted(answer.id()), 1);
            }
        }
        house.check();
    }
}

#[test]
fn the_log_names_every_copy_that_goes_when_a_hold_ends() {
    let mut house = House::new();
    let hold = house.hold(of_account(BOB));
    let mut gone = Vec::new();
    for n in 1..=130 {
        let letter = house.letter(n);
        let placed = house.append(BOB, INBOX, &letter);
        gone.push(format!("{BOB}/{}", placed.message));
        house.expunge(BOB, placed.uid.0);
    }
    house.release(hold);
    assert_eq!(house.recalls.purge(house.now), Ok(130));
    let filter = tern_audit::Filter::default();
    let page = tern_audit::read(&house.engine, &filter, None, 1_000).unwrap();
    let purges = page.entries.iter().map(|entry| &entry.draft);
    let mut named: Vec<String> = purges
        .filter(|draft| draft.action == "hold.purge")
        .filter_map(|draft| match draft.details.get("messages") {
            Some(tern_audit::Detail::Text(text)) => Some(text),
            _ => None,
        })
        .flat_map(|text| text.split(' ').map(str::to_owned))
        .collect();
    named.sort();
    gone.sort();
    assert_eq!(named, gone);
    house.check();
}

#[test]
fn what_is_stopped_on_arrival_under_a_hold_is_kept_however_often_it_comes() {
    let most = tern_mailbox::limits::MAX_KEPT_ARRIVALS;
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    house.hold(Scope {
        account: Some(BOB),
        message_id: Some("1@example.org".into()),
        ..Scope::default()
    });
    let letter = house.letter(1);
    for _ in 0..most + 4 {
        house.append(BOB, INBOX, &letter);
        house.append(CAROL, INBOX, &letter);
    }
    let vaulted = house.sealing.vaulted(id.tag(), None, 1_000).unwrap();
    let of = |account| {
        vaulted
            .iter()
            .filter(|copy| copy.account == account)
            .count()
    };
    assert_eq!((of(BOB), of(CAROL)), (1 + most + 4, 1 + most));
    house.check();
}

#[test]
fn a_hold_ends_by_itself_and_on_record() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB], &[], 1);
    let hold = NewHold {
        ends: Some(house.now.plus_millis(DAY_MS)),
        ..house.new_hold(of_account(BOB))
    };
    house
        .recalls
        .place_hold(&hold, &operator(), house.now)
        .unwrap();
    house.expunge(BOB, 1);
    assert_eq!(house.recalls.purge(house.now), Ok(0));
    house.days_pass(2);
    assert_eq!(house.recalls.purge(house.now), Ok(1));
    assert_eq!(house.recalls.holds(&operator(), house.now), Ok(Vec::new()));
    assert_eq!(
        house.actions("hold"),
        ["hold.add", "hold.end", "hold.purge"]
    );
    house.check();
}

#[test]
fn who_may_not_hold_is_refused_on_record_and_a_role_counts_over_whom_it_is_held() {
    let mut house = House::new();
    let (group, now) = (GrantScope::Everyone, house.now);
    let hold = house.new_hold(of_account(BOB));
    let refused = house.recalls.place_hold(&hold, &somebody(CAROL), now);
    assert!(
        matches!(refused, Err(RecallError::NotAllowed(_))),
        "{refused:?}"
    );
    let grant = Grant {
        role: Role::ComplianceOfficer,
        account: CAROL,
        scope: group,
    };
    tern_directory::grant_role(&house.engine, &grant, None, now).unwrap();
    house
        .recalls
        .place_hold(&hold, &somebody(CAROL), now)
        .unwrap();
    assert_eq!(house.recalls.holds(&somebody(CAROL), now).unwrap().len(), 1);
    assert_eq!(house.recalls.holds(&somebody(DAVE), now).unwrap().len(), 0);
    let refused = house.recalls.release_hold(hold.id, &somebody(BOB), now);
    assert!(
        matches!(refused, Err(RecallError::NotAllowed(_))),
        "{refused:?}"
    );
    assert_eq!(
        house.actions("hold"),
        ["hold.add-refused", "hold.add", "hold.release-refused"]
    );
    house.check();
}

#[test]
fn a_hold_over_everything_or_without_a_reason_is_not_placed() {
    let mut house = House::new();
    let now = house.now;
    let everything = house.new_hold(Scope::default());
    let silent = NewHold {
        why: " ".into(),
        ..house.new_hold(of_account(BOB))
    };
    let over = NewHold {
        ends: Some(Timestamp(1)),
        ..house.new_hold(of_account(BOB))
    };
    for hold in [everything, silent, over] {
        assert!(house.recalls.place_hold(&hold, &operator(), now).is_err());
    }
    assert_eq!(house.recalls.holds(&operator(), now), Ok(Vec::new()));
}

#[test]
fn the_policy_knows_whether_a_message_is_on_hold() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let on_hold = |house: &mut House| {
        let request = house.request(ALICE, Selector::Submission(sent.id));
        let decided = house
            .recalls
            .would_be(&request, house.now)
            .unwrap()
            .unwrap();
        let inputs = decided.inputs.into_iter();
        let found = inputs.filter(|(name, _)| name == "resource.onHold");
        found.map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(on_hold(&mut house), ["false"]);
    house.hold(of_account(CAROL));
    assert_eq!(on_hold(&mut house), ["false"], "she has no copy");
    house.hold(of_account(BOB));
    assert_eq!(on_hold(&mut house), ["true"]);
    let kept = house.sealing.vaulted(KEPT, None, 10).unwrap();
    assert!(kept.is_empty());
}

/// Any entry may be about what is held: the log stays whole, also where the hold falls into the very
/// moment in which its beginning would go.
#[test]
fn nothing_of_the_log_goes_while_a_hold_is_in_force() {
    let mut house = House::new();
    let made = house.now;
    tern_audit::ensure_key(&house.engine, "log", made, &mut house.entropy).unwrap();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    house.recall(ALICE, &sent);
    tern_audit::checkpoint::sign(&house.engine, house.now).unwrap();
    house.days_pass(100);
    let trim = |house: &House, n: u8, meanwhile: &dyn Fn()| {
        let id = tern_audit::EntryId([n; 16]);
        let act = Draft::new(id, house.now, Actor::Server, "audit.trim");
        let old = tern_audit::Old {
            before: house.now,
            up_to: u64::MAX,
        };
        let trimmed = tern_audit::trim(&house.engine, old, &act, |txn| {
            let free = house.recalls.is_free_of_holds_in(txn, house.now)?;
            meanwhile();
            Ok(free)
        });
        trimmed.unwrap().is_some()
    };
    let hold = house.hold(of_account(CAROL));
    assert!(!trim(&house, 1, &|| {}));
    house.release(hold);
    let (late, beside) = (house.new_hold(of_account(CAROL)), house.another());
    let place = || beside.place_hold(&late, &operator(), house.now).unwrap();
    assert!(!trim(&house, 2, &place));
    house.release(late.id);
    assert!(trim(&house, 3, &|| {}));
    house.check();
}
