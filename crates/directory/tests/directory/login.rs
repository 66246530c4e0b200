//! Logging in: names, passwords and app passwords, and what a failure tells.

use crate::world::build;
use tern_base::{AccountId, SeededEntropy, Timestamp};
use tern_directory::{
    CredentialId, DirectoryError, Limit, LoginFailure, PasswordCost, Passwords, Scope,
    add_app_password, check, list_app_passwords, login, rehash_password, revoke_app_password,
    set_password,
};
use tern_store::mem::Injected;
use tern_store::{MemEngine, StoreError};

const CHEAP: PasswordCost = PasswordCost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

const ALICE: AccountId = AccountId(1);

fn setup() -> (MemEngine, Passwords, SeededEntropy) {
    let engine = MemEngine::new();
    build(
        &engine,
        "domain a.example\naccount alice\naccount bob\nalias al alice",
    );
    let mut entropy = SeededEntropy::new(7);
    let passwords = Passwords::new(CHEAP, &mut entropy).unwrap();
    set_password(&engine, ALICE, "correct horse", &passwords, &mut entropy).unwrap();
    (engine, passwords, entropy)
}

#[test]
fn names_and_passwords() {
    let (engine, passwords, mut entropy) = setup();
    let long = "x".repeat(1025);
    for (name, password, answer) in [
        ("alice@a.example", "correct horse", "1"),
        ("ALICE@A.Example", "correct horse", "1"),
        ("alice@a.example", "Correct horse", "the password is wrong"),
        ("alice@a.example", "correct horse ", "the password is wrong"),
        ("alice@a.example", "", "the password is wrong"),
        ("alice@a.example", &long, "the password is wrong"),
        ("al@a.example", "correct horse", "there is no such account"),
        (
            "alice+x@a.example",
            "correct horse",
            "there is no such account",
        ),
        ("alice", "correct horse", "there is no such account"),
        (
            "alice@b.example",
            "correct horse",
            "there is no such account",
        ),
        ("", "", "there is no such account"),
        // No password was ever set.
        ("bob@a.example", "correct horse", "the password is wrong"),
        ("bob@a.example", "", "the password is wrong"),
    ] {
        let got = match login(&engine, &passwords, name, password, Scope::Imap) {
            Ok(login) => login.account.id.to_string(),
            Err(failure) => failure.to_string(),
        };
        assert_eq!(got, answer, "{name} {password}");
    }
    build(&engine, "disable alice");
    let disabled = login(
        &engine,
        &passwords,
        "alice@a.example",
        "correct horse",
        Scope::Imap,
    );
    assert_eq!(disabled.unwrap_err(), LoginFailure::Disabled);
    let wrong = login(
        &engine,
        &passwords,
        "alice@a.example",
        "wrong horse",
        Scope::Imap,
    );
    assert_eq!(wrong.unwrap_err(), LoginFailure::WrongPassword);
    for bad in ["short", &long] {
        let refused = set_password(&engine, ALICE, bad, &passwords, &mut entropy);
        assert_eq!(refused.unwrap_err(), DirectoryError::BadPassword);
    }
    let nobody = set_password(
        &engine,
        AccountId(9),
        "long enough",
        &passwords,
        &mut entropy,
    );
    assert!(nobody.is_err());
}

