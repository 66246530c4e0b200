//! What an account proves itself with: one password, and app passwords.
//!
//! An app password is made by the server: 125 random bits, so a fast digest keeps it as safe as a
//! slow one keeps a chosen password, and each program that uses one logs in without the slow hash.

use std::fmt;

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Entropy, Timestamp};
use tern_store::{Engine, Read, StoreError, Transaction, Verdict, transact};

use crate::error::{DirectoryError, Limit};
use crate::password::Passwords;
use crate::subscription::drop_subscriptions_in;
use crate::{factor, limits, tables};

/// A credential of an account: 0 is the password, others are app passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(pub u32);

impl CredentialId {
    /// The password that the account's owner chose.
    pub const PASSWORD: Self = Self(0);
}

/// What an app password can be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Reading and keeping mail.
    Imap,
    /// Sending mail.
    Smtp,
    /// Both, and all else that JMAP can do.
    Jmap,
}

impl Scope {
    /// Its name in rows, on the command line and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
            Self::Jmap => "jmap",
        }
    }

    /// The scope of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Imap, Self::Smtp, Self::Jmap]
            .into_iter()
            .find(|scope| scope.as_str() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An app password, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPassword {
    /// Its id, unique within the account.
    pub id: CredentialId,
    /// What its owner calls it: `phone`.
    pub label: String,
    /// What it is good for; none is everything.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// An app password that was just made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAppPassword {
    /// What is kept of it.
    pub info: AppPassword,
    /// The secret: shown once, never stored.
    pub secret: String,
}

impl fmt::Debug for NewAppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewAppPassword({:?})", self.info)
    }
}

/// A credential as stored.
pub(crate) enum Stored {
    /// The PHC string of the password.
    Password(String),
    /// An app password and its digest.
    App(AppPassword, [u8; 32]),
}

/// Shortest password that can be set, in bytes.
const MIN_PASSWORD: usize = 8;

/// What will verify a password, before it is stored.
#[derive(Clone)]
pub struct HashedPassword(String);

impl HashedPassword {
    /// Hashes a password that may be set: slow, so before the transaction that sets it.
    pub fn new(
        password: &str,
        passwords: &Passwords,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, DirectoryError> {
        if !(MIN_PASSWORD..=limits::MAX_PASSWORD).contains(&password.len()) {
            return Err(DirectoryError::BadPassword);
        }
        Ok(Self(passwords.hash(password.as_bytes(), entropy)?))
    }

    /// A hash that was made elsewhere: Argon2id in the PHC string format, of at most
    /// [`limits::MAX_HASH_MEMORY_KIB`]. The scheme prefix that Dovecot writes is passed over.
    pub fn import(text: &str) -> Result<Self, DirectoryError> {
        let text = text.strip_prefix("{ARGON2ID}").unwrap_or(text);
        match crate::password::is_importable(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(DirectoryError::BadHash),
        }
    }
}

/// Sets the account's password.
pub fn set_password(
    engine: &dyn Engine,
    account: AccountId,
    password: &str,
    passwords: &Passwords,
    entropy: &mut dyn Entropy,
) -> Result<(), DirectoryError> {
    let hashed = HashedPassword::new(password, passwords, entropy)?;
    transact(engine, |txn| {
        set_password_in(txn, account, &hashed).map(Verdict::Commit)
    })
}

/// [`set_password`] as a part of a transaction.
pub fn set_password_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    hashed: &HashedPassword,
) -> Result<(), DirectoryError> {
    tables::require_account(txn, account)?;
    let key = tables::credential_key(account, CredentialId::PASSWORD.0);
    txn.put(key, encode(&Stored::Password(hashed.0.clone())));
    drop_subscriptions_in(txn, account, Some(CredentialId::PASSWORD))?;
    // Whoever was invited with another password was somebody else, as far as is known.
    factor::void_invitations_in(txn, account)?;
    Ok(())
}

/// Makes an app password. The caller shows the secret; after a lost answer it makes another.
pub fn add_app_password(
    engine: &dyn Engine,
    account: AccountId,
    label: &str,
    scopes: &[Scope],
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Result<NewAppPassword, DirectoryError> {
    let secret = AppSecret::new(entropy);
    transact(engine, |txn| {
        let info = add_app_password_in(txn, account, label, scopes, &secret, now)?;
        let secret = secret.0.clone();
        Ok(Verdict::Commit(NewAppPassword { info, secret }))
    })
}

/// The secret of an app password that is not stored yet.
pub struct AppSecret(String);

impl AppSecret {
    /// A fresh one.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        Self(new_secret(entropy))
    }

    /// The secret, to be shown once.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// [`add_app_password`] as a part of a transaction.
///
/// Where the account has as many as it may, the oldest that is revoked makes room.
pub fn add_app_password_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    label: &str,
    scopes: &[Scope],
    secret: &AppSecret,
    now: Timestamp,
) -> Result<AppPassword, DirectoryError> {
    if label.len() > limits::MAX_TEXT {
        return Err(DirectoryError::Limit(Limit::Label));
    }
    let known = app_rows(txn, account)?;
    if known.len() >= limits::MAX_APP_PASSWORDS {
        let oldest = known.iter().find(|info| info.revoked.is_some());
        let oldest = oldest.ok_or(DirectoryError::Limit(Limit::AppPasswords))?;
        txn.delete(tables::credential_key(account, oldest.id.0));
    }
    let last = known.iter().map(|info| info.id.0).max();
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    let info = AppPassword {
        id: CredentialId(last.unwrap_or(0) + 1),
        label: label.to_owned(),
        scopes,
        created: now,
        revoked: None,
    };
    let key = tables::credential_key(account, info.id.0);
    // Reading the row makes two that take the same id conflict.
    txn.get(&key)?;
    txn.put(key, encode(&Stored::App(info.clone(), digest(&secret.0))));
    Ok(info)
}

