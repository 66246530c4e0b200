//! What comes for an account that sends its mail on.

use tern_directory::{
    DirectoryError, Limit, Resolution, Target, account_by_address, add_members, check,
    group_by_address, limits, resolve,
};
use tern_store::MemEngine;

use crate::world::{act, address, build, shown};

const WORLD: &str = "
    domain a.example
    account alice
    account bob
    account carol
    account dave
    disable dave
    group team alice bob
    alias ally alice
    alias bobby bob
";

fn world(more: &str) -> MemEngine {
    let engine = MemEngine::new();
    build(&engine, WORLD);
    build(&engine, more);
    assert_eq!(check(&engine).unwrap(), []);
    engine
}

#[test]
fn mail_is_sent_on_and_kept_where_that_was_asked_for() {
    let engine = world("redirect alice keep bob x@else.example");
    assert_eq!(
        shown(&engine, "alice"),
        "alice; bob < redirect alice; out x@else.example < redirect alice"
    );
    assert_eq!(
        shown(&engine, "alice+news"),
        "alice; bob < redirect alice; out x@else.example < redirect alice; tag news"
    );
    build(&engine, "redirect alice go bob");
    assert_eq!(shown(&engine, "alice"), "bob < redirect alice");
    assert_eq!(shown(&engine, "ally"), "bob < redirect alice < alias ally");
    build(&engine, "redirect alice go");
    assert_eq!(shown(&engine, "alice"), "alice", "and no more");
}

#[test]
fn it_goes_through_groups_and_aliases_and_on_and_each_account_has_it_once() {
    let engine = world("redirect alice go carol\nredirect carol keep bobby");
    assert_eq!(
        shown(&engine, "team"),
        "bob < group team; carol < redirect alice < group team"
    );
    assert_eq!(
        shown(&engine, "alice"),
        "carol < redirect alice; bob < alias bobby < redirect carol < redirect alice"
    );
    assert_eq!(shown(&engine, "bob"), "bob", "nobody else's is touched");
    // Whom it leads to by a shorter path has it, and no more is kept.
    build(&engine, "redirect alice go bob");
    assert_eq!(shown(&engine, "team"), "bob < group team");
}

#[test]
fn what_would_reach_nobody_stays() {
    let engine = world("account gone\nredirect alice go gone\n-account gone");
    assert_eq!(
        shown(&engine, "alice"),
        "alice; skip Unknown #5 < redirect alice"
    );
    let engine = world("account late\nredirect alice go late\ndisable late");
    assert_eq!(
        shown(&engine, "alice"),
        "alice; skip Disabled #5 < redirect alice"
    );
    // In a circle, by way of one's own alias, and each to the other.
    let engine = world("redirect alice go ally");
    assert_eq!(shown(&engine, "alice"), "alice");
    let engine = world("redirect alice go bob\nredirect bob go alice");
    assert_eq!(shown(&engine, "alice"), "alice; bob < redirect alice");
    assert_eq!(
        shown(&engine, "team"),
        "alice < group team; bob < group team"
    );
}

/// What was somebody's own address stands for them, whoever gets it later.
#[test]
fn it_follows_the_account_and_not_its_address() {
    let more = "redirect alice go carol x@else.example\nredirect bob go carol\n-account carol\naccount carol";
    let engine = world(more);
    assert_eq!(
        shown(&engine, "carol"),
        "carol",
        "somebody else has the address"
    );
    assert_eq!(
        shown(&engine, "alice"),
        "out x@else.example < redirect alice; skip Unknown #3 < redirect alice"
    );
    assert_eq!(
        shown(&engine, "bob"),
        "bob; skip Unknown #3 < redirect bob",
        "whose mail would reach nobody has it"
    );
    // An alias is a name that may change hands: it leads where it leads when mail comes.
    let engine = world("redirect alice go bobby\n-alias bobby\nalias bobby carol");
    assert_eq!(
        shown(&engine, "alice"),
        "carol < alias bobby < redirect alice"
    );
}

