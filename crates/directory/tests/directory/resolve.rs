//! Where addresses lead, as a table over one world.

use crate::world::{build, shown};
use tern_directory::check;
use tern_store::MemEngine;

const WORLD: &str = "
    domain a.example
    domain b.example
    domain bare.example
    account Alice
    account bob
    account carol@b.example
    account dave
    disable dave
    account plus+sign
    alias sales alice bob out@else.example
    alias info sales
    alias gone-target nobody
    alias to-dave dave
    alias mixed dave alice
    group empty
    group team bob alice carol@b.example x@else.example
    group all team info dave
    group loop-a loop-b alice
    group loop-b loop-a bob
    alias self self
    alias tagged bob+notes
    group outside p@else.example q@else.example P@else.example
    catch-all b.example carol@b.example
    alias d0 alice
    alias d1 d0
    alias d2 d1
";

const CASES: &[(&str, &str)] = &[
    ("alice", "Alice"),
    ("ALICE@A.EXAMPLE", "Alice"),
    ("carol@b.example", "carol"),
    ("nobody", "UnknownUser"),
    ("alice@else.example", "UnknownDomain"),
    ("alice@sub.a.example", "UnknownDomain"),
    ("dave", "Disabled"),
    ("to-dave", "Disabled"),
    (
        "mixed",
        "Alice < alias mixed; skip Disabled #4 < alias mixed",
    ),
    // RFC 5233: the tag is the account's, and an exact address goes before it.
    ("alice+lists", "Alice; tag lists"),
    ("Bob+One+Two", "bob; tag One+Two"),
    ("alice+", "Alice; tag "),
    ("plus+sign", "plus+sign"),
    ("plus+sign+x", "UnknownUser"),
    ("nobody+x", "UnknownUser"),
    ("+x", "UnknownUser"),
    ("dave+x", "Disabled"),
    (
        "sales+x",
        "Alice < alias sales; bob < alias sales; out out@else.example < alias sales; tag x",
    ),
    ("tagged", "bob < alias tagged"),
    // Aliases and groups, nested: each account once, by its shortest path.
    (
        "sales",
        "Alice < alias sales; bob < alias sales; out out@else.example < alias sales",
    ),
    (
        "info",
        "Alice < alias sales < alias info; bob < alias sales < alias info; \
         out out@else.example < alias sales < alias info",
    ),
    ("gone-target", "UnknownUser"),
    ("empty", "Nobody"),
    (
        "team",
        "Alice < group team; bob < group team; carol < group team; \
         out x@else.example < group team",
    ),
    (
        "all",
        "Alice < group team < group all; bob < group team < group all; \
         carol < group team < group all; \
         out x@else.example < group team < group all; \
         out out@else.example < alias sales < alias info < group all; \
         skip Disabled #4 < group all",
    ),
    (
        "loop-a",
        "Alice < group loop-a; bob < group loop-b < group loop-a",
    ),
    (
        "loop-b",
        "bob < group loop-b; Alice < group loop-a < group loop-b",
    ),
    ("self", "Nobody"),
    (
        "outside",
        "out p@else.example < group outside; out q@else.example < group outside",
    ),
    ("d2", "Alice < alias d0 < alias d1 < alias d2"),
    // RFC 5321 4.5.1, and the domain's own rules.
    ("postmaster", "Alice < postmaster a.example"),
    ("Postmaster+x", "Alice < postmaster a.example"),
    ("postmaster@bare.example", "Alice < postmaster bare.example"),
    ("anything@b.example", "carol < catch-all b.example"),
    ("anything@bare.example", "UnknownUser"),
];

#[test]
fn addresses_lead_where_they_should() {
    let engine = MemEngine::new();
    build(&engine, WORLD);
    for (address, expected) in CASES {
        assert_eq!(shown(&engine, address), *expected, "{address}");
    }
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn a_plain_account_costs_two_reads() {
    use tern_store::{Page, Range, Read, StoreError};

    struct Counting(MemEngine, std::cell::Cell<usize>);
    impl Read for Counting {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.1.set(self.1.get() + 1);
            self.0.get(key)
        }
        fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
            self.1.set(self.1.get() + 1_000);
            self.0.scan(range, limit)
        }
    }
    let engine = MemEngine::new();
    build(&engine, WORLD);
    let counting = Counting(engine, std::cell::Cell::new(0));
    for (address, reads) in [("bob", 2), ("x@else.example", 2), ("nobody@a.example", 2)] {
        counting.1.set(0);
        tern_directory::resolve(&counting, &crate::world::address(address)).unwrap();
        assert_eq!(counting.1.get(), reads, "{address}");
    }
}

#[test]
fn a_postmaster_of_the_domain_goes_before_the_first_account() {
    let engine = MemEngine::new();
    build(
        &engine,
        "domain a.example\naccount one\naccount two\npostmaster a.example two",
    );
    assert_eq!(shown(&engine, "postmaster"), "two < postmaster a.example");
    build(&engine, "-account two");
    assert_eq!(shown(&engine, "postmaster"), "one < postmaster a.example");
    build(&engine, "disable one");
    assert_eq!(shown(&engine, "postmaster"), "UnknownUser");
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn a_chain_too_deep_ends() {
    let engine = MemEngine::new();
    let mut text = String::from("domain a.example\naccount alice\nalias d0 alice\n");
    for n in 1..40 {
        text.push_str(&format!("alias d{n} d{}\n", n - 1));
    }
    build(&engine, &text);
    assert!(shown(&engine, "d16").starts_with("alice < alias d0 <"));
    assert_eq!(shown(&engine, "d39"), "UnknownUser");
}

/// How many destinations a glance at an address has seen.
fn glanced(engine: &MemEngine, address: &str) -> usize {
    match tern_directory::resolve::glance(engine, &crate::world::address(address)).unwrap() {
        tern_directory::Resolution::Found(found) => found.accounts.len() + found.outside.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_big_group_is_whole() {
    let engine = MemEngine::new();
    let mut text = String::from("domain a.example\n");
    for n in 0..3_000 {
        text.push_str(&format!("account user{n}\n"));
    }
    for chunk in 0..6 {
        let ids: Vec<_> = (1..=500).map(|n| format!("#{}", chunk * 500 + n)).collect();
        text.push_str(&format!("group everyone {}\n", ids.join(" ")));
    }
    build(&engine, &text);
    let found = tern_directory::resolve(&engine, &crate::world::address("everyone")).unwrap();
    let tern_directory::Resolution::Found(found) = found else {
        panic!("{found:?}");
    };
    assert_eq!(found.accounts.len(), 3_000);
    // A glance sees that they are several, and looks no further.
    assert!((2..100).contains(&glanced(&engine, "everyone")));
    let away: String = (0..2_999).map(|n| format!("disable user{n}\n")).collect();
    build(&engine, &away);
    assert_eq!(glanced(&engine, "everyone"), 1, "the last of them");
    build(&engine, "disable user2999");
    let nobody = tern_directory::resolve::glance(&engine, &crate::world::address("everyone"));
    assert_eq!(nobody.unwrap(), tern_directory::Resolution::Disabled);
    build(&engine, "-group everyone");
    assert_eq!(shown(&engine, "everyone"), "UnknownUser");
    assert_eq!(check(&engine).unwrap(), []);
}
