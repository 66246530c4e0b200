//! The parts of one server process, opened over the engine as the real one opens them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tern_base::{AccountId, Domain, EmailAddress, SeededEntropy, Timestamp};
use tern_delivery::Delivery;
use tern_directory::{FactorKey, NewTotp, RecoveryCodes, Target, Visible};
use tern_mailbox::{
    FolderSpec, Listener, Mailboxes, NoListener, Opened, Role, SealTag, Sealing, Upkeep,
};
use tern_policy::PolicySet;
use tern_queue::Schedule;
use tern_recall::{Keys, Recalls, Settings};
use tern_session::Sharing;
use tern_store::{Engine, MemEngine, Verdict};

use crate::engine::SimEngine;

/// The keys that must be the same at each start.
pub(crate) const CONTENT_KEY: [u8; 32] = [7; 32];
pub(crate) const TOKEN_KEY: [u8; 32] = [8; 32];

/// The domain of the simulated organisation.
pub(crate) const DOMAIN: &str = "example.org";
/// Its first people, in the order of their account ids from 1.
pub(crate) const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// A group, and who is in it.
pub(crate) const GROUP: (&str, [u32; 3]) = ("team", [2, 3, 4]);
/// An alias, and who it leads to.
pub(crate) const ALIAS: (&str, u32) = ("sales", 5);

/// What the organisation asks for beyond the default policy, where it asks for anything: every third
/// message needs two people.
const MANY: (&str, &str) = (
    "sim/many.cedar",
    r#"@id("sim.many")
@description("More than two recipients need two people.")
@approval("72h")
@approvers("2")
forbid (principal, action == Tern::Action::"recall.own", resource)
when { resource.recipients > 2 }
unless { context.approvals >= 2 };
"#,
);

/// The policy of a run: the default and more, or one under which nobody but the requester has a say.
///
/// # Panics
/// Never: the policies are constants, and every run loads them.
pub(crate) fn policy(asks: bool) -> Arc<PolicySet> {
    if !asks {
        return tern_policy::unattended();
    }
    let files = [tern_policy::SHIPPED_DEFAULT, &[MANY]].concat();
    match PolicySet::load(&files) {
        Ok(set) => Arc::new(set),
        Err(errors) => panic!("the policies of the simulation are wrong: {errors:?}"),
    }
}

const FOLDERS: [FolderSpec; 3] = [
    FolderSpec {
        path: "Sent",
        role: Some(Role::Sent),
    },
    FolderSpec {
        path: "Trash",
        role: Some(Role::Trash),
    },
    FolderSpec {
        path: "Recall",
        role: None,
    },
];

/// How often each account has changed: a session that remembers the number knows that it is to
/// look again.
#[derive(Debug, Default)]
pub(crate) struct Changes(Mutex<BTreeMap<AccountId, u64>>);

impl Changes {
    pub(crate) fn of(&self, account: AccountId) -> u64 {
        let changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.get(&account).copied().unwrap_or(0)
    }
}

impl Listener for Changes {
    fn changed(&self, accounts: &[AccountId]) {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for account in accounts {
            *changes.entry(*account).or_default() += 1;
        }
    }
}

/// One process.
pub(crate) struct Server {
    pub(crate) engine: SimEngine,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sealing: Sealing,
    pub(crate) upkeep: Upkeep,
    pub(crate) sharing: Sharing,
    pub(crate) recalls: Recalls,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) changes: Arc<Changes>,
    /// Seals that stopped a copy, for the worker that brings their reports up to date.
    pub(crate) late: Mutex<Vec<SealTag>>,
}

impl Server {
    pub(crate) fn open(
        engine: SimEngine,
        policy: &Arc<PolicySet>,
    ) -> Result<Self, tern_mailbox::MailboxError> {
        let shared: Arc<dyn Engine> = Arc::new(engine.clone());
        let changes = Arc::<Changes>::default();
        let listener: Arc<dyn Listener> = Arc::<Changes>::clone(&changes);
        let opened = mailboxes(&shared, listener)?.without_lanes().into_opened();
        Ok(Self {
            engine,
            recalls: recalls(Arc::clone(&shared), &opened, Arc::clone(policy)),
            sharing: Sharing::new(Arc::clone(&shared), Visible::Everyone),
            delivery: Arc::new(delivery(shared, &opened.mailboxes)),
            mailboxes: opened.mailboxes,
            sealing: opened.sealing,
            upkeep: opened.upkeep,
            changes,
            late: Mutex::default(),
        })
    }

    pub(crate) fn report_late(&self, tags: &[SealTag]) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.extend_from_slice(tags);
    }

    pub(crate) fn take_late(&self) -> Vec<SealTag> {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut late)
    }
}

/// The same parts over what is durable, for the oracle: nothing that the server holds in memory
/// is known here.
pub(crate) struct Observer {
    pub(crate) mem: MemEngine,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sealing: Sealing,
    pub(crate) upkeep: Upkeep,
    pub(crate) recalls: Recalls,
    pub(crate) delivery: Delivery,
}

impl Observer {
    pub(crate) fn open(mem: &MemEngine) -> Result<Self, tern_mailbox::MailboxError> {
        let shared: Arc<dyn Engine> = Arc::new(mem.clone());
        let opened = mailboxes(&shared, Arc::new(NoListener))?.into_opened();
        Ok(Self {
            mem: mem.clone(),
            recalls: recalls(Arc::clone(&shared), &opened, tern_policy::unattended()),
            delivery: delivery(shared, &opened.mailboxes),
            mailboxes: opened.mailboxes,
            sealing: opened.sealing,
            upkeep: opened.upkeep,
        })
    }
}

