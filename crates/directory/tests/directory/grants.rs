//! Roles: given, taken, counted only over whom they are held, and gone with what they name.

use tern_base::{AccountId, Domain, Timestamp};
use tern_directory::{
    About, DirectoryError, Grant, GrantScope, Role, account_by_address, check, grant_role,
    grants_of, group_addresses_of, group_by_address, list_grants, remove_account, remove_domain,
    remove_group, revoke_role, role_changes, roles_over,
};

use tern_store::{Engine, MemEngine};

use crate::world::{act, address};

const NOW: Timestamp = Timestamp(7);

fn world() -> MemEngine {
    let engine = MemEngine::new();
    for line in [
        "domain a.example",
        "domain b.example",
        "account ann",
        "account ben",
        "account cleo@b.example",
        "group ward ben",
    ] {
        act(&engine, line).unwrap();
    }
    engine
}

fn id(engine: &dyn Engine, name: &str) -> AccountId {
    account_by_address(engine, &address(name))
        .unwrap()
        .unwrap()
        .id
}

fn give(engine: &dyn Engine, name: &str, role: Role, scope: GrantScope) -> Grant {
    let account = id(engine, name);
    let grant = Grant {
        account,
        role,
        scope,
    };
    assert!(grant_role(engine, &grant, None, NOW).unwrap());
    grant
}

fn ward(engine: &dyn Engine) -> GrantScope {
    GrantScope::Group(
        group_by_address(engine, &address("ward"))
            .unwrap()
            .unwrap()
            .id,
    )
}

fn domain(name: &str) -> GrantScope {
    GrantScope::Domain(Domain::parse(name).unwrap())
}

fn sound(engine: &dyn Engine) {
    assert_eq!(check(engine).unwrap(), []);
}

#[test]
fn a_role_counts_over_whom_it_is_held() {
    let engine = world();
    let (ann, ben, cleo) = (
        id(&engine, "ann"),
        id(&engine, "ben"),
        id(&engine, "cleo@b.example"),
    );
    let roles = |about| roles_over(&engine, ann, about).unwrap();
    assert_eq!(roles(About::Account(ben)), [Role::User]);
    give(&engine, "ann", Role::Manager, ward(&engine));
    give(&engine, "ann", Role::Auditor, domain("b.example"));
    give(&engine, "ann", Role::Operator, GrantScope::Everyone);
    assert_eq!(
        roles(About::Account(ben)),
        [Role::User, Role::Manager, Role::Operator]
    );
    assert_eq!(
        roles(About::Account(cleo)),
        [Role::User, Role::Operator, Role::Auditor]
    );
    assert_eq!(roles(About::Server), [Role::User, Role::Operator]);
    assert_eq!(
        roles(About::Account(AccountId(99))),
        [Role::User, Role::Operator]
    );
    assert_eq!(
        roles_over(&engine, ben, About::Server).unwrap(),
        [Role::User]
    );
    sound(&engine);
}

/// Whoever is in a group by way of an alias of theirs, or of another group, is in it.
#[test]
fn a_role_over_a_group_is_held_over_everybody_who_is_in_it() {
    let engine = world();
    for line in [
        "group clinic ward",
        "alias cleopatra cleo@b.example",
        "group clinic cleopatra",
    ] {
        act(&engine, line).unwrap();
    }
    let clinic = group_by_address(&engine, &address("clinic")).unwrap();
    give(
        &engine,
        "ann",
        Role::Manager,
        GrantScope::Group(clinic.unwrap().id),
    );
    let over = |name: &str| {
        let about = About::Account(id(&engine, name));
        roles_over(&engine, id(&engine, "ann"), about).unwrap()
    };
    for name in ["ben", "cleo@b.example"] {
        assert_eq!(over(name), [Role::User, Role::Manager], "{name}");
    }
    sound(&engine);
    act(&engine, "-alias cleopatra").unwrap();
    remove_group(
        &engine,
        group_by_address(&engine, &address("ward"))
            .unwrap()
            .unwrap()
            .id,
    )
    .unwrap();
    for name in ["ben", "cleo@b.example"] {
        assert_eq!(over(name), [Role::User], "{name}");
    }
}

#[test]
fn nobody_gives_themselves_a_role() {
    let engine = world();
    let (ann, ben) = (id(&engine, "ann"), id(&engine, "ben"));
    let grant = Grant {
        account: ann,
        role: Role::Administrator,
        scope: GrantScope::Everyone,
    };
    let own = grant_role(&engine, &grant, Some(ann), NOW);
    assert_eq!(own, Err(DirectoryError::OwnRole));
    assert_eq!(list_grants(&engine).unwrap(), []);
    assert!(grant_role(&engine, &grant, Some(ben), NOW).unwrap());
    assert!(
        !grant_role(&engine, &grant, None, NOW).unwrap(),
        "held already"
    );
    let users = Grant {
        role: Role::User,
        ..grant
    };
    let everybodys = grant_role(&engine, &users, None, NOW);
    assert_eq!(everybodys, Err(DirectoryError::EverybodysRole));
    sound(&engine);
}

