//! A small organisation over the in-memory engine, for the tests of recalls.
#![allow(dead_code, reason = "shared by test files that each use a part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

pub(crate) mod counting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tern_base::{
    AccountId, ContentDigest, Domain, EmailAddress, Entropy, MailboxId, MessageId, OriginId,
    SeededEntropy, Timestamp, Uid,
};
use tern_directory::{DirectoryError, FactorKey, NewTotp, RecoveryCodes};
use tern_mailbox::{
    AppendRequest, ExposureLevel, Flags, FolderSpec, Hooks, INBOX, Landing, Lineage, MailboxError,
    Mailboxes, NoListener, Opened, Placed, Role, Sealing, Served, Share, Upkeep, Viewer,
};
use tern_policy::{Authentication, Notice, Policy};
use tern_queue::{LeaseId, NewItem, QueueId, Schedule};
use tern_recall::{
    CopyOutcome, Destination, HoldBook, Notices, Outcome, RECALL_KEYWORD, RECALL_MAILBOX, Reason,
    RecallError, RecallId, Recalls, Request, Requested, Requester, Selector, Settings, Subject,
    Submission, Target, submission,
};
use tern_store::{Engine, MemEngine, Verdict, mem::Injected};

pub(crate) const ALICE: AccountId = AccountId(1);
pub(crate) const BOB: AccountId = AccountId(2);
pub(crate) const CAROL: AccountId = AccountId(3);
pub(crate) const DAVE: AccountId = AccountId(4);
pub(crate) const ERIN: AccountId = AccountId(5);
pub(crate) const OUTSIDE: AccountId = AccountId(5);

const FOLDERS: [FolderSpec; 2] = [
    FolderSpec {
        path: "Sent",
        role: Some(Role::Sent),
    },
    FolderSpec {
        path: "Recall",
        role: None,
    },
];

/// Clients bring, and attach, what they had from here, as it was: with the token of a submission of
/// whoever sent the letter first. What bears [`FOREIGN`] they had from elsewhere. (Tokens themselves are the delivery's.)
struct AsItWasSent(Arc<dyn Engine>);

/// A field that is no part of a letter.
pub(crate) const FOREIGN: &str = "X-From: elsewhere\r\n";

impl tern_mailbox::Recogniser for AsItWasSent {
    fn sent_by(&self, digest: ContentDigest, octets: &[u8]) -> Option<OriginId> {
        let foreign = octets.starts_with(FOREIGN.as_bytes());
        let sent = |n| submission::by_digest(&*self.0, AccountId(n), digest).unwrap();
        let first = (1..10).find_map(sent).map(|sent| sent.id);
        first.filter(|_| !foreign)
    }

    fn submitted_by(
        &self,
        account: AccountId,
        digest: ContentDigest,
    ) -> Result<Option<OriginId>, MailboxError> {
        let found = submission::by_digest(&*self.0, account, digest)?;
        Ok(found.map(|found| found.id))
    }

    fn came_back(
        &self,
        _: &tern_mime::ParsedMessage,
        content: &[u8],
    ) -> Result<Option<(ContentDigest, OriginId)>, MailboxError> {
        let digest = tern_mime::content_digest(&[7; 32], content);
        Ok(self.sent_by(digest, content).map(|of| (digest, of)))
    }
}

pub(crate) struct House {
    pub(crate) engine: MemEngine,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sealing: Sealing,
    pub(crate) upkeep: Upkeep,
    pub(crate) recalls: Recalls,
    pub(crate) entropy: SeededEntropy,
    pub(crate) now: Timestamp,
    policy: Arc<dyn Policy>,
}

/// The parts that a server has, over an engine; but for who recognises what came back.
fn opened_over(engine: Arc<dyn Engine>, policy: &Arc<dyn Policy>) -> (Opened, Recalls) {
    let hooks = Hooks {
        marked: Some(RECALL_KEYWORD),
        watched: Some(RECALL_MAILBOX),
        keeper: Some(Arc::new(HoldBook::default())),
        recogniser: Some(Arc::new(AsItWasSent(Arc::clone(&engine)))),
        ..Hooks::none()
    };
    let mailboxes = Mailboxes::open(Arc::clone(&engine), [7; 32], Arc::new(NoListener), hooks);
    let opened = mailboxes.unwrap().into_opened();
    let recalls = Recalls::open(engine, &opened, Arc::clone(policy), Settings::default());
    (opened, recalls)
}

impl House {
    pub(crate) fn new() -> Self {
        Self::under(tern_policy::unattended())
    }

