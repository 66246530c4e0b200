//! Two accounts over the in-memory engine, and requests to them without a server.
#![allow(dead_code, reason = "shared by test files that each use a part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

pub(crate) mod faulty;
pub(crate) mod recall;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tern_base::{AccountId, Domain, EmailAddress, OriginId, SeededEntropy, Timestamp};
use tern_delivery::{Delivery, Incoming, IncomingRecipient, Outbox, Settings};
use tern_directory::{
    CredentialId, Identities, NewAccount, Principals, PushKeys, Subscriptions, Visible, add_domain,
    create_account,
};
use tern_jmap::blob_id::{BlobKey, BlobRef};
use tern_jmap::{Caller, Capability, PushDesk, Request, UploadDesk, Verbs};
use tern_mailbox::{FolderSpec, Mailboxes, NoListener, Opened, Role, Sealing, Upkeep};
use tern_policy::Policy;
use tern_recall::Recalls;
use tern_session::sharing::Sharing;
use tern_session::{ContentMemory, Mechanism, Unlimited, ids};
use tern_store::{Engine, MemEngine};

use recall::Desk;

pub(crate) const BOB: AccountId = AccountId(1);
pub(crate) const CAROL: AccountId = AccountId(2);
const FOLDERS: [FolderSpec; 3] = [
    FolderSpec {
        path: "Drafts",
        role: Some(Role::Drafts),
    },
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
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sealing: Sealing,
    pub(crate) upkeep: Upkeep,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) outbox: Outbox,
    pub(crate) identities: Identities,
    pub(crate) principals: Principals,
    pub(crate) sharing: Sharing,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) entropy: SeededEntropy,
    pub(crate) now: Timestamp,
    pub(crate) recalls: Arc<Recalls>,
    desk: Desk,
    /// How often anybody may upload yet within a request.
    pub(crate) uploads: Uploads,
    /// Who calls.
    pub(crate) who: AccountId,
    /// By which credential.
    pub(crate) credential: CredentialId,
    /// For answers.
    pub(crate) memory: Arc<dyn ContentMemory>,
}

/// Pushes anywhere but to one host, for keys that are points.
struct Push;

impl PushDesk for Push {
    fn may_reach(&self, url: &url::Url) -> bool {
        url.host_str() != Some("10.0.0.1")
    }

    fn can_use(&self, keys: &PushKeys) -> bool {
        keys.p256dh[0] == 4
    }
}

/// So many uploads more.
pub(crate) struct Uploads(pub(crate) AtomicU32);

impl UploadDesk for Uploads {
    fn may_upload(&self, _: AccountId) -> bool {
        let less = |left: u32| left.checked_sub(1);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok()
    }
}

impl House {
    pub(crate) fn new() -> Self {
        Self::under(tern_policy::unattended())
    }

    /// A house where this policy decides on recalls.
    pub(crate) fn under(policy: Arc<dyn Policy>) -> Self {
        Self::over(Arc::new(MemEngine::new()), policy)
    }

    /// A house over this store.
    pub(crate) fn over(engine: Arc<dyn Engine>, policy: Arc<dyn Policy>) -> Self {
        let keys = tern_recall::Keys {
            content: [7; 32],
            token: [9; 32],
        };
        let settings = tern_recall::Settings::default();
        let opened = tern_recall::open(
            Arc::clone(&engine),
            keys,
            policy,
            settings,
            Arc::new(NoListener),
        );
        let (opened, recalls) = opened.unwrap();
        let Opened {
            mailboxes,
            sealing,
            upkeep,
        } = opened;
        let now = Timestamp::from_secs(1_800_000_000);
        add_domain(&*engine, &Domain::parse("example.org").unwrap(), now).unwrap();
        for (account, name) in [(BOB, "bob"), (CAROL, "carol")] {
            let new = NewAccount {
                address: EmailAddress::parse(&format!("{name}@example.org")).unwrap(),
                display_name: name.to_owned(),
                quota_bytes: 0,
            };
            assert_eq!(create_account(&*engine, &new, now).unwrap().id, account);
            mailboxes.create_account(account, 0, &FOLDERS, now).unwrap();
        }
        let recalls = Arc::new(recalls);
        let settings = Settings {
            hostname: "mx.example.org".to_owned(),
            schedule: tern_queue::Schedule::default(),
            label_header: "X-Label".to_owned(),
        };
        let delivery = Delivery::new(
            Arc::clone(&engine),
            Arc::clone(&mailboxes),
            settings,
            [9; 32],
        );
        let delivery = Arc::new(delivery);
        Self {
            desk: Desk(Arc::clone(&recalls)),
            uploads: Uploads(AtomicU32::new(u32::MAX)),
            recalls,
            who: BOB,
            outbox: Outbox::new(Arc::clone(&delivery), |_| {}),
            delivery,
            identities: Identities::new(Arc::clone(&engine)),
            principals: Principals::new(Arc::clone(&engine), Visible::Domain),
            sharing: Sharing::new(Arc::clone(&engine), Visible::Domain),
            subscriptions: Subscriptions::new(Arc::clone(&engine)),
            credential: CredentialId::PASSWORD,
            memory: Arc::new(Unlimited),
            engine,
            mailboxes,
            sealing,
            upkeep,
            entropy: SeededEntropy::new(1),
            now,
        }
    }