fn mailboxes(
    engine: &Arc<dyn Engine>,
    listener: Arc<dyn Listener>,
) -> Result<Mailboxes, tern_mailbox::MailboxError> {
    let keys = Keys {
        content: CONTENT_KEY,
        token: TOKEN_KEY,
    };
    tern_recall::mailboxes(engine, keys, &Settings::default(), listener)
}

fn recalls(engine: Arc<dyn Engine>, opened: &Opened, policy: Arc<PolicySet>) -> Recalls {
    Recalls::open(engine, opened, policy, Settings::default())
}

fn delivery(engine: Arc<dyn Engine>, mailboxes: &Arc<Mailboxes>) -> Delivery {
    let settings = tern_delivery::Settings {
        hostname: "mx.example.org".to_owned(),
        schedule: Schedule::default(),
        label_header: String::new(),
    };
    Delivery::new(engine, Arc::clone(mailboxes), settings, TOKEN_KEY)
}

/// The address of a name at the organisation.
///
/// # Panics
/// When the name is none: names here are constants.
pub(crate) fn address(name: &str) -> EmailAddress {
    let text = match name.contains('@') {
        true => name.to_owned(),
        false => format!("{name}@{DOMAIN}"),
    };
    EmailAddress::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Who approves, beside the operators.
pub(crate) const MANAGER: (AccountId, &str) = (AccountId(3), "carol");
/// Who has a second factor: those who send mail.
const FACTORED: [AccountId; 2] = [AccountId(1), AccountId(2)];

/// Sets up a second factor. That a code was right is verified above recalls, so none is shown again.
fn enrol(
    engine: &MemEngine,
    account: AccountId,
    now: Timestamp,
) -> Result<(), tern_directory::DirectoryError> {
    let key = FactorKey::derive(&CONTENT_KEY);
    let mut entropy = SeededEntropy::new(account.0.into());
    let new = NewTotp::new(&key, account, &mut entropy)?;
    let code = code_of(&new.base32(), now);
    let codes = RecoveryCodes::new(&mut entropy);
    tern_store::transact(engine, |txn| {
        tern_directory::enrol_totp_in(txn, &new, now)?;
        let done = tern_directory::confirm_totp_in(txn, &key, account, &code, &codes, now)?;
        debug_assert!(done.is_ok(), "the code of this very moment");
        Ok(Verdict::Commit(()))
    })
}

/// What an authenticator shows.
///
/// # Panics
/// Never: the secret is one that was just made.
fn code_of(secret: &str, now: Timestamp) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret);
    let app = secret.map(|secret| totp_rs::Builder::new().with_secret(secret.as_bytes().to_vec()));
    match app.map(totp_rs::Builder::build) {
        Ok(Ok(app)) => app.generate(now.as_secs()).to_string(),
        _ => panic!("no authenticator takes the secret"),
    }
}

/// Makes an account for somebody new.
pub(crate) fn hire(engine: &MemEngine, name: &str, now: Timestamp) -> Result<AccountId, String> {
    let observer = Observer::open(engine).map_err(|error| error.to_string())?;
    add(engine, &observer, name, now)
}

fn add(
    engine: &MemEngine,
    observer: &Observer,
    name: &str,
    now: Timestamp,
) -> Result<AccountId, String> {
    let new = tern_directory::NewAccount {
        address: address(name),
        display_name: name.to_owned(),
        quota_bytes: 0,
    };
    let made = tern_directory::create_account(engine, &new, now);
    let id = made.map_err(|error| error.to_string())?.id;
    let made = observer.mailboxes.create_account(id, 0, &FOLDERS, now);
    made.map_err(|error| error.to_string())?;
    Ok(id)
}

/// Makes the organisation.
pub(crate) fn found(engine: &MemEngine, now: Timestamp) -> Result<(), String> {
    let fault = |error: &dyn std::fmt::Display| error.to_string();
    let observer = Observer::open(engine).map_err(|error| fault(&error))?;
    let domain = Domain::parse(DOMAIN).map_err(|error| fault(&error))?;
    tern_directory::add_domain(engine, &domain, now).map_err(|error| fault(&error))?;
    for name in PEOPLE {
        add(engine, &observer, name, now)?;
    }
    let approves = tern_directory::Grant {
        account: MANAGER.0,
        role: tern_directory::Role::Manager,
        scope: tern_directory::GrantScope::Everyone,
    };
    let granted = tern_directory::grant_role(engine, &approves, None, now);
    granted.map_err(|error| fault(&error))?;
    for account in FACTORED {
        enrol(engine, account, now).map_err(|error| fault(&error))?;
    }
    let group = tern_directory::create_group(engine, &address(GROUP.0), "Team", now);
    let group = group.map_err(|error| fault(&error))?;
    let members: Vec<Target> = GROUP
        .1
        .iter()
        .map(|id| Target::Account(AccountId(*id)))
        .collect();
    tern_directory::add_members(engine, group.id, &members).map_err(|error| fault(&error))?;
    let target = [Target::Account(AccountId(ALIAS.1))];
    tern_directory::set_alias(engine, &address(ALIAS.0), &target).map_err(|error| fault(&error))?;
    Ok(())
}