    /// A house with every sentence of the default policy, where Alice has a second factor.
    pub(crate) fn by_default() -> Self {
        let mut house = Self::under(tern_policy::built_in());
        house.enrol(ALICE);
        house
    }

    pub(crate) fn under(policy: Arc<dyn Policy>) -> Self {
        let engine = MemEngine::new();
        let now = Timestamp::from_secs(1_800_000_000);
        let house = Self::open(engine, now, policy);
        let domain = Domain::parse("example.org").unwrap();
        tern_directory::add_domain(&house.engine, &domain, now).unwrap();
        for name in ["alice", "bob", "carol", "dave", "erin"] {
            house.add_account(name);
        }
        house
    }

    pub(crate) fn add_account(&self, name: &str) -> AccountId {
        let new = tern_directory::NewAccount {
            address: EmailAddress::parse(&format!("{name}@example.org")).unwrap(),
            display_name: name.into(),
            quota_bytes: 0,
        };
        let id = tern_directory::create_account(&self.engine, &new, self.now)
            .unwrap()
            .id;
        self.mailboxes
            .create_account(id, 0, &FOLDERS, self.now)
            .unwrap();
        id
    }

    /// Sets up a second factor for an account.
    pub(crate) fn enrol(&mut self, account: AccountId) {
        let key = FactorKey::derive(&[9; 32]);
        let new = NewTotp::new(&key, account, &mut self.entropy).unwrap();
        let secret = totp_rs::Secret::try_from_base32(new.base32()).unwrap();
        let app = totp_rs::Builder::new().with_secret(secret.as_bytes().to_vec());
        let code = app
            .build()
            .unwrap()
            .generate(self.now.as_secs())
            .to_string();
        let codes = RecoveryCodes::new(&mut self.entropy);
        tern_store::transact(&self.engine, |txn| -> Result<_, DirectoryError> {
            tern_directory::enrol_totp_in(txn, &new, self.now)?;
            let done =
                tern_directory::confirm_totp_in(txn, &key, account, &code, &codes, self.now)?;
            done.unwrap();
            Ok(Verdict::Commit(()))
        })
        .unwrap();
    }

    pub(crate) fn crowd(&mut self, count: usize) -> Vec<AccountId> {
        (0..count)
            .map(|n| self.add_account(&format!("user{n}")))
            .collect()
    }

    fn open(engine: MemEngine, now: Timestamp, policy: Arc<dyn Policy>) -> Self {
        let shared: Arc<dyn Engine> = Arc::new(engine.clone());
        let (opened, recalls) = opened_over(shared, &policy);
        let recalls = recalls.with_links([8; 32], Some("https://mail.example.org/".into()));
        Self {
            engine,
            mailboxes: opened.mailboxes,
            sealing: opened.sealing,
            upkeep: opened.upkeep,
            recalls,
            entropy: SeededEntropy::new(1),
            now,
            policy,
        }
    }

    /// The handles themselves, for whoever is opened over them.
    pub(crate) fn opened(&self) -> Opened {
        Opened {
            mailboxes: Arc::clone(&self.mailboxes),
            sealing: self.sealing.clone(),
            upkeep: self.upkeep.clone(),
        }
    }

    /// The recalls, and the mailboxes, of another process over the same rows, read by way of another engine.
    pub(crate) fn recalls_over(&self, engine: Arc<dyn Engine>) -> (Recalls, Opened) {
        let (opened, recalls) = opened_over(engine, &self.policy);
        (recalls, opened)
    }

    /// A process over an older state of the store that was put back.
    pub(crate) fn put_back(&self, backup: &MemEngine) -> Self {
        Self::open(backup.fork(), self.now, Arc::clone(&self.policy))
    }

    /// A new process over what was committed when the old one was killed.
    pub(crate) fn restarted(self) -> Self {
        let entropy = SeededEntropy::new(2);
        Self {
            entropy,
            ..Self::open(self.engine.fork(), self.now, self.policy)
        }
    }

    pub(crate) fn letter(&self, n: usize) -> Vec<u8> {
        format!(
            "From: alice@example.org\r\nTo: all@example.org\r\nSubject: Letter {n}\r\n\
             Date: Sat, 21 Nov 2026 22:06:00 +0000\r\nMessage-ID: <{n}@example.org>\r\n\r\n\
             Body {n}\r\n"
        )
        .into_bytes()
    }