/// However long the way, it takes no more than the depth that there is.
#[test]
fn a_long_chain_ends_where_aliases_do() {
    let names: Vec<String> = (0..30).map(|n| format!("chain{n}")).collect();
    let accounts: Vec<String> = names.iter().map(|name| format!("account {name}")).collect();
    let onward = names.windows(2);
    let onward: Vec<String> = onward
        .map(|pair| format!("redirect {} go {}", pair[0], pair[1]))
        .collect();
    let engine = world(&[accounts, onward].concat().join("\n"));
    let from_the_end = shown(&engine, &names[30 - 1 - limits::MAX_DEPTH]);
    assert!(from_the_end.starts_with("chain29 < "), "{from_the_end}");
    let too_far = shown(&engine, "chain0");
    assert!(
        too_far.starts_with("chain0; chain1 < redirect chain0; "),
        "{too_far}"
    );
    assert!(too_far.contains("skip TooDeep #"), "{too_far}");
}

#[test]
fn an_account_that_is_disabled_sends_nothing_on() {
    let engine = world("redirect alice go bob\ndisable alice");
    assert_eq!(shown(&engine, "alice"), "Disabled");
    assert_eq!(
        shown(&engine, "team"),
        "bob < group team; skip Disabled #1 < group team"
    );
}

#[test]
fn whose_mail_is_sent_on_still_writes_in_their_own_name() {
    let engine = world("redirect alice keep bob");
    let alice = tern_base::AccountId(1);
    for own in ["alice", "ally"] {
        assert!(
            resolve::is_own(&engine, alice, &address(own)).unwrap(),
            "{own}"
        );
    }
    assert!(!resolve::is_own(&engine, tern_base::AccountId(2), &address("alice")).unwrap());
}

#[test]
fn what_leads_nowhere_or_home_is_refused() {
    let engine = world("");
    let many: Vec<String> = (0..=limits::MAX_REDIRECT_TARGETS)
        .map(|n| format!("x{n}@else.example"))
        .collect();
    let too_many = format!("redirect alice go {}", many.join(" "));
    for (line, refused) in [
        ("redirect alice go Alice", DirectoryError::OwnAddress),
        (
            "redirect alice go nobody",
            DirectoryError::NotFound("address"),
        ),
        (
            "redirect nobody go bob",
            DirectoryError::NotFound("account"),
        ),
        (&too_many, DirectoryError::Limit(Limit::RedirectTargets)),
    ] {
        assert_eq!(act(&engine, line), Err(refused), "{line}");
    }
    assert_eq!(shown(&engine, "alice"), "alice");
}

#[test]
fn the_longest_redirect_fits_its_row() {
    let long = |n: usize| format!("{}{n}@{}.example", "l".repeat(62), "d".repeat(60));
    let targets: Vec<String> = (0..limits::MAX_REDIRECT_TARGETS).map(long).collect();
    let engine = world(&format!("redirect alice go {}", targets.join(" ")));
    let all: Vec<String> = targets
        .iter()
        .map(|target| format!("out {target} < redirect alice"))
        .collect();
    assert_eq!(shown(&engine, "alice"), all.join("; "));
}

#[test]
fn where_redirects_lead_is_within_the_bound_of_an_expansion() {
    let engine = world("");
    let accounts = 20;
    let names: Vec<String> = (0..accounts).map(|n| format!("r{n}")).collect();
    for name in &names {
        let to: Vec<String> = (0..limits::MAX_REDIRECT_TARGETS)
            .map(|n| format!("{name}.{n}@outside.example"))
            .collect();
        build(&engine, &format!("account {name}"));
        build(&engine, &format!("redirect {name} go {}", to.join(" ")));
    }
    build(&engine, "group all");
    let ids: Vec<Target> = names
        .iter()
        .map(|name| account_by_address(&engine, &address(name)).unwrap())
        .map(|account| Target::Account(account.unwrap().id))
        .collect();
    let group = group_by_address(&engine, &address("all")).unwrap().unwrap();
    add_members(&engine, group.id, &ids).unwrap();
    // The group's own address is one, too.
    let rest = limits::MAX_EXPANSION - 1 - accounts * (1 + limits::MAX_REDIRECT_TARGETS);
    let member = |n: usize| Target::Address(address(&format!("m{n}@outside.example")));
    let members: Vec<Target> = (0..rest).map(member).collect();
    for some in members.chunks(limits::MAX_MEMBERS_PER_CALL) {
        add_members(&engine, group.id, some).unwrap();
    }
    let led = || resolve(&engine, &address("all")).unwrap();
    let Resolution::Found(found) = led() else {
        panic!("within the bound");
    };
    assert_eq!(found.outside.len(), limits::MAX_EXPANSION - 1 - accounts);
    add_members(&engine, group.id, &[member(rest)]).unwrap();
    assert_eq!(led(), Resolution::TooMany);
}