#[test]
fn app_passwords() {
    let (engine, passwords, mut entropy) = setup();
    let scopes = [Scope::Imap];
    let now = Timestamp(5);
    let mut add = |label| add_app_password(&engine, ALICE, label, &scopes, now, &mut entropy);
    let (phone, laptop) = (add("phone").unwrap(), add("laptop").unwrap());
    assert_eq!(phone.secret.len(), 29);
    assert_ne!(phone.secret, laptop.secret);
    assert!(!format!("{phone:?}").contains(&phone.secret));
    let try_for = |name, secret: &str, scope| login(&engine, &passwords, name, secret, scope);
    let try_it = |secret: &str| try_for("alice@a.example", secret, Scope::Imap);
    let typed = phone.secret.to_uppercase().replace('-', " ");
    for secret in [
        phone.secret.as_str(),
        &typed,
        &phone.secret.replace('-', ""),
    ] {
        let login = try_it(secret).unwrap();
        assert_eq!(login.credential, phone.info.id);
        assert_eq!(
            try_for("alice@a.example", secret, Scope::Smtp),
            Err(LoginFailure::WrongScope(Scope::Smtp))
        );
    }
    assert!(try_for("bob@a.example", &phone.secret, Scope::Imap).is_err());
    assert_eq!(
        try_it("correct horse").unwrap().credential,
        CredentialId::PASSWORD
    );

    assert!(revoke_app_password(&engine, ALICE, phone.info.id, Timestamp(9)).unwrap());
    assert!(!revoke_app_password(&engine, ALICE, phone.info.id, Timestamp(10)).unwrap());
    assert_eq!(try_it(&phone.secret), Err(LoginFailure::WrongPassword));
    assert!(try_it(&laptop.secret).is_ok());
    for id in [CredentialId::PASSWORD, CredentialId(99)] {
        assert!(revoke_app_password(&engine, ALICE, id, now).is_err());
    }
    let listed = list_app_passwords(&engine, ALICE).unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|app| (app.label.as_str(), app.revoked))
        .collect();
    assert_eq!(shown, [("phone", Some(Timestamp(9))), ("laptop", None)]);

    build(&engine, "-account alice");
    assert_eq!(list_app_passwords(&engine, ALICE).unwrap(), []);
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn app_passwords_are_bounded() {
    let (engine, _, mut entropy) = setup();
    let mut add = || add_app_password(&engine, ALICE, "x", &[], Timestamp(1), &mut entropy);
    for _ in 0..tern_directory::limits::MAX_APP_PASSWORDS {
        add().unwrap();
    }
    assert_eq!(
        add().unwrap_err(),
        DirectoryError::Limit(Limit::AppPasswords)
    );
    let last = CredentialId(tern_directory::limits::MAX_APP_PASSWORDS as u32);
    for id in [CredentialId(7), last] {
        assert!(revoke_app_password(&engine, ALICE, id, Timestamp(2)).unwrap());
    }
    // Revoked ones make room, the oldest first, and no id is given twice.
    assert_eq!(add().unwrap().info.id.0, last.0 + 1);
    assert_eq!(add().unwrap().info.id.0, last.0 + 2);
    assert_eq!(
        add().unwrap_err(),
        DirectoryError::Limit(Limit::AppPasswords)
    );
    let listed = list_app_passwords(&engine, ALICE).unwrap();
    assert!(
        listed
            .iter()
            .all(|app| app.id != CredentialId(7) && app.revoked.is_none())
    );
}

#[test]
fn a_costlier_hash_is_made_at_the_next_login() {
    let (engine, _, mut entropy) = setup();
    let dearer = PasswordCost { passes: 2, ..CHEAP };
    let passwords = Passwords::new(dearer, &mut entropy).unwrap();
    let try_it = || {
        login(
            &engine,
            &passwords,
            "alice@a.example",
            "correct horse",
            Scope::Imap,
        )
    };
    assert!(try_it().unwrap().needs_rehash);
    // Not with a password that is no longer right.
    rehash_password(&engine, ALICE, "another one", &passwords, &mut entropy).unwrap();
    assert!(try_it().unwrap().needs_rehash);
    rehash_password(&engine, ALICE, "correct horse", &passwords, &mut entropy).unwrap();
    assert!(!try_it().unwrap().needs_rehash);
}

#[test]
fn the_default_hash_is_the_documented_one() {
    let mut entropy = SeededEntropy::new(1);
    let passwords = Passwords::new(PasswordCost::default(), &mut entropy).unwrap();
    let hash = passwords.hash(b"secret", &mut entropy).unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    assert!(passwords.verify(b"secret", Some(&hash)));
    assert!(!passwords.verify(b"secret", None));
    assert!(!passwords.verify(b"secret", Some("nonsense")));
    assert_ne!(hash, passwords.hash(b"secret", &mut entropy).unwrap());
    // From the tests of the reference implementation by the authors of Argon2.
    let known =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    assert!(passwords.verify(b"password", Some(known)));
    assert!(passwords.needs_rehash(known));
    assert!(!passwords.needs_rehash(&hash));
}

#[test]
fn a_lost_answer_is_asked_again() {
    let (engine, passwords, mut entropy) = setup();
    for fate in [Injected::UnknownApplied, Injected::UnknownDropped] {
        engine.set_fault_hook(Some(Box::new(move |_| Some(fate))));
        let lost = set_password(&engine, ALICE, "new password", &passwords, &mut entropy);
        assert_eq!(lost.unwrap_err(), StoreError::Unknown.into());
        engine.set_fault_hook(None);
        set_password(&engine, ALICE, "new password", &passwords, &mut entropy).unwrap();
        assert!(
            login(
                &engine,
                &passwords,
                "alice@a.example",
                "new password",
                Scope::Imap
            )
            .is_ok()
        );
    }
    assert_eq!(check(&engine).unwrap(), []);
}