    pub(crate) fn verbs(&self) -> Verbs<'_> {
        Verbs {
            mailboxes: &self.mailboxes,
            identities: &self.identities,
            principals: &self.principals,
            sharing: &self.sharing,
            recalls: &self.recalls,
            desk: &self.desk,
            subscriptions: &self.subscriptions,
            push: &Push,
            uploads: &self.uploads,
            outbox: &self.outbox,
        }
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller {
            account: self.who,
            login: match self.who {
                BOB => "bob@example.org".to_owned(),
                _ => "carol@example.org".to_owned(),
            },
            mechanism: Mechanism::Basic,
            credential: self.credential,
            token: None,
            user_agent: "Probe/1.0".to_owned(),
            address: "192.0.2.1".to_owned(),
        }
    }

    /// The responses to these method calls.
    pub(crate) fn calls(&mut self, calls: &Value) -> Vec<Value> {
        let using: Vec<&str> = Capability::ALL.iter().map(|it| it.uri()).collect();
        let request = json!({"using": using, "methodCalls": calls, "createdIds": {}});
        let response = self.request(&request);
        response["methodResponses"].as_array().unwrap().clone()
    }

    /// The response to a request.
    pub(crate) fn request(&mut self, request: &Value) -> Value {
        let request = Request::parse(request.to_string().as_bytes()).unwrap();
        let caller = self.caller();
        let verbs = Verbs {
            mailboxes: &self.mailboxes,
            identities: &self.identities,
            principals: &self.principals,
            sharing: &self.sharing,
            recalls: &self.recalls,
            desk: &self.desk,
            subscriptions: &self.subscriptions,
            push: &Push,
            uploads: &self.uploads,
            outbox: &self.outbox,
        };
        let (memory, now) = (&*self.memory, self.now);
        let response = tern_jmap::execute(request, &verbs, memory, &caller, now, &mut self.entropy);
        response.into_json()
    }

    /// The response to one call: its name and arguments.
    pub(crate) fn try_call(&mut self, name: &str, mut args: Value) -> (String, Value) {
        let all = args.as_object_mut().unwrap();
        all.entry("accountId")
            .or_insert(ids::account_id(self.who).into());
        let response = self.calls(&json!([[name, args, "c"]])).swap_remove(0);
        (
            response[0].as_str().unwrap().to_owned(),
            response[1].clone(),
        )
    }

    /// The arguments of the response to a call that succeeds.
    pub(crate) fn call(&mut self, name: &str, args: Value) -> Value {
        let (answered, args) = self.try_call(name, args);
        assert_eq!(answered, name, "{args}");
        args
    }

    /// The type of the error that a call answers.
    pub(crate) fn error(&mut self, name: &str, args: Value) -> String {
        let (answered, args) = self.try_call(name, args);
        assert_eq!(answered, "error", "{args}");
        args["type"].as_str().unwrap().to_owned()
    }

    /// What Bob uploads: the blob's id.
    pub(crate) fn upload(&mut self, media_type: &str, octets: &[u8]) -> String {
        self.upload_of(BOB, media_type, octets)
    }

    /// The same of somebody else.
    pub(crate) fn upload_of(&mut self, who: AccountId, media_type: &str, octets: &[u8]) -> String {
        let most = octets.len() as u64;
        let entropy = &mut self.entropy;
        let begun = self
            .mailboxes
            .begin_upload(who, media_type, most, self.now, entropy);
        let mut upload = begun.unwrap();
        self.mailboxes.upload_more(&mut upload, octets).unwrap();
        let done = self.mailboxes.finish_upload(upload, self.now).unwrap();
        BlobRef::upload(done.blob).id(&BlobKey::new(self.mailboxes.content_key()), who)
    }

    /// A letter to Bob from another server.
    pub(crate) fn receive(&mut self, from: &str, letter: &str) {
        let address = |text: &str| EmailAddress::parse(text).unwrap();
        let incoming = Incoming {
            origin: OriginId::new(self.now, &mut self.entropy),
            mail_from: Some(address(from)),
            recipients: vec![IncomingRecipient::new(address("bob@example.org"))],
            ret: None,
            envid: None,
            smtputf8: false,
            content: letter.as_bytes().to_vec(),
            submitter: None,
        };
        let accepted = self.delivery.accept(incoming, self.now, &mut self.entropy);
        accepted.unwrap();
    }

    /// What a blob of Bob's holds, for whoever calls.
    pub(crate) fn download(&self, id: &str) -> Option<Vec<u8>> {
        let verbs = self.verbs();
        let of = (ids::account_id(BOB), id);
        let of = (of.0.as_str(), of.1);
        let download = tern_jmap::Download::begin(&verbs, &self.caller(), of, self.now).unwrap()?;
        Some(download.read(&verbs, 0..u64::MAX).unwrap())
    }

    /// The id of the mailbox of a role.
    pub(crate) fn mailbox(&self, role: Role) -> String {
        let folder = self.mailboxes.folder_of_role(BOB, role).unwrap().unwrap();
        ids::mailbox_id(BOB, folder.id)
    }

    /// The whole store is sound.
    pub(crate) fn check(&self) {
        let findings = self
            .upkeep
            .check(&self.delivery.check().unwrap().references)
            .unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
