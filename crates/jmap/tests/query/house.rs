//! One account over the in-memory engine, asked in JMAP.

use std::sync::Arc;

use serde_json::{Value, json};
use tern_base::{AccountId, MailboxId, OriginId, SeededEntropy, Timestamp, Uid};
use tern_delivery::{Delivery, Outbox, Settings};
use tern_directory::{CredentialId, Identities, Principals, Subscriptions, Visible};
use tern_jmap::{AnyUploads, Caller, Capability, NoDesk, NoPush, Request, Verbs, execute};
use tern_mailbox::{
    AppendRequest, Cover, Flags, FolderSpec, MailboxError, Mailboxes, NoListener, Opened, Origins,
    Outside, Role, Seal, SealTag, Sealing, Upkeep, Viewer,
};
use tern_recall::Recalls;
use tern_session::sharing::Sharing;
use tern_session::{Mechanism, Unlimited};
use tern_store::{MemEngine, Transaction, Verdict};

pub(crate) const ALICE: AccountId = AccountId(1);
const TAG: SealTag = SealTag([9; 16]);

pub(crate) struct House {
    pub(crate) engine: Arc<MemEngine>,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sealing: Sealing,
    pub(crate) upkeep: Upkeep,
    recalls: Recalls,
    identities: Identities,
    principals: Principals,
    sharing: Sharing,
    subscriptions: Subscriptions,
    outbox: Outbox,
    entropy: SeededEntropy,
    pub(crate) now: Timestamp,
}

impl House {
    pub(crate) fn new() -> Self {
        let engine = Arc::new(MemEngine::new());
        let keys = tern_recall::Keys {
            content: [7; 32],
            token: [9; 32],
        };
        let opened = tern_recall::open(
            engine.clone(),
            keys,
            tern_policy::unattended(),
            tern_recall::Settings::default(),
            Arc::new(NoListener),
        );
        let (opened, recalls) = opened.unwrap();
        let Opened {
            mailboxes,
            sealing,
            upkeep,
        } = opened;
        let now = Timestamp::from_secs(1_800_000_000);
        let folders = [("Sent", Role::Sent), ("Trash", Role::Trash)];
        let folders = folders.map(|(path, role)| FolderSpec {
            path,
            role: Some(role),
        });
        mailboxes.create_account(ALICE, 0, &folders, now).unwrap();
        let settings = Settings {
            hostname: "mx.example.org".to_owned(),
            schedule: tern_queue::Schedule::default(),
            label_header: String::new(),
        };
        let delivery = Delivery::new(engine.clone(), Arc::clone(&mailboxes), settings, [9; 32]);
        Self {
            engine: engine.clone(),
            outbox: Outbox::new(Arc::new(delivery), |_| {}),
            mailboxes,
            sealing,
            upkeep,
            recalls,
            identities: Identities::new(engine.clone()),
            principals: Principals::new(engine.clone(), Visible::default()),
            sharing: Sharing::new(engine.clone(), Visible::default()),
            subscriptions: Subscriptions::new(engine),
            entropy: SeededEntropy::new(1),
            now,
        }
    }

    /// Puts a message into a mailbox, received so many seconds after the beginning.
    pub(crate) fn append(
        &mut self,
        mailbox: MailboxId,
        content: &[u8],
        seconds: u64,
        flags: Flags,
    ) {
        let request = AppendRequest {
            account: ALICE,
            mailbox,
            content: content.to_vec(),
            flags,
            received: Some(Timestamp::from_secs(1_700_000_000 + seconds)),
            origin: OriginId::new(self.now, &mut self.entropy),
            by: Viewer::default().into(),
        };
        self.mailboxes.append(request, self.now).unwrap();
    }

    pub(crate) fn uids(&self, mailbox: MailboxId) -> Vec<Uid> {
        let view = self.mailboxes.view(ALICE, mailbox);
        view.map(|view| view.iter().map(|entry| entry.uid).collect())
            .unwrap_or_default()
    }

    fn digest(&self, content: &[u8]) -> tern_base::ContentDigest {
        tern_mime::content_digest(self.mailboxes.content_key(), content)
    }

