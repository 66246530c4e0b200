//! An approval counts if whoever gave it could give it when it takes effect.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::{AccountId, EmailAddress};
use tern_directory::target::Target;
use tern_directory::{Grant, GrantScope, Role};
use tern_mailbox::INBOX;
use tern_policy::Authentication;
use tern_recall::{RecallError, RecallId, Request, Requested, Requester, Selector};

/// Two people have to approve what somebody takes back of their own.
const TWO: &str = "@id(\"two\") @approval(\"1h\") @approvers(\"2\") \
     forbid (principal, action == Tern::Action::\"recall.own\", resource) \
     unless { context.approvals >= 2 };";

struct World {
    house: House,
    request: Request,
}

impl World {
    /// Alice asks to take back what Dave has; Bob and Carol may approve it, Bob by this grant.
    fn new(bob: impl FnOnce(&House) -> GrantScope) -> Self {
        let roles = tern_policy::SHIPPED_DEFAULT[0];
        let set = tern_policy::PolicySet::load(&[roles, ("two.cedar", TWO)]).unwrap();
        let mut house = House::under(Arc::new(set));
        let sent = house.submit(ALICE, &[DAVE], &[], 1);
        let mut request = house.request(ALICE, Selector::Submission(sent.id));
        request.requester = person(ALICE, "alice");
        let scope = bob(&house);
        grant(&house, BOB, scope);
        grant(&house, CAROL, GrantScope::Everyone);
        let waits = house.recalls.request(&request, house.now).unwrap();
        assert!(matches!(waits, Requested::Waiting(..)), "{waits:?}");
        Self { house, request }
    }

    fn id(&self) -> RecallId {
        self.request.id
    }

    fn approve(&self, by: &Requester) -> Result<Requested, RecallError> {
        let house = &self.house;
        house.recalls.approve(self.id(), by, None, house.now)
    }

    fn waits_after(&self, by: &Requester) {
        let answer = self.approve(by);
        assert!(matches!(answer, Ok(Requested::Waiting(..))), "{answer:?}");
        assert_eq!(self.house.uids(DAVE, INBOX), [1]);
    }

    /// Whose approvals are on record, and whether they have lapsed.
    fn approvals(&self) -> Vec<(String, bool)> {
        let wait = self.house.recalls.wait_of(self.id()).unwrap().unwrap();
        let approvals = wait.approvals.into_iter();
        approvals.map(|one| (one.by.name, one.lapsed)).collect()
    }

    /// Whose approvals the log says have lapsed.
    fn lapsed(&self) -> Vec<String> {
        let filter = tern_audit::Filter {
            action: Some("recall.approve".into()),
            ..tern_audit::Filter::default()
        };
        let page = tern_audit::read(&self.house.engine, &filter, None, 100).unwrap();
        let details = page
            .entries
            .into_iter()
            .flat_map(|entry| entry.draft.details);
        let lapsed = details.filter(|(name, _)| name == "lapsed");
        let names = lapsed.map(|(_, names)| match names {
            tern_audit::Detail::Text(names) => names,
            other => panic!("{other:?}"),
        });
        names.collect()
    }
}

fn grant_of(account: AccountId, scope: GrantScope) -> Grant {
    let role = Role::Manager;
    Grant {
        account,
        role,
        scope,
    }
}

fn grant(house: &House, account: AccountId, scope: GrantScope) {
    let grant = grant_of(account, scope);
    tern_directory::grant_role(&house.engine, &grant, None, house.now).unwrap();
}

fn person(account: AccountId, name: &str) -> Requester {
    Requester {
        account: Some(account),
        name: format!("{name}@example.org"),
        authentication: Authentication::default(),
    }
}

fn deputy() -> Requester {
    Requester {
        account: None,
        name: "deputy".into(),
        authentication: Authentication::default(),
    }
}

#[test]
fn an_approval_of_whoever_lost_the_role_since_counts_no_more() {
    let world = World::new(|_| GrantScope::Everyone);
    let (bob, carol) = (person(BOB, "bob"), person(CAROL, "carol"));
    world.waits_after(&bob);
    let role = grant_of(BOB, GrantScope::Everyone);
    assert!(tern_directory::revoke_role(&world.house.engine, &role).unwrap());
    world.waits_after(&carol);
    let expected = [
        ("bob@example.org".into(), true),
        ("carol@example.org".into(), false),
    ];
    assert_eq!(world.approvals(), expected);
    assert_eq!(world.lapsed(), ["bob@example.org"]);
    let waiting = world.house.recalls.waiting(world.id(), world.house.now);
    let waiting = waiting.unwrap().unwrap();
    let sentences = waiting.wait.sentences(waiting.recall.state).join("\n");
    assert!(sentences.contains("bob@example.org on "), "{sentences}");
    assert!(sentences.contains("which counts no more"), "{sentences}");
    // What he did does not come back by itself; he can do it again.
    assert!(matches!(
        world.approve(&bob),
        Err(RecallError::NotAllowed(_))
    ));
    grant(&world.house, BOB, GrantScope::Everyone);
    world.waits_after(&carol);
    assert_eq!(world.approve(&bob), Ok(Requested::Sealed(world.id())));
    assert_eq!(
        world
            .approvals()
            .iter()
            .filter(|(_, lapsed)| !lapsed)
            .count(),
        2
    );
    world.house.check();
}

