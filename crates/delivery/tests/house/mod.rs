//! A small organisation over the in-memory engine, and the checks that every test ends with.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses its part, and may panic"
)]

use std::sync::Arc;

use tern_base::{
    AccountId, Domain, EmailAddress, MessageId, OriginId, SeededEntropy, ThreadId, Timestamp,
};
use tern_delivery::{
    Accepted, Delivery, DeliveryError, Envelope, Incoming, IncomingRecipient, NewSending, Settings,
    Stop, Submitter,
};
use tern_directory::target::Target;
use tern_directory::{
    NewAccount, add_domain, add_members, create_account, create_group, set_alias,
};
use tern_mailbox::{INBOX, Mailboxes, NoListener, Opened, Sealing, Upkeep};
use tern_policy::Policy;
use tern_queue::Schedule;
use tern_recall::Recalls;
use tern_store::{Engine, MemEngine};

pub(crate) const TOKEN_KEY: [u8; 32] = [7; 32];
pub(crate) const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "gone"];

pub(crate) fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// A letter as those have it to whom this submission brought it.
pub(crate) fn as_sent_by(sent: OriginId, letter: &str) -> String {
    let digest = tern_mime::content_digest(&[3; 32], letter.as_bytes());
    let token = tern_recall::token::issue(&TOKEN_KEY, sent, digest);
    format!("Recall-Token: {token}\r\n{letter}")
}

fn open(engine: Arc<dyn Engine>) -> (Opened, Delivery) {
    let keys = tern_recall::Keys {
        content: [3; 32],
        token: TOKEN_KEY,
    };
    let settings = tern_recall::Settings::default();
    let mailboxes = tern_recall::mailboxes(&engine, keys, &settings, Arc::new(NoListener));
    let opened = mailboxes.unwrap().into_opened();
    let settings = Settings {
        hostname: "mx.tern.test".to_owned(),
        schedule: Schedule::default(),
        label_header: "X-Label".to_owned(),
    };
    let delivery = Delivery::new(engine, Arc::clone(&opened.mailboxes), settings, TOKEN_KEY);
    (opened, delivery)
}

pub(crate) struct House {
    pub(crate) engine: MemEngine,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sealing: Sealing,
    pub(crate) upkeep: Upkeep,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) entropy: SeededEntropy,
    pub(crate) now: Timestamp,
    pub(crate) sent: u8,
}

impl House {
    /// Five people, a group of three of them and an outside member, and some aliases.
    pub(crate) fn new() -> Self {
        let engine = MemEngine::new();
        let now = Timestamp::from_secs(1_800_000_000);
        let house = Self::over(engine, now);
        let engine = &house.engine;
        add_domain(engine, &Domain::parse("tern.test").unwrap(), now).unwrap();
        for name in NAMES {
            house.add_account(name);
        }
        tern_directory::update_account(engine, house.account("gone"), |a| a.disabled = true)
            .unwrap();
        let to = |text: &str| Target::Address(address(text));
        let alias = |from: &str, targets: &[Target]| {
            set_alias(engine, &address(from), targets).unwrap();
        };
        alias("al@tern.test", &[to("alice@tern.test")]);
        alias(
            "both@tern.test",
            &[to("alice@tern.test"), to("bob@tern.test")],
        );
        alias("away@tern.test", &[to("al@far.example")]);
        alias(
            "mixed@tern.test",
            &[to("bob@tern.test"), to("ed@far.example")],
        );
        let staff = create_group(engine, &address("staff@tern.test"), "Staff", now).unwrap();
        let members = ["alice", "bob", "gone"].map(|n| to(&format!("{n}@tern.test")));
        add_members(engine, staff.id, &members).unwrap();
        let all = create_group(engine, &address("all@tern.test"), "All", now).unwrap();
        let members = ["staff@tern.test", "carol@tern.test", "ext@far.example"].map(to);
        add_members(engine, all.id, &members).unwrap();
        house
    }

    /// The same organisation over what an engine holds: after a crash.
    pub(crate) fn over(engine: MemEngine, now: Timestamp) -> Self {
        let (opened, delivery) = open(Arc::new(engine.clone()));
        Self {
            engine,
            mailboxes: opened.mailboxes,
            sealing: opened.sealing,
            upkeep: opened.upkeep,
            delivery: Arc::new(delivery),
            entropy: SeededEntropy::new(1),
            now,
            sent: 0,
        }
    }