    pub(crate) fn seal(&self, content: &[u8]) {
        let seal = Seal {
            tag: TAG,
            cover: Cover::Except([].into()),
            outside: Outside::All,
            origins: Origins::all(),
            attached: true,
            part: None,
            active: true,
            until: Timestamp(u64::MAX),
        };
        let committed = |_: &mut Transaction<'_>| Ok::<_, MailboxError>(());
        self.sealing
            .seal(self.digest(content), seal, committed)
            .unwrap();
    }

    pub(crate) fn unseal(&self, content: &[u8]) {
        let digest = self.digest(content);
        let work = |txn: &mut Transaction<'_>| {
            self.sealing.unseal_in(txn, digest, TAG)?;
            Ok::<_, MailboxError>(Verdict::Commit(()))
        };
        self.mailboxes.transact(&[ALICE], work).unwrap();
        self.sealing.reload_seal(digest, TAG).unwrap();
    }

    pub(crate) fn withdraw(&self, content: &[u8]) {
        let digest = self.digest(content);
        let copies = self.mailboxes.copies(digest).unwrap();
        let copies: Vec<_> = copies.iter().map(|it| (it.account, it.message)).collect();
        let work = |txn: &mut Transaction<'_>| {
            let gone = self.sealing.withdraw_in(txn, &copies, TAG, self.now)?;
            Ok::<_, MailboxError>(Verdict::Commit(gone.len()))
        };
        self.mailboxes.transact(&[ALICE], work).unwrap();
    }

    pub(crate) fn restore_all(&self) {
        for copy in self.sealing.vaulted(TAG, None, 100).unwrap() {
            let work = |txn: &mut Transaction<'_>| {
                self.sealing
                    .restore_in(txn, copy.account, copy.message)
                    .map(Verdict::Commit)
            };
            self.mailboxes.transact(&[ALICE], work).unwrap().unwrap();
        }
    }

    /// The responses to some method calls, each with its name.
    pub(crate) fn calls(&mut self, calls: Value) -> Vec<(String, Value)> {
        let using: Vec<&str> = Capability::ALL.iter().map(|it| it.uri()).collect();
        let request = json!({"using": using, "methodCalls": calls}).to_string();
        let request = Request::parse(request.as_bytes()).unwrap();
        let caller = Caller {
            account: ALICE,
            login: "alice@example.org".to_owned(),
            mechanism: Mechanism::Basic,
            credential: CredentialId::PASSWORD,
            token: None,
            user_agent: "Probe/1.0".to_owned(),
            address: "192.0.2.1".to_owned(),
        };
        let verbs = Verbs {
            mailboxes: &self.mailboxes,
            identities: &self.identities,
            principals: &self.principals,
            sharing: &self.sharing,
            recalls: &self.recalls,
            desk: &NoDesk,
            subscriptions: &self.subscriptions,
            push: &NoPush,
            uploads: &AnyUploads,
            outbox: &self.outbox,
        };
        let now = self.now;
        let response = execute(request, &verbs, &Unlimited, &caller, now, &mut self.entropy);
        let mut response = response.into_json();
        let responses = response["methodResponses"].take();
        let of = |mut it: Value| (it[0].as_str().unwrap().to_owned(), it[1].take());
        responses
            .as_array()
            .unwrap()
            .iter()
            .cloned()
            .map(of)
            .collect()
    }

    /// The response to one call.
    pub(crate) fn try_call(&mut self, name: &str, mut args: Value) -> (String, Value) {
        args["accountId"] = "A1".into();
        self.calls(json!([[name, args, "c"]])).swap_remove(0)
    }

    /// The response to a call that succeeds.
    pub(crate) fn call(&mut self, name: &str, args: Value) -> Value {
        let (answered, answer) = self.try_call(name, args);
        assert_eq!(answered, name, "{answer}");
        answer
    }

    /// The type of the error that a call answers.
    pub(crate) fn error(&mut self, name: &str, args: Value) -> String {
        let (answered, answer) = self.try_call(name, args);
        assert_eq!(answered, "error", "{answer}");
        answer["type"].as_str().unwrap().to_owned()
    }
}
