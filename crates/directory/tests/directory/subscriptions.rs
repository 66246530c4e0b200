//! Push subscriptions live as long as what made them.

use std::sync::Arc;

use tern_base::{AccountId, SeededEntropy, Timestamp};
use tern_directory::{
    CredentialId, DirectoryError, Limit, NewSubscription, PasswordCost, Passwords, Proof, PushKeys,
    Scope, SubscriptionChange, SubscriptionId, Subscriptions, account_by_address, add_app_password,
    check, limits, remove_account, revoke_app_password, revoke_app_password_in, set_password,
    update_account,
};
use tern_store::mem::Injected;
use tern_store::{MemEngine, Verdict, transact};

use crate::world::{address, build};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const PASSWORD: CredentialId = CredentialId::PASSWORD;

/// Ann with a password and an app password, and the subscriptions.
struct World {
    engine: Arc<MemEngine>,
    subscriptions: Subscriptions,
    passwords: Passwords,
    entropy: SeededEntropy,
    ann: AccountId,
    phone: CredentialId,
}

fn world() -> World {
    let engine = Arc::new(MemEngine::new());
    build(&*engine, "domain a.example\naccount ann");
    let ann = account_by_address(&*engine, &address("ann")).unwrap();
    let ann = ann.unwrap().id;
    let mut entropy = SeededEntropy::new(7);
    let cheap = PasswordCost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
    let passwords = Passwords::new(cheap, &mut entropy).unwrap();
    set_password(&*engine, ann, "correct horse", &passwords, &mut entropy).unwrap();
    let phone = add_app_password(&*engine, ann, "phone", &[Scope::Jmap], NOW, &mut entropy);
    World {
        subscriptions: Subscriptions::new(engine.clone()),
        engine,
        passwords,
        phone: phone.unwrap().info.id,
        entropy,
        ann,
    }
}

fn new(device: &str) -> NewSubscription {
    NewSubscription {
        device: device.to_owned(),
        url: "https://push.example.net/1".to_owned(),
        keys: Some(PushKeys {
            p256dh: [4; 65],
            auth: [5; 16],
        }),
        expires: None,
        types: Some(vec!["Email".to_owned()]),
    }
}

impl World {
    fn create(&mut self, by: CredentialId) -> Result<SubscriptionId, DirectoryError> {
        let made =
            self.subscriptions
                .create(self.ann, by, &new("tablet"), NOW, &mut self.entropy)?;
        Ok(made.id)
    }

    fn all(&self) -> Vec<SubscriptionId> {
        let all = self.subscriptions.all(self.ann, NOW).unwrap();
        all.iter().map(|it| it.id).collect()
    }

    fn is_sound(&self) {
        assert_eq!(check(&*self.engine).unwrap(), []);
    }
}

#[test]
fn a_subscription_is_kept_proved_renewed_and_destroyed() {
    let mut world = world();
    let made = world
        .subscriptions
        .create(world.ann, PASSWORD, &new("tablet"), NOW, &mut world.entropy)
        .unwrap();
    let latest = NOW.plus_millis(limits::MAX_SUBSCRIPTION_MS);
    assert_eq!((made.proof, made.expires), (Proof::Owed, latest));
    let one = |world: &World| world.subscriptions.one(world.ann, made.id).unwrap();
    assert_eq!(one(&world).as_ref(), Some(&made));
    let update = |world: &World, by, change: &SubscriptionChange| {
        world
            .subscriptions
            .update(world.ann, by, made.id, change, NOW)
    };
    let code = |code: &str| SubscriptionChange {
        code: Some(code.to_owned()),
        ..SubscriptionChange::default()
    };
    world
        .subscriptions
        .code_was_sent(world.ann, made.id)
        .unwrap();
    assert_eq!(one(&world).unwrap().proof, Proof::Sent);
    assert_eq!(
        update(&world, PASSWORD, &code("guess")),
        Err(DirectoryError::WrongCode)
    );
    let proved = update(&world, PASSWORD, &code(&made.code)).unwrap();
    assert_eq!(proved.proof, Proof::Given);
    // Sent again by a late attempt: it stays proved.
    world
        .subscriptions
        .code_was_sent(world.ann, made.id)
        .unwrap();
    assert_eq!(one(&world), Some(proved.clone()));
    let told = |world: &World| world.subscriptions.told(world.ann, made.id).unwrap();
    world
        .subscriptions
        .was_told(world.ann, &proved, "1.a")
        .unwrap();
    assert_eq!(told(&world).as_deref(), Some("1.a"));
    let soon = SubscriptionChange {
        expires: Some(Some(NOW.plus_millis(1_000))),
        types: Some(None),
        code: None,
    };
    let changed = update(&world, PASSWORD, &soon).unwrap();
    assert_eq!(changed.expires, NOW.plus_millis(1_000));
    assert_eq!(
        told(&world),
        None,
        "of what it asks for now it was told nothing"
    );
    world
        .subscriptions
        .was_told(world.ann, &proved, "2.a")
        .unwrap();
    assert_eq!(
        told(&world),
        None,
        "what was sent was by the types of before"
    );
    let other = update(&world, world.phone, &soon);
    assert_eq!(other, Err(DirectoryError::NotFound("subscription")));
    let later = NOW.plus_millis(1_000);
    assert_eq!(world.subscriptions.all(world.ann, later).unwrap(), []);
    let destroy = |by, at| world.subscriptions.destroy(world.ann, by, made.id, at);
    let gone = Err(DirectoryError::NotFound("subscription"));
    assert_eq!(destroy(world.phone, NOW), gone);
    assert_eq!(destroy(PASSWORD, later), gone);
    assert_eq!(destroy(PASSWORD, NOW), Ok(()));
    assert_eq!(destroy(PASSWORD, NOW), gone);
    world.is_sound();
}