#[test]
fn an_approval_whose_role_covers_the_sender_no_more_does_not_count() {
    let team = EmailAddress::parse("team@example.org").unwrap();
    let world = World::new(|house| {
        let team = tern_directory::create_group(&house.engine, &team, "", house.now).unwrap();
        let alice = [Target::Account(ALICE)];
        tern_directory::add_members(&house.engine, team.id, &alice).unwrap();
        GrantScope::Group(team.id)
    });
    world.waits_after(&person(BOB, "bob"));
    let found = tern_directory::group_by_address(&world.house.engine, &team);
    let (team, alice) = (found.unwrap().unwrap(), [Target::Account(ALICE)]);
    tern_directory::remove_members(&world.house.engine, team.id, &alice).unwrap();
    world.waits_after(&person(CAROL, "carol"));
    assert_eq!(world.lapsed(), ["bob@example.org"]);
    assert_eq!(world.approve(&deputy()), Ok(Requested::Sealed(world.id())));
    world.house.check();
}

#[test]
fn by_whatever_name_they_come_nobody_approves_their_own_and_none_twice() {
    let world = World::new(|_| GrantScope::Everyone);
    grant(&world.house, ALICE, GrantScope::Everyone);
    let own = world.approve(&person(ALICE, "an-alias-of-hers"));
    assert!(matches!(own, Err(RecallError::NotAllowed(_))), "{own:?}");
    world.waits_after(&person(BOB, "bob"));
    world.waits_after(&person(BOB, "an-alias-of-his"));
    assert_eq!(world.approvals(), [("bob@example.org".into(), false)]);
    world.house.check();
}

#[test]
fn whoever_asked_and_may_no_more_is_refused_when_the_last_has_approved() {
    // Bob takes back what Alice sent, by a role that he loses before the last approval.
    let any = TWO.replace("recall.own", "recall.any");
    let roles = tern_policy::SHIPPED_DEFAULT[0];
    let set = tern_policy::PolicySet::load(&[roles, ("two.cedar", &any)]).unwrap();
    let mut house = House::under(Arc::new(set));
    let sent = house.submit(ALICE, &[DAVE], &[], 1);
    let mut request = house.request(BOB, Selector::Submission(sent.id));
    request.requester = person(BOB, "bob");
    let role = Grant {
        role: Role::ComplianceOfficer,
        ..grant_of(BOB, GrantScope::Everyone)
    };
    tern_directory::grant_role(&house.engine, &role, None, house.now).unwrap();
    grant(&house, CAROL, GrantScope::Everyone);
    house.recalls.request(&request, house.now).unwrap();
    let approve = |by: &Requester| house.recalls.approve(request.id, by, None, house.now);
    let waits = approve(&person(CAROL, "carol")).unwrap();
    assert!(matches!(waits, Requested::Waiting(..)), "{waits:?}");
    tern_directory::revoke_role(&house.engine, &role).unwrap();
    let over = approve(&deputy()).unwrap();
    assert!(matches!(over, Requested::Refused(..)), "{over:?}");
    assert_eq!(house.uids(DAVE, INBOX), [1]);
    house.check();
}

/// The role goes at the very moment at which the seal would fall.
#[test]
fn whoever_loses_the_role_while_the_seal_falls_takes_nothing_back() {
    let mut house = House::by_default();
    let sent = house.submit(ALICE, &[DAVE], &[], 1);
    let role = Grant {
        role: Role::ComplianceOfficer,
        ..grant_of(BOB, GrantScope::Everyone)
    };
    tern_directory::grant_role(&house.engine, &role, None, house.now).unwrap();
    let mut request = house.request(BOB, Selector::Submission(sent.id));
    request.requester = person(BOB, "bob");
    let (engine, gone) = (house.engine.clone(), role.clone());
    house.once_before_next_commit(move || {
        tern_directory::revoke_role(&engine, &gone).unwrap();
    });
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert!(matches!(answer, Requested::Refused(..)), "{answer:?}");
    assert_eq!(house.uids(DAVE, INBOX), [1]);
    tern_directory::grant_role(&house.engine, &role, None, house.now).unwrap();
    let again = house.request(BOB, Selector::Submission(sent.id));
    request.id = again.id;
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    house.recalls.run(request.id, house.now).unwrap();
    house.check();
}