    /// The delivery of another process, over an engine that leads to the same store.
    pub(crate) fn delivery_over(&self, engine: Arc<dyn Engine>) -> Delivery {
        open(engine).1
    }

    /// The handles themselves, for whoever is opened over them.
    pub(crate) fn opened(&self) -> Opened {
        Opened {
            mailboxes: Arc::clone(&self.mailboxes),
            sealing: self.sealing.clone(),
            upkeep: self.upkeep.clone(),
        }
    }

    /// The recalls of this store, where whoever asks may.
    pub(crate) fn recalls(&self) -> Recalls {
        self.recalls_under(tern_policy::unattended())
    }

    pub(crate) fn recalls_under(&self, policy: Arc<dyn Policy>) -> Recalls {
        let settings = tern_recall::Settings::default();
        Recalls::open(
            Arc::new(self.engine.clone()),
            &self.opened(),
            policy,
            settings,
        )
    }

    /// What Alice asks to be sent to these, with parameters of its `MAIL`.
    pub(crate) fn sending(&self, to: &[&str], mail: &[(&str, &str)], letter: &str) -> NewSending {
        let stop = |email: &str| Stop {
            email: email.to_owned(),
            parameters: Vec::new(),
        };
        let mut mail_from = stop("alice@tern.test");
        let parameters = mail.iter();
        let parameters = parameters.map(|(name, value)| ((*name).into(), Some((*value).into())));
        mail_from.parameters.extend(parameters);
        NewSending {
            submitter: Submitter {
                account: self.account("alice"),
                login: "alice@tern.test".to_owned(),
                connection: None,
            },
            identity: 1,
            email: MessageId(7),
            thread: ThreadId(7),
            content: letter.as_bytes().to_vec(),
            envelope: Envelope {
                mail_from,
                rcpt_to: to.iter().map(|to| stop(to)).collect(),
            },
        }
    }

    pub(crate) fn add_account(&self, name: &str) -> AccountId {
        let new = NewAccount {
            address: address(&format!("{name}@tern.test")),
            display_name: name.to_owned(),
            quota_bytes: 0,
        };
        let id = create_account(&self.engine, &new, self.now).unwrap().id;
        self.mailboxes.create_account(id, 0, &[], self.now).unwrap();
        id
    }

    /// Sends an account's mail on.
    pub(crate) fn redirect(&self, from: AccountId, to: &[EmailAddress], keep: bool) {
        tern_store::transact(&self.engine, |txn| {
            tern_directory::set_redirect_in(txn, from, to, keep).map(tern_store::Verdict::Commit)
        })
        .unwrap();
    }

    pub(crate) fn account(&self, name: &str) -> AccountId {
        let address = address(&format!("{name}@tern.test"));
        let found = tern_directory::account_by_address(&self.engine, &address);
        found.unwrap().unwrap().id
    }

    pub(crate) fn incoming(
        &mut self,
        from: &str,
        to: &[&str],
        submitter: Option<&str>,
    ) -> Incoming {
        self.sent += 1;
        Incoming {
            origin: OriginId([self.sent; 16]),
            mail_from: (from != "<>").then(|| address(from)),
            recipients: to
                .iter()
                .map(|to| IncomingRecipient::new(address(to)))
                .collect(),
            ret: None,
            envid: None,
            smtputf8: false,
            content: Vec::new(),
            submitter: submitter.map(|login| Submitter {
                account: self.account(login),
                login: login.to_owned(),
                connection: None,
            }),
        }
    }

    pub(crate) fn accept(&mut self, incoming: Incoming) -> Result<Accepted, DeliveryError> {
        self.delivery.accept(incoming, self.now, &mut self.entropy)
    }

    /// Every message of an inbox, the oldest first.
    pub(crate) fn inbox(&self, account: AccountId) -> Vec<String> {
        let view = self.mailboxes.view(account, INBOX).unwrap();
        let text = |id| {
            let row = self.mailboxes.message(account, id).unwrap();
            let body = self.mailboxes.read(account, &row, 0..u64::MAX).unwrap();
            String::from_utf8_lossy(&body.0).into_owned()
        };
        view.iter().map(|entry| text(entry.message)).collect()
    }

    /// The whole store holds together.
    pub(crate) fn check(&self) {
        let checked = self.delivery.check().unwrap();
        assert_eq!(checked.findings, []);
        assert_eq!(self.upkeep.check(&checked.references).unwrap(), []);
        assert_eq!(tern_queue::check(&self.engine).unwrap(), []);
        assert_eq!(tern_directory::check(&self.engine).unwrap(), []);
    }
}
