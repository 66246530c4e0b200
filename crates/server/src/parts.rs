//! The parts of the server: opened once over one store, then handed out, each to those who need
//! it. Nobody but the start of a process holds them all.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tern_audit::AuditError;
use tern_base::Entropy;
use tern_delivery::Delivery;
use tern_directory::{PasswordCost, Passwords, Visible};
use tern_mailbox::{Listener, MailboxError, Mailboxes, Upkeep};
use tern_queue::Schedule;
use tern_recall::Recalls;
use tern_session::Sharing;
use tern_store::{Engine, StoreError};
use tern_store_rocksdb::{OpenError, RocksEngine};

use crate::clock;
use crate::config::{self, Config};
use crate::factors::Factors;
use crate::policies::{Policies, PoliciesError};

/// Why the store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// The data directory can't be made.
    #[error("{0}: {1}")]
    Directory(PathBuf, std::io::Error),
    /// Others than its owner can reach the data directory.
    #[error(
        "{0} is open to other users of this machine (mode {1:04o}), and holds everybody's mail: \
         `chmod 700 {0}` closes it"
    )]
    Exposed(PathBuf, u32),
    /// There are rows that this build does not understand.
    #[error(
        "the store's {0} can't be read: {1}. Another build of Tern has made it, or it is damaged. Nothing was \
         changed; `tern check` says more, and the build that made it still reads it"
    )]
    Unreadable(&'static str, StoreError),
    /// The engine refuses.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A table can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log can't be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The mailboxes can't be read.
    #[error(transparent)]
    Mailboxes(#[from] MailboxError),
    /// The policies are not sound.
    #[error(transparent)]
    Policies(#[from] PoliciesError),
}

/// Every part.
pub(crate) struct Parts {
    pub(crate) rocks: Arc<RocksEngine>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) upkeep: Upkeep,
    pub(crate) sharing: Arc<Sharing>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) recalls: Arc<Recalls>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) factors: Arc<Factors>,
    /// What links to the pages begin with, where there are pages.
    pub(crate) public_url: Option<String>,
    /// The same, where the configuration names it.
    pub(crate) named_url: Option<String>,
    pub(crate) schedule: Schedule,
    /// How often one account may ask by JMAP.
    pub(crate) jmap: config::Jmap,
    /// Whom accounts find in the address book.
    pub(crate) visible: Visible,
    /// What the key is made of that signs pushes.
    pub(crate) push_seed: [u8; 32],
}

/// Where the store is within the data directory.
pub(crate) fn store_directory(data_dir: &Path) -> PathBuf {
    data_dir.join("store")
}

/// Whether there is a store in the data directory.
pub(crate) fn has_store(data_dir: &Path) -> bool {
    store_directory(data_dir).is_dir()
}

/// Opens the store of the configuration, making it where there is none.
pub(crate) fn open(
    config: &Config,
    listener: Arc<dyn Listener>,
    entropy: &mut dyn Entropy,
) -> Result<Parts, PartsError> {
    let policies = Arc::new(Policies::open(&config.policy)?);
    let data_dir = &config.server.data_dir;
    make_directory(data_dir)?;
    let rocks = Arc::new(RocksEngine::open(
        &store_directory(data_dir),
        &config.store,
    )?);
    let engine: Arc<dyn Engine> = rocks.clone();
    let secrets = tern_directory::secrets(&*engine, entropy)?;
    let log_name = format!("{}/tern-audit", config.server.hostname.as_str());
    tern_audit::ensure_key(&*engine, &log_name, clock::now(), entropy)?;
    let keys = tern_recall::Keys {
        content: secrets.content_key,
        token: secrets.token_key,
    };
    let (opened, recalls) = tern_recall::open(
        Arc::clone(&engine),
        keys,
        Arc::<Policies>::clone(&policies),
        config.recall.clone(),
        listener,
    )?;
    let recalls = recalls.with_links(secrets.token_key, config.public_url());
    let schedule = Schedule::default();
    let settings = tern_delivery::Settings {
        hostname: config.server.hostname.as_str().to_owned(),
        schedule: schedule.clone(),
        label_header: config.recall.label_header.clone(),
    };
    let delivery = Delivery::new(
        Arc::clone(&engine),
        Arc::clone(&opened.mailboxes),
        settings,
        secrets.token_key,
    );
    let factors = Factors::new(Arc::clone(&engine), &secrets);
    let passwords = Passwords::new(PasswordCost::default(), entropy)?;
    let sharing = Sharing::new(Arc::clone(&engine), config.directory.visible);
    Ok(Parts {
        rocks,
        engine,
        mailboxes: opened.mailboxes,
        upkeep: opened.upkeep,
        sharing: Arc::new(sharing),
        passwords: Arc::new(passwords),
        delivery: Arc::new(delivery),
        recalls: Arc::new(recalls),
        policies,
        factors: Arc::new(factors),
        public_url: config.public_url(),
        named_url: config.https.url.named().map(str::to_owned),
        jmap: config.jmap.clone(),
        schedule,
        visible: config.directory.visible,
        push_seed: secrets.push_seed(),
    })
}

/// Makes the data directory, for its owner alone.
///
/// One that others can reach is closed while nothing is in it, and refused once there is a store:
/// what they may have read or put there is the operator's to judge.
fn make_directory(data_dir: &Path) -> Result<(), PartsError> {
    let failed = |error| PartsError::Directory(data_dir.to_owned(), error);
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(data_dir);
    made.map_err(failed)?;
    let mode = fs::metadata(data_dir).map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if has_store(data_dir) {
        return Err(PartsError::Exposed(data_dir.to_owned(), mode));
    }
    fs::set_permissions(data_dir, Permissions::from_mode(0o700)).map_err(failed)
}