    /// A submission whose delivery has reached only the first recipient.
    pub(crate) fn submit_first_of(
        &mut self,
        from: AccountId,
        to: &[AccountId],
        n: usize,
    ) -> Submission {
        let sent = self.submit(from, to, &[], n);
        for account in &to[1..] {
            let message = self.message_at(*account, 1);
            self.mailboxes
                .transact(&[*account], |txn| {
                    self.mailboxes
                        .remove_in(txn, *account, message, self.now)
                        .map(Verdict::Commit)
                })
                .unwrap();
        }
        sent
    }

    /// The delivery of a submission goes on to one more recipient, under a seal.
    pub(crate) fn land_late(&mut self, sent: &Submission, account: AccountId, n: usize) {
        assert!(self.land(sent, account, n).sealed.is_some());
    }

    /// The same, sealed or not.
    pub(crate) fn land(&mut self, sent: &Submission, account: AccountId, n: usize) -> Placed {
        let content = [b"Received: by test\r\n".to_vec(), self.letter(n)].concat();
        let prepared = self.mailboxes.prepare(content, self.now).unwrap();
        let landing = Landing {
            account,
            mailbox: INBOX,
            flags: Flags::empty(),
            received: self.now,
            prefix: Vec::new(),
            origin: sent.id,
            lineage: Lineage::Delivered,
            brought_by: None,
        };
        let placed = self
            .mailboxes
            .land(&prepared, &[landing], self.now)
            .unwrap();
        placed.into_iter().next().unwrap().unwrap()
    }

    /// What delivery does with a submission, in short.
    pub(crate) fn submit(
        &mut self,
        from: AccountId,
        to: &[AccountId],
        out: &[&str],
        n: usize,
    ) -> Submission {
        let letter = self.letter(n);
        self.submit_content(from, to, out, &letter)
    }

    pub(crate) fn submit_content(
        &mut self,
        from: AccountId,
        to: &[AccountId],
        out: &[&str],
        content: &[u8],
    ) -> Submission {
        let now = self.now;
        let id = OriginId::new(now, &mut self.entropy);
        let content = [b"Received: by test\r\n", content].concat();
        let prepared = self.mailboxes.prepare(content, now).unwrap();
        let sent = Submission {
            id,
            account: from,
            mail_from: None,
            message_id: prepared.parsed.message_id.clone().unwrap(),
            subject: prepared.parsed.envelope.subject.clone().unwrap(),
            digest: prepared.digest,
            carried: prepared.letters().skip(1).collect(),
            text: None,
            label: None,
            answers: tern_recall::answered_by(&prepared.parsed, prepared.content()),
            size: prepared.size(),
            submitted: now,
            recipients: (to.len() + out.len()) as u32,
            accounts: to.len() as u32,
            outside: out.len() as u32,
        };
        let landing = |account: &AccountId| Landing {
            account: *account,
            mailbox: INBOX,
            flags: Flags::empty(),
            received: now,
            prefix: Vec::new(),
            origin: id,
            lineage: Lineage::Delivered,
            brought_by: None,
        };
        let landings: Vec<Landing> = to.iter().map(landing).collect();
        self.mailboxes.land(&prepared, &landings, now).unwrap();
        let mut targets: Vec<Target> = to.iter().map(|account| target(*account)).collect();
        for (n, address) in out.iter().enumerate() {
            let item = QueueId::of_recipient(id, n as u32);
            self.enqueue(item, id, from, address, &prepared);
            let to = Destination::Outside {
                address: (*address).to_owned(),
                item,
            };
            targets.push(Target::of(address, &[], to));
        }
        tern_store::transact(&self.engine, |txn| -> Result<_, tern_store::StoreError> {
            submission::record_in(txn, &sent)?;
            for (first, chunk) in submission::target_chunks(&targets) {
                submission::record_targets_in(txn, id, first, chunk);
            }
            Ok(Verdict::Commit(()))
        })
        .unwrap();
        sent
    }

    fn enqueue(
        &self,
        id: QueueId,
        origin: OriginId,
        from: AccountId,
        address: &str,
        prepared: &tern_mailbox::Prepared,
    ) {
        let new = NewItem {
            id,
            origin,
            account: Some(from),
            mail_from: None,
            recipient: EmailAddress::parse(address).unwrap(),
            named: None,
            dsn: Default::default(),
            smtputf8: false,
            blob: prepared.blob,
            prefix: Vec::new(),
            size: prepared.size().into(),
            not_before: None,
            held: None,
        };
        tern_store::transact(
            &self.engine,
            |txn| -> Result<_, tern_mailbox::MailboxError> {
                tern_queue::enqueue_in(txn, new.clone(), &Schedule::default(), self.now).unwrap();
                self.mailboxes.link_blob_in(txn, prepared, 1)?;
                Ok(Verdict::Commit(()))
            },
        )
        .unwrap();
    }

