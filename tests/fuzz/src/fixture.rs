//! The store that inputs start from: two accounts with a few messages, one of them in the vault.
//!
//! Invariant: made once for each process, always the same; every input gets a copy of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use roaring::RoaringBitmap;
use tern_base::{AccountId, MailboxId, OriginId, SeededEntropy, Timestamp};
use tern_mailbox::{
    AppendRequest, Cover, Flags, FolderSpec, INBOX, MailboxError, Mailboxes, NoListener, Opened,
    Origins, Outside, Role, Seal, SealTag, SystemFlag, Upkeep, Viewer,
};
use tern_store::{Engine, MemEngine, Transaction, Verdict};

/// The account that inputs act for.
pub const ALICE: AccountId = AccountId(1);
/// Another account.
pub const BOB: AccountId = AccountId(2);
/// The time at which an input begins.
pub const NOW: Timestamp = Timestamp(1_795_298_760_000);
/// The tag of the message in the vault.
pub const TAG: SealTag = SealTag([9; 16]);

/// Bounds what COPY can multiply.
const QUOTA_BYTES: u64 = 64 * 1024;
const CONTENT_KEY: [u8; 32] = [7; 32];
const TOKEN_KEY: [u8; 32] = [9; 32];

const FOLDERS: [FolderSpec; 2] = [
    FolderSpec {
        path: "Sent",
        role: Some(Role::Sent),
    },
    FolderSpec {
        path: "Trash",
        role: Some(Role::Trash),
    },
];

const LETTERS: [&str; 4] = [
    "From: Bob <bob@example.org>\r\nTo: alice@example.org\r\nSubject: =?utf-8?Q?caf=C3=A9?=\r\n\
     Date: Sat, 21 Nov 2026 22:06:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nPlain text.\r\n",
    "From: carol@example.org\r\nTo: a: alice@example.org, bob@example.org;\r\nSubject: Re: caf\r\n\
     In-Reply-To: <1@example.org>\r\nMIME-Version: 1.0\r\n\
     Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n--b\r\n\
     Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
     <p>na=C3=AFve</p>\r\n--b\r\nContent-Type: application/octet-stream; name=x.bin\r\n\
     Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=x.bin\r\n\r\n\
     SGVsbG8AV29ybGQ=\r\n--b--\r\n",
    "Subject: forwarded\r\nContent-Type: message/rfc822\r\n\r\nFrom: d@example.org\r\n\
     Subject: inside\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\none\r\n\
     --c\r\nContent-Type: text/html\r\n\r\n<b>two</b>\r\n--c--\r\n",
    "no header at all, and \u{e9}",
];

const WITHDRAWN: &[u8] = b"Subject: withdrawn\r\nMessage-ID: <9@example.org>\r\n\r\nGone.\r\n";

static BASE: LazyLock<MemEngine> = LazyLock::new(build);

/// A copy of the store.
pub fn engine() -> MemEngine {
    BASE.fork()
}

/// The mailboxes over it.
///
/// # Errors
/// Where the store is damaged.
pub fn open(engine: &MemEngine) -> Result<Opened, MailboxError> {
    let keys = tern_recall::Keys {
        content: CONTENT_KEY,
        token: TOKEN_KEY,
    };
    let engine: Arc<dyn Engine> = Arc::new(engine.clone());
    let settings = tern_recall::Settings::default();
    let mailboxes = tern_recall::mailboxes(&engine, keys, &settings, Arc::new(NoListener))?;
    Ok(mailboxes.into_opened())
}

/// Asserts that the mailboxes are consistent.
pub fn assert_clean(upkeep: &Upkeep) {
    let findings = upkeep.check(&BTreeMap::new()).unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Appends a message.
///
/// # Errors
/// What the mailboxes say.
pub fn append(
    mailboxes: &Mailboxes,
    account: AccountId,
    mailbox: MailboxId,
    content: &[u8],
) -> Result<(), MailboxError> {
    let entropy = &mut SeededEntropy::new(content.len() as u64);
    let request = AppendRequest {
        account,
        mailbox,
        content: content.to_vec(),
        flags: Flags::of(&[SystemFlag::Flagged]),
        received: None,
        origin: OriginId::new(NOW, entropy),
        by: Viewer::default().into(),
    };
    mailboxes.append(request, NOW).map(drop)
}

fn build() -> MemEngine {
    let engine = MemEngine::new();
    let opened = open(&engine).unwrap();
    let mailboxes = &opened.mailboxes;
    for account in [ALICE, BOB] {
        mailboxes
            .create_account(account, QUOTA_BYTES, &FOLDERS, NOW)
            .unwrap();
        for letter in LETTERS {
            append(mailboxes, account, INBOX, letter.as_bytes()).unwrap();
        }
        append(mailboxes, account, INBOX, WITHDRAWN).unwrap();
    }
    mailboxes
        .create_folder(ALICE, "Projects/T\u{e9}rn", None, NOW)
        .unwrap();
    withdraw(&opened);
    assert_clean(&opened.upkeep);
    drop(opened);
    engine
}

fn withdraw(opened: &Opened) {
    let Opened {
        mailboxes, sealing, ..
    } = opened;
    let digest = tern_mime::content_digest(mailboxes.content_key(), WITHDRAWN);
    let seal = Seal {
        tag: TAG,
        cover: Cover::Except(RoaringBitmap::new()),
        outside: Outside::All,
        origins: Origins::all(),
        attached: true,
        part: None,
        active: true,
        until: Timestamp(u64::MAX),
    };
    sealing
        .seal(digest, seal, |_| Ok::<_, MailboxError>(()))
        .unwrap();
    let copies: Vec<_> = mailboxes
        .copies(digest)
        .unwrap()
        .iter()
        .map(|copy| (copy.account, copy.message))
        .collect();
    let work = |txn: &mut Transaction<'_>| -> Result<_, MailboxError> {
        sealing.withdraw_in(txn, &copies, TAG, NOW)?;
        Ok::<_, MailboxError>(Verdict::Commit(()))
    };
    mailboxes.transact(&[ALICE, BOB], work).unwrap();
}