#[test]
fn a_grant_goes_with_what_it_names() {
    let engine = world();
    let over_ward = give(&engine, "ann", Role::Manager, ward(&engine));
    give(&engine, "ann", Role::Auditor, domain("b.example"));
    give(&engine, "ann", Role::Operator, GrantScope::Everyone);
    give(&engine, "ben", Role::Auditor, GrantScope::Everyone);
    let GrantScope::Group(group) = over_ward.scope else {
        panic!("a group");
    };
    remove_group(&engine, group).unwrap();
    sound(&engine);
    remove_account(&engine, id(&engine, "cleo@b.example")).unwrap();
    remove_domain(&engine, &Domain::parse("b.example").unwrap()).unwrap();
    sound(&engine);
    let left = grants_of(&engine, id(&engine, "ann")).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(revoke_role(&engine, &left[0].0).unwrap());
    assert!(!revoke_role(&engine, &left[0].0).unwrap());
    remove_account(&engine, id(&engine, "ben")).unwrap();
    assert_eq!(list_grants(&engine).unwrap(), []);
    sound(&engine);
}

#[test]
fn a_grant_names_what_is_there() {
    let engine = world();
    let give = |account, scope| {
        let grant = Grant {
            account,
            role: Role::Manager,
            scope,
        };
        grant_role(&engine, &grant, None, NOW)
    };
    let gone = give(AccountId(99), GrantScope::Everyone);
    assert_eq!(gone, Err(DirectoryError::NotFound("account")));
    let ann = id(&engine, "ann");
    let outside = give(ann, domain("c.example"));
    assert_eq!(outside, Err(DirectoryError::UnknownDomain));
    let no_group = give(ann, GrantScope::Group(tern_directory::GroupId(99)));
    assert_eq!(no_group, Err(DirectoryError::NotFound("group")));
    sound(&engine);
}

#[test]
fn an_account_is_in_the_groups_around_its_groups() {
    let engine = world();
    let of = |name: &str| {
        let groups = group_addresses_of(&engine, id(&engine, name)).unwrap();
        let mut names: Vec<String> = groups.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(of("ben"), "ward@a.example");
    for line in [
        "group clinic ward ann",
        "group all@b.example clinic",
        // One that is around itself, and one that names an alias.
        "group ward all@b.example",
        "alias benny ben",
        "group chess benny",
        // An alias of a group, and one of an alias.
        "alias everybody clinic",
        "group house everybody",
        "alias ben.b benny",
        "group go ben.b",
    ] {
        act(&engine, line).unwrap();
    }
    let all = "all@b.example chess@a.example clinic@a.example go@a.example house@a.example \
               ward@a.example";
    assert_eq!(of("ben"), all);
    let hers = "all@b.example clinic@a.example house@a.example ward@a.example";
    assert_eq!(of("ann"), hers);
    assert_eq!(of("cleo@b.example"), "");
    assert_eq!(check::check(&engine).unwrap(), []);
    let clinic = group_by_address(&engine, &address("clinic")).unwrap();
    remove_group(&engine, clinic.unwrap().id).unwrap();
    assert_eq!(of("ben"), "chess@a.example go@a.example ward@a.example");
    act(&engine, "alias ben.b ann").unwrap();
    assert_eq!(of("ben"), "chess@a.example ward@a.example");
    act(&engine, "alias ben.b ben").unwrap();
    act(&engine, "-alias benny").unwrap();
    assert_eq!(of("ben"), "go@a.example ward@a.example");
    assert_eq!(check::check(&engine).unwrap(), []);
}

/// As many roles are held as before, by others: whoever decided by them sees that they have changed.
#[test]
fn whoever_decides_by_roles_sees_that_they_have_changed() {
    let engine = world();
    let ann = give(&engine, "ann", Role::Manager, GrantScope::Everyone);
    let mut last = role_changes(&engine).unwrap();
    let mut has_changed = |what: &str| {
        let now = role_changes(&engine).unwrap();
        assert!(now > last, "{what}");
        last = now;
    };
    assert!(revoke_role(&engine, &ann).unwrap());
    give(&engine, "ben", Role::Manager, GrantScope::Everyone);
    has_changed("one for another");
    for (line, what) in [
        ("group ward cleo@b.example", "a member"),
        ("leave ward cleo@b.example", "a member that is gone"),
        (
            "alias nurses ben",
            "an alias, by which somebody may be in a group",
        ),
        ("-group ward", "a group that is gone"),
    ] {
        act(&engine, line).unwrap();
        has_changed(what);
    }
    let before = role_changes(&engine).unwrap();
    assert!(!revoke_role(&engine, &ann).unwrap());
    assert_eq!(role_changes(&engine).unwrap(), before, "nothing was taken");
}
