//! Two accounts over the in-memory engine.
#![allow(dead_code, reason = "shared by test files that each use a part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tern_base::{AccountId, MailboxId, OriginId, SeededEntropy, Timestamp};
use tern_mailbox::{
    AppendRequest, Cover, Flags, FolderSpec, Hooks, INBOX, Landing, Lineage, MailboxError,
    Mailboxes, NoListener, Opened, Origins, Outside, Placed, Role, Seal, SealTag, Sealing, Upkeep,
    Viewer,
};
use tern_store::{MemEngine, Verdict};

pub(crate) const ALICE: AccountId = AccountId(1);
pub(crate) const BOB: AccountId = AccountId(2);
pub(crate) const TAG: SealTag = SealTag([9; 16]);
pub(crate) const FOLDERS: [FolderSpec; 2] = [
    FolderSpec {
        path: "Sent",
        role: Some(Role::Sent),
    },
    FolderSpec {
        path: "Trash",
        role: Some(Role::Trash),
    },
];

pub(crate) struct House {
    pub(crate) engine: MemEngine,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sealing: Sealing,
    pub(crate) upkeep: Upkeep,
    pub(crate) entropy: SeededEntropy,
    pub(crate) now: Timestamp,
}

impl House {
    pub(crate) fn new() -> Self {
        let engine = MemEngine::new();
        let house = Self::over(engine.clone(), open(&engine));
        for account in [ALICE, BOB] {
            house
                .mailboxes
                .create_account(account, 0, &FOLDERS, house.now)
                .unwrap();
        }
        house
    }

    /// Without any account as yet.
    pub(crate) fn over(engine: MemEngine, opened: Opened) -> Self {
        Self {
            engine,
            mailboxes: opened.mailboxes,
            sealing: opened.sealing,
            upkeep: opened.upkeep,
            entropy: SeededEntropy::new(1),
            now: Timestamp::from_secs(1_800_000_000),
        }
    }

    /// After a restart of the server.
    pub(crate) fn reopen(&mut self) {
        self.reopen_as(open(&self.engine));
    }

    pub(crate) fn reopen_as(&mut self, opened: Opened) {
        self.mailboxes = opened.mailboxes;
        self.sealing = opened.sealing;
        self.upkeep = opened.upkeep;
    }

    pub(crate) fn append(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        content: &[u8],
    ) -> Placed {
        let origin = OriginId::new(self.now, &mut self.entropy);
        let request = AppendRequest {
            account,
            mailbox,
            content: content.to_vec(),
            flags: Flags::empty(),
            received: None,
            origin,
            by: Viewer::default().into(),
        };
        self.mailboxes.append(request, self.now).unwrap()
    }

    /// What nobody's client brought.
    pub(crate) fn deliver(&self, account: AccountId, content: &[u8]) -> Placed {
        let prepared = self.mailboxes.prepare(content.to_vec(), self.now).unwrap();
        let landing = landing(account, OriginId([0; 16]), self.now);
        let placed = self.mailboxes.land(&prepared, &[landing], self.now);
        placed.unwrap().pop().unwrap().unwrap()
    }

    pub(crate) fn uids(&self, account: AccountId, mailbox: MailboxId) -> Vec<u32> {
        self.mailboxes
            .view(account, mailbox)
            .unwrap()
            .iter()
            .map(|entry| entry.uid.0)
            .collect()
    }

    pub(crate) fn seal(&self, content: &[u8], cover: Cover) -> tern_base::ContentDigest {
        let digest = tern_mime::content_digest(self.mailboxes.content_key(), content);
        self.sealing
            .seal(digest, seal_over(cover, Timestamp(u64::MAX)), |_| {
                Ok::<_, MailboxError>(())
            })
            .unwrap();
        digest
    }

    pub(crate) fn withdraw_all(&self, digest: tern_base::ContentDigest) -> usize {
        let copies = self.mailboxes.copies(digest).unwrap();
        let copies: Vec<_> = copies
            .iter()
            .map(|copy| (copy.account, copy.message))
            .collect();
        let accounts: Vec<_> = copies.iter().map(|copy| copy.0).collect();
        let work = |txn: &mut tern_store::Transaction<'_>| {
            let gone = self.sealing.withdraw_in(txn, &copies, TAG, self.now)?;
            Ok::<_, MailboxError>(Verdict::Commit(gone.into_iter().flatten().count()))
        };
        self.mailboxes.transact(&accounts, work).unwrap()
    }

    pub(crate) fn restore_all(&self) {
        for copy in self.sealing.vaulted(TAG, None, 100).unwrap() {
            let work = |txn: &mut tern_store::Transaction<'_>| {
                self.sealing
                    .restore_in(txn, copy.account, copy.message)
                    .map(Verdict::Commit)
            };
            self.mailboxes
                .transact(&[copy.account], work)
                .unwrap()
                .unwrap();
        }
    }

    pub(crate) fn check(&self) {
        let findings = self.upkeep.check(&BTreeMap::new()).unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

pub(crate) fn open(engine: &MemEngine) -> Opened {
    open_with(engine, Hooks::none()).into_opened()
}

/// The same, whose writers do not wait for each other.
pub(crate) fn open_without_lanes(engine: &MemEngine) -> Opened {
    let mailboxes = open_with(engine, Hooks::none());
    mailboxes.without_lanes().into_opened()
}

/// Mailboxes that are not handed out yet.
pub(crate) fn open_with(engine: &MemEngine, hooks: Hooks) -> Mailboxes {
    Mailboxes::open(
        Arc::new(engine.clone()),
        [7; 32],
        Arc::new(NoListener),
        hooks,
    )
    .unwrap()
}

/// How a letter comes that nobody's client brings.
pub(crate) fn landing(account: AccountId, origin: OriginId, received: Timestamp) -> Landing {
    Landing {
        account,
        mailbox: INBOX,
        flags: Flags::empty(),
        received,
        prefix: Vec::new(),
        origin,
        lineage: Lineage::Delivered,
        brought_by: None,
    }
}

/// A seal over the copies of a letter, however they came.
pub(crate) fn seal_over(cover: Cover, until: Timestamp) -> Seal {
    Seal {
        tag: TAG,
        cover,
        outside: Outside::All,
        origins: Origins::all(),
        attached: true,
        part: None,
        active: true,
        until,
    }
}

pub(crate) fn letter(n: usize) -> Vec<u8> {
    format!(
        "From: a@example.org\r\nTo: b@example.org\r\nSubject: Letter {n}\r\n\
         Date: Sat, 21 Nov 2026 22:06:00 +0000\r\nMessage-ID: <{n}@example.org>\r\n\r\nBody {n}\r\n"
    )
    .into_bytes()
}