#[test]
fn they_are_bounded_and_so_is_how_often_they_are_made() {
    let mut world = world();
    for _ in 0..limits::MAX_SUBSCRIPTIONS {
        world.create(PASSWORD).unwrap();
    }
    assert_eq!(
        world.create(PASSWORD),
        Err(DirectoryError::Limit(Limit::Subscriptions))
    );
    let made = limits::MAX_NEW_SUBSCRIPTIONS as usize - limits::MAX_SUBSCRIPTIONS;
    for id in world.all().into_iter().take(made + 1) {
        world.subscriptions.end(world.ann, id).unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..made {
        ids.push(world.create(world.phone).unwrap());
    }
    assert!(
        ids.iter()
            .all(|id| id.0 as usize > limits::MAX_SUBSCRIPTIONS)
    );
    let often = DirectoryError::Limit(Limit::NewSubscriptions);
    assert_eq!(world.create(PASSWORD), Err(often));
    // An hour later, when some are over: those make room.
    let at = NOW.plus_millis(limits::MAX_SUBSCRIPTION_MS);
    let (subscriptions, ann) = (&world.subscriptions, world.ann);
    let made = subscriptions.create(ann, PASSWORD, &new("x"), at, &mut world.entropy);
    assert_eq!(
        subscriptions.all(ann, NOW).unwrap(),
        [made.unwrap()],
        "the rows are gone"
    );
    let long = NewSubscription {
        url: "x".repeat(limits::MAX_SUBSCRIPTION),
        ..new("x")
    };
    let refused = subscriptions.create(ann, PASSWORD, &long, at, &mut world.entropy);
    assert_eq!(refused, Err(DirectoryError::Limit(Limit::Subscription)));
    assert_eq!(
        subscriptions.subscribed(AccountId(0)).unwrap(),
        (vec![ann], None)
    );
    world.is_sound();
}

/// What takes subscriptions away, by name.
const ENDS: [&str; 4] = ["revoke", "password", "disable", "remove"];

fn end(world: &mut World, how: &str) -> Result<(), DirectoryError> {
    let (engine, ann) = (&*world.engine, world.ann);
    match how {
        "revoke" => revoke_app_password(engine, ann, world.phone, NOW).map(drop),
        "password" => {
            let (passwords, entropy) = (&world.passwords, &mut world.entropy);
            set_password(engine, ann, "another one", passwords, entropy)
        }
        "disable" => update_account(engine, ann, |account| account.disabled = true).map(drop),
        _ => remove_account(engine, ann).map(drop),
    }
}

#[test]
fn killed_at_any_commit_none_outlives_what_it_stands_on() {
    for how in ENDS {
        for kill_at in 0.. {
            let mut world = world();
            let (own, by_phone) = (world.create(PASSWORD).unwrap(), world.create(world.phone));
            let by_phone = by_phone.unwrap();
            let mut commits = 0;
            world.engine.set_fault_hook(Some(Box::new(move |_| {
                commits += 1;
                (commits > kill_at).then_some(Injected::Full)
            })));
            let done = end(&mut world, how);
            world.engine.set_fault_hook(None);
            // Whatever was done, what is there can be there.
            world.is_sound();
            end(&mut world, how).unwrap();
            world.is_sound();
            let left: &[SubscriptionId] = match how {
                "revoke" => &[own],
                "password" => &[by_phone],
                _ => &[],
            };
            assert_eq!(world.all(), left, "{how} {kill_at}");
            let again = world.create(world.phone).is_ok();
            assert_eq!(again, how == "password", "{how}");
            if done.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn one_that_is_made_while_its_credential_is_revoked_goes_with_it() {
    let mut world = world();
    let engine = Arc::clone(&world.engine);
    let mut is_first = true;
    transact(&*engine, |txn| {
        revoke_app_password_in(txn, world.ann, world.phone, NOW)?;
        if std::mem::take(&mut is_first) {
            world.create(world.phone)?;
            assert_eq!(world.all().len(), 1);
        }
        Ok::<_, DirectoryError>(Verdict::Commit(()))
    })
    .unwrap();
    assert_eq!(world.all(), []);
    world.is_sound();
}