    pub(crate) fn items(&self, sent: &Submission) -> Vec<QueueId> {
        let all = tern_queue::by_origin(&self.engine, sent.id).unwrap();
        let targets = submission::targets(&self.engine, sent.id).unwrap();
        let item = |target: &Target| match target.destination {
            Destination::Outside { item, .. } => Some(item),
            Destination::Account(_) | Destination::Nowhere => None,
        };
        let items: Vec<QueueId> = targets.iter().filter_map(item).collect();
        assert_eq!(all.len(), items.len());
        items
    }

    pub(crate) fn relay(&self, item: QueueId, lease: LeaseId, outcome: tern_queue::Outcome) {
        tern_queue::lease(&self.engine, item, lease, self.now, 60_000).unwrap();
        self.relay_leased(item, lease, outcome);
    }

    pub(crate) fn relay_leased(&self, item: QueueId, lease: LeaseId, outcome: tern_queue::Outcome) {
        let schedule = Schedule::default();
        let Some(tern_queue::Status::Live(live)) = tern_queue::status(&self.engine, item).unwrap()
        else {
            panic!("not live");
        };
        tern_store::transact(
            &self.engine,
            |txn| -> Result<_, tern_mailbox::MailboxError> {
                tern_queue::record_in(txn, item, lease, &outcome, &schedule, self.now).unwrap();
                self.mailboxes.unlink_blob_in(txn, live.blob, self.now)?;
                Ok(Verdict::Commit(()))
            },
        )
        .unwrap();
    }

    pub(crate) fn append(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        content: &[u8],
    ) -> Placed {
        self.try_append(account, mailbox, content).unwrap()
    }

    pub(crate) fn try_append(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        content: &[u8],
    ) -> Result<Placed, MailboxError> {
        let origin = OriginId::new(self.now, &mut self.entropy);
        let request = AppendRequest {
            account,
            mailbox,
            content: content.to_vec(),
            flags: Flags::empty(),
            by: Viewer::default().into(),
            received: None,
            origin,
        };
        self.mailboxes.append(request, self.now)
    }

    pub(crate) fn message_at(&self, account: AccountId, uid: u32) -> MessageId {
        self.mailboxes
            .view(account, INBOX)
            .unwrap()
            .get(Uid(uid))
            .unwrap()
            .message
    }

    pub(crate) fn serve(&self, account: AccountId, uid: u32, level: ExposureLevel) {
        let message = self.message_at(account, uid);
        let row = self.mailboxes.message(account, message).unwrap();
        let served = Served {
            account,
            message,
            digest: row.digest,
            origin: row.origin,
            carries: !row.carried.is_empty(),
            level,
            share: Share::NONE,
        };
        self.mailboxes
            .record_served(&[served], &Viewer::default(), self.now)
            .unwrap();
    }

    pub(crate) fn uids(&self, account: AccountId, mailbox: MailboxId) -> Vec<u32> {
        self.mailboxes
            .view(account, mailbox)
            .unwrap()
            .iter()
            .map(|entry| entry.uid.0)
            .collect()
    }

    pub(crate) fn request(&mut self, account: AccountId, selector: Selector) -> Request {
        let mut id = [0; 16];
        self.entropy.fill(&mut id);
        Request {
            id: RecallId(id),
            selector,
            requester: Requester {
                account: Some(account),
                name: format!("account {account}"),
                authentication: Authentication::default(),
            },
            chosen: Vec::new(),
            selection: tern_policy::Selection::Any,
            attachment: None,
            reach: tern_recall::Reach::default(),
            // Tests of other things look at what is left in an inbox.
            notices: Notices {
                whom: Some(Notice::None),
                text: None,
            },
            batch: None,
            as_answer: false,
            reason: None,
            replacement: None,
            expires: None,
        }
    }

    pub(crate) fn recall(&mut self, account: AccountId, sent: &Submission) -> Requested {
        let request = self.request(account, Selector::Submission(sent.id));
        let answer = self.recalls.request(&request, self.now).unwrap();
        self.recalls.run(answer.id(), self.now).unwrap();
        answer
    }