/// Revokes an app password; its row stays. False when it was revoked before.
pub fn revoke_app_password(
    engine: &dyn Engine,
    account: AccountId,
    id: CredentialId,
    now: Timestamp,
) -> Result<bool, DirectoryError> {
    transact(engine, |txn| {
        revoke_app_password_in(txn, account, id, now).map(Verdict::Commit)
    })
}

/// [`revoke_app_password`] as a part of a transaction.
pub fn revoke_app_password_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: CredentialId,
    now: Timestamp,
) -> Result<bool, DirectoryError> {
    let not_found = DirectoryError::NotFound("app password");
    let key = tables::credential_key(account, id.0);
    let Some(row) = txn.get(&key)? else {
        return Err(not_found);
    };
    match decode(id, &row)? {
        Stored::Password(_) => Err(not_found),
        Stored::App(info, _) if info.revoked.is_some() => Ok(false),
        Stored::App(mut info, digest) => {
            info.revoked = Some(now);
            txn.put(key, encode(&Stored::App(info, digest)));
            drop_subscriptions_in(txn, account, Some(id))?;
            Ok(true)
        }
    }
}

/// The account's app passwords, revoked ones included, without their secrets.
pub fn list_app_passwords(
    reader: &dyn Read,
    account: AccountId,
) -> Result<Vec<AppPassword>, StoreError> {
    let stored = all(reader, account)?;
    let app = |stored: Stored| match stored {
        Stored::App(info, _) => Some(info),
        Stored::Password(_) => None,
    };
    Ok(stored.into_iter().filter_map(app).collect())
}

/// Every credential of an account.
pub(crate) fn all(reader: &dyn Read, account: AccountId) -> Result<Vec<Stored>, StoreError> {
    let most = limits::MAX_APP_PASSWORDS + 1;
    let page = reader.scan(&tables::credentials_of(account), most)?;
    let mut found = Vec::with_capacity(page.rows.len());
    for (key, value) in &page.rows {
        let (_, id) = tables::read_two(key)?;
        found.push(decode(CredentialId(id), value)?);
    }
    Ok(found)
}

/// What is stored of an app password's secret. Dashes, spaces and case are the typist's.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    let plain: String = secret
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    blake3::derive_key("tern 2026-11 app password", plain.as_bytes())
}

fn app_rows(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<Vec<AppPassword>, DirectoryError> {
    tables::require_account(txn, account)?;
    let page = txn.scan(
        &tables::credentials_of(account),
        limits::MAX_APP_PASSWORDS + 1,
    )?;
    let mut found = Vec::new();
    for (key, value) in &page.rows {
        let (_, id) = tables::read_two(key)?;
        if let Stored::App(info, _) = decode(CredentialId(id), value)? {
            found.push(info);
        }
    }
    Ok(found)
}

/// 25 letters and digits: 125 bits.
fn new_secret(entropy: &mut dyn Entropy) -> String {
    random_letters(25, entropy)
}

/// Letters and digits (5 bits each), in groups of 5, without those that look alike.
pub(crate) fn random_letters(count: usize, entropy: &mut dyn Entropy) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut random = vec![0; count];
    entropy.fill(&mut random);
    let mut out = String::with_capacity(count + count / 5);
    for (n, byte) in random.iter().enumerate() {
        if n > 0 && n % 5 == 0 {
            out.push('-');
        }
        // Five bits are always below 32.
        out.push(char::from(ALPHABET[usize::from(byte & 31)]));
    }
    out
}

pub(crate) fn encode(stored: &Stored) -> Vec<u8> {
    let mut w = Writer::versioned(tables::VERSION);
    match stored {
        Stored::Password(hash) => w.byte(0).text(hash),
        Stored::App(info, digest) => {
            w.byte(1).array(digest).text(&info.label);
            w.list(&info.scopes, |w, scope| {
                w.text(scope.as_str());
            });
            w.number(info.created.0).option(info.revoked, |w, time| {
                w.number(time.0);
            })
        }
    };
    w.finish()
}

pub(crate) fn decode(id: CredentialId, bytes: &[u8]) -> Result<Stored, Damaged> {
    let mut r = Reader::of_version(bytes, tables::VERSION)?;
    Ok(match r.byte()? {
        0 => Stored::Password(r.text()?),
        1 => {
            let digest = r.array()?;
            let info = AppPassword {
                id,
                label: r.text()?,
                scopes: r.list(|r| Scope::parse(&r.text()?).ok_or(Damaged))?,
                created: Timestamp(r.number()?),
                revoked: r.option(Reader::number)?.map(Timestamp),
            };
            Stored::App(info, digest)
        }
        _ => return Err(Damaged),
    })
}