    /// Looks at an account's recall mailbox and carries out what it finds.
    pub(crate) fn triggers(&self, account: AccountId) -> Result<Vec<Requested>, RecallError> {
        let answers = self.recalls.triggers(account, self.now)?;
        for answer in &answers {
            self.recalls.run(answer.id(), self.now)?;
        }
        Ok(answers)
    }

    /// Another process's recalls over the same store.
    pub(crate) fn another(&self) -> Recalls {
        Self::open(self.engine.clone(), self.now, Arc::clone(&self.policy)).recalls
    }

    /// Has `work` done right before the next commit: what that one has read is no longer so.
    pub(crate) fn once_before_next_commit(&self, work: impl FnOnce() + Send + 'static) {
        self.engine.before_commit(0, work);
    }

    /// The actions of the audit log that begin so, in order.
    pub(crate) fn actions(&self, prefix: &str) -> Vec<String> {
        let mut actions = Vec::new();
        let filter = tern_audit::Filter::default();
        let page = tern_audit::read(&self.engine, &filter, None, 1_000).unwrap();
        actions.extend(page.entries.into_iter().map(|entry| entry.draft.action));
        actions.retain(|action| action.starts_with(prefix));
        actions.reverse();
        actions
    }

    /// Runs `work` with every commit from number `kill_at` on cut off; true if it got through.
    pub(crate) fn killed_at<T>(
        &mut self,
        kill_at: usize,
        work: impl FnOnce(&mut Self) -> Result<T, RecallError>,
    ) -> bool {
        let killed = Arc::new(AtomicBool::new(false));
        let (seen, mut commits) = (Arc::clone(&killed), 0);
        self.engine.set_fault_hook(Some(Box::new(move |_| {
            commits += 1;
            let cut = commits > kill_at;
            seen.fetch_or(cut, Ordering::Relaxed);
            cut.then_some(Injected::Full)
        })));
        let answer = work(self);
        self.engine.set_fault_hook(None);
        let killed = killed.load(Ordering::Relaxed);
        assert!(killed || answer.is_ok());
        !killed
    }

    /// The outcomes of copies in mailboxes, the sender's own included.
    pub(crate) fn copy_outcomes(&self, id: RecallId) -> Vec<(AccountId, MessageId, CopyOutcome)> {
        let all = self.recalls.outcomes(id).unwrap().into_iter();
        all.filter_map(|(subject, outcome)| match subject {
            Subject::Copy(account, message) => Some((account, message, outcome)),
            Subject::Target(_) | Subject::Onward(..) => None,
        })
        .collect()
    }

    pub(crate) fn outcomes(&self, id: RecallId) -> Vec<(&'static str, Outcome, Reason)> {
        let status = self.recalls.status(id, 100).unwrap();
        let line = |line: &tern_recall::StatusLine| {
            let recipient: &'static str = line.recipient.clone().leak();
            (recipient, line.outcome.outcome, line.outcome.reason)
        };
        status.lines.iter().map(line).collect()
    }

    /// The one report in an account's recall mailbox.
    pub(crate) fn report(&self, account: AccountId) -> String {
        let folder = self.mailboxes.folder(account, "Recall").unwrap().id;
        let view = self.mailboxes.view(account, folder).unwrap();
        let reports: Vec<_> = view
            .iter()
            .filter(|entry| entry.flags.has_keyword("$RecallReport"))
            .collect();
        assert_eq!(reports.len(), 1, "one report");
        let row = self.mailboxes.message(account, reports[0].message).unwrap();
        let body = self.mailboxes.read(account, &row, 0..u64::MAX).unwrap().0;
        String::from_utf8(body).unwrap()
    }

    pub(crate) fn check(&self) {
        let mut references = BTreeMap::new();
        for item in tern_queue::list(&self.engine, None, 1_000).unwrap().items {
            *references.entry(item.blob).or_default() += 1;
        }
        let mailboxes = self.upkeep.check(&references).unwrap();
        let recalls = self.recalls.check().unwrap();
        assert!(
            mailboxes.is_empty() && recalls.is_empty(),
            "{mailboxes:#?} {recalls:#?}"
        );
        let chain = tern_audit::verify(&self.engine, 1, None).unwrap();
        assert!(
            matches!(chain, tern_audit::Verified::Intact { .. }),
            "{chain:?}"
        );
    }
}

fn target(account: AccountId) -> Target {
    let recipient = match account {
        BOB => "bob@example.org".into(),
        _ => format!("account{account}@example.org"),
    };
    Target::of(&recipient, &[], Destination::Account(account))
}
