//! A house of mailboxes in memory and clients that talk to sessions over it.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod deflated;

use std::collections::BTreeMap;
use std::sync::Arc;

use deflated::Deflated;
use tern_base::{AccountId, ContentDigest, MessageId, OriginId, SeededEntropy, Timestamp};
use tern_directory::Visible;
use tern_imap::Session;
use tern_imap::event::Event;
use tern_imap::settings::Settings;
use tern_imap::verbs::Verbs;
use tern_mailbox::{
    Cover, Flags, FolderSpec, INBOX, Landing, Lineage, Mailboxes, NoListener, Opened, Origins,
    Outside, Rights, RightsChange, Role, Seal, SealTag, Sealing, SystemFlag, Upkeep,
};
use tern_session::{
    Authenticated, Budget, Mechanism, Peer, Protocol as _, Sharing, Step, TlsFacts, Verified,
};
use tern_store::{Batch, Engine, MemEngine, Range, Read as _, Verdict};

pub(crate) const NOW: Timestamp = Timestamp(1_795_298_760_000);
pub(crate) const BOB: AccountId = AccountId(1);

/// Who there is: their accounts are numbered from 1.
const PEOPLE: [&str; 4] = [
    "bob@example.org",
    "alice@example.org",
    "carol@example.org",
    "eve@example.net",
];
/// A group that nobody is in at first.
pub(crate) const TEAM: &str = "team@example.org";
const TAG: SealTag = SealTag([9; 16]);

const FOLDERS: [FolderSpec; 4] = [
    folder("Drafts", Role::Drafts),
    folder("Junk", Role::Junk),
    folder("Sent", Role::Sent),
    folder("Trash", Role::Trash),
];

const fn folder(path: &'static str, role: Role) -> FolderSpec {
    FolderSpec {
        path,
        role: Some(role),
    }
}

pub(crate) fn facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        sni: None,
    }
}

/// The server side: mailboxes over an engine in memory, and a clock.
pub(crate) struct House {
    pub(crate) engine: MemEngine,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sealing: Sealing,
    pub(crate) upkeep: Upkeep,
    pub(crate) sharing: Sharing,
    pub(crate) memory: Budget,
    pub(crate) entropy: SeededEntropy,
    pub(crate) now: Timestamp,
    /// Whoever logs in has the connection compressed at once.
    pub(crate) compressed: bool,
}

impl House {
    pub(crate) fn new() -> Self {
        let engine = MemEngine::new();
        let opened = open(&engine).into_opened();
        for domain in ["example.org", "example.net"] {
            let domain = tern_base::Domain::parse(domain).unwrap();
            tern_directory::add_domain(&engine, &domain, NOW).unwrap();
        }
        for address in PEOPLE {
            let new = tern_directory::NewAccount {
                address: tern_base::EmailAddress::parse(address).unwrap(),
                display_name: String::new(),
                quota_bytes: 0,
            };
            let account = tern_directory::create_account(&engine, &new, NOW)
                .unwrap()
                .id;
            opened
                .mailboxes
                .create_account(account, 0, &FOLDERS, NOW)
                .unwrap();
        }
        let team = tern_base::EmailAddress::parse(TEAM).unwrap();
        tern_directory::create_group(&engine, &team, "", NOW).unwrap();
        let sharing = Sharing::new(Arc::new(engine.clone()), Visible::Domain);
        Self {
            engine,
            mailboxes: opened.mailboxes,
            sealing: opened.sealing,
            upkeep: opened.upkeep,
            sharing,
            memory: Budget::new(u64::MAX),
            entropy: SeededEntropy::new(1),
            now: NOW,
            compressed: false,
        }
    }

    /// From here on nothing is in the caches of the mailboxes.
    pub(crate) fn reopen(&mut self) {
        self.reopen_as(open(&self.engine).into_opened());
    }

    pub(crate) fn reopen_as(&mut self, opened: Opened) {
        self.mailboxes = opened.mailboxes;
        self.sealing = opened.sealing;
        self.upkeep = opened.upkeep;
    }

    pub(crate) fn digest(&self, content: &[u8]) -> ContentDigest {
        tern_mime::content_digest(self.mailboxes.content_key(), content)
    }

    /// The account of a login.
    pub(crate) fn account(&self, login: &str) -> AccountId {
        let found = self.sharing.account_named(&address_of(login)).unwrap();
        found.unwrap()
    }

    /// Gives rights in a mailbox, as an administrator does.
    pub(crate) fn share(&self, owner: &str, path: &str, who: &str, letters: &str) {
        let owner = self.account(owner);
        let mailbox = self.mailboxes.folder(owner, path).unwrap();
        let who = self.sharing.find(who).unwrap().unwrap();
        let rights = Rights::from_letters(letters).unwrap();
        let change = RightsChange::Set(rights);
        self.mailboxes
            .transact(&[owner], |txn| {
                let of = (owner, mailbox.id);
                let done = self.mailboxes.change_rights_in(txn, of, who, change);
                done.map(Verdict::Commit)
            })
            .unwrap();
    }

    /// Puts somebody into the group, or takes them out.
    pub(crate) fn member(&self, login: &str, is_in: bool) {
        let team = tern_base::EmailAddress::parse(TEAM).unwrap();
        let group = tern_directory::group_by_address(&self.engine, &team);
        let group = group.unwrap().unwrap().id;
        let member = [tern_directory::Target::Account(self.account(login))];
        let done = match is_in {
            true => tern_directory::add_members(&self.engine, group, &member),
            false => tern_directory::remove_members(&self.engine, group, &member),
        };
        done.unwrap();
    }

    /// Delivers a message, which none of the owner's clients has had.
    pub(crate) fn deliver(&self, content: Vec<u8>, seen: bool) {
        let mut flags = Flags::empty();
        flags.set(SystemFlag::Seen, seen);
        let prepared = self.mailboxes.prepare(content, self.now).unwrap();
        let landing = Landing {
            account: BOB,
            mailbox: INBOX,
            flags,
            received: self.now,
            prefix: Vec::new(),
            origin: OriginId(prepared.digest.0),
            lineage: Lineage::Delivered,
            brought_by: None,
        };
        let placed = self.mailboxes.land(&prepared, &[landing], self.now);
        assert!(placed.unwrap().iter().all(Result::is_ok));
    }

    /// Seals every copy of a letter.
    pub(crate) fn seal(&self, content: &[u8]) {
        self.seal_over(content, Cover::Except(Default::default()));
    }

    /// Seals some copies of a letter.
    pub(crate) fn seal_over(&self, content: &[u8], cover: Cover) {
        let seal = Seal {
            tag: TAG,
            cover,
            outside: Outside::All,
            origins: Origins::all(),
            attached: true,
            part: None,
            active: true,
            until: Timestamp(u64::MAX),
        };
        let digest = self.digest(content);
        let nothing = |_: &mut tern_store::Transaction<'_>| Ok(());
        self.sealing
            .seal::<(), tern_mailbox::MailboxError>(digest, seal, nothing)
            .unwrap();
    }

    /// Withdraws every copy of a sealed letter, and settles the seal.
    pub(crate) fn withdraw(&self, content: &[u8]) {
        let digest = self.digest(content);
        let copies = self.mailboxes.copies(digest).unwrap();
        let copies: Vec<_> = copies
            .iter()
            .map(|copy| (copy.account, copy.message))
            .collect();
        let accounts: Vec<_> = copies.iter().map(|(account, _)| *account).collect();
        self.mailboxes
            .transact(&accounts, |txn| {
                self.sealing.withdraw_in(txn, &copies, TAG, self.now)?;
                self.sealing.settle_seal_in(txn, digest, TAG)?;
                Ok::<_, tern_mailbox::MailboxError>(Verdict::Commit(()))
            })
            .unwrap();
        self.sealing.forget_seal(digest, TAG);
    }

    /// The copy of a letter that was withdrawn first.
    pub(crate) fn vaulted(&self, content: &[u8]) -> MessageId {
        let digest = self.digest(content);
        let vaulted = self.sealing.vaulted(TAG, None, 100).unwrap();
        let of_letter = |copy: &&tern_mailbox::Vaulted| copy.row.message.digest == digest;
        vaulted.iter().find(of_letter).unwrap().message
    }

    /// Overwrites every row of a message with octets that say nothing, as a broken disk would.
    /// Answers what they were.
    pub(crate) fn damage(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        const MESSAGE: u8 = 0x14;
        self.damage_table(MESSAGE)
    }

    /// The same for any table.
    pub(crate) fn damage_table(&self, table: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
        let rows = self.engine.scan(&Range::prefix(vec![table]), 1_000);
        let rows = rows.unwrap().rows;
        assert!(!rows.is_empty(), "nothing to damage");
        let garbage = rows.iter().map(|(key, _)| (key.clone(), vec![0xff; 3]));
        self.repair(garbage.collect());
        rows
    }

    /// Puts rows back as they were.
    pub(crate) fn repair(&self, rows: Vec<(Vec<u8>, Vec<u8>)>) {
        let mut batch = Batch::new();
        for (key, value) in rows {
            batch.put(key, value);
        }
        self.engine.commit(batch).unwrap();
    }

    /// Fails the test where the store is not whole.
    pub(crate) fn check(&self) {
        let findings = self.upkeep.check(&BTreeMap::new()).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
    }
}

/// The mailboxes of a server over an engine, not handed out yet.
pub(crate) fn open(engine: &MemEngine) -> Mailboxes {
    let keys = tern_recall::Keys {
        content: [1; 32],
        token: [9; 32],
    };
    let (shared, settings): (Arc<dyn Engine>, _) =
        (Arc::new(engine.clone()), tern_recall::Settings::default());
    tern_recall::mailboxes(&shared, keys, &settings, Arc::new(NoListener)).unwrap()
}

/// A client with its session.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) output: Vec<u8>,
    pub(crate) verifying: Option<String>,
    pub(crate) closed: bool,
    /// The largest output of one step.
    pub(crate) largest: usize,
    pub(crate) steps: usize,
    /// The connection is compressed.
    deflated: Option<Deflated>,
}

impl Client {
    /// A connection whose greeting is in the output.
    pub(crate) fn new(house: &mut House, tls: bool) -> Self {
        let peer = Peer {
            ip: [192, 0, 2, 1].into(),
            tls: tls.then(facts),
        };
        let session = Session::new(Arc::new(Settings::default()), peer, house.now);
        let mut client = Self {
            session,
            output: Vec::new(),
            verifying: None,
            closed: false,
            largest: 0,
            steps: 0,
            deflated: None,
        };
        client.drive(house);
        client
    }

    /// A connection on which Bob has logged in; nothing is in the output.
    pub(crate) fn login(house: &mut House) -> Self {
        Self::login_as(house, "bob")
    }

    /// The same for anybody.
    pub(crate) fn login_as(house: &mut House, login: &str) -> Self {
        let mut client = Self::new(house, true);
        client.session.receive(b"l LOGIN bob x\r\n", house.now);
        client.drive(house);
        let accepted = logged_in(house.account(login), address_of(login));
        client.verified(house, accepted);
        client.output.clear();
        if house.compressed {
            client.compress(house);
        }
        client
    }

    /// Has the connection compressed; nothing is in the output.
    pub(crate) fn compress(&mut self, house: &mut House) {
        let answer = self.ask(house, "z COMPRESS DEFLATE");
        assert_eq!(answer, "z OK Compression is on from here\r\n");
        self.deflated = Some(Deflated::new());
    }

    pub(crate) const fn is_compressed(&self) -> bool {
        self.deflated.is_some()
    }

    pub(crate) fn verified(&mut self, house: &mut House, outcome: Verified) {
        self.session.verified(outcome, house.now);
        self.drive(house);
    }

    /// Runs the session until it waits.
    pub(crate) fn drive(&mut self, house: &mut House) {
        while self.step(house) {}
    }

    /// One step; whether there is more to do.
    pub(crate) fn step(&mut self, house: &mut House) -> bool {
        let verbs = Verbs {
            mailboxes: &house.mailboxes,
            sharing: &house.sharing,
            memory: &house.memory,
        };
        let step = self.session.step(&verbs, house.now, &mut house.entropy);
        let output = self.session.take_output();
        self.largest = self.largest.max(output.len());
        self.steps += 1;
        match &mut self.deflated {
            Some(deflated) => self.output.extend(deflated.read(&output)),
            None => self.output.extend(output),
        }
        match step {
            Step::Continue => return true,
            Step::Verify(credentials) => {
                let act_as = credentials.act_as.as_deref().unwrap_or("-");
                let password = credentials.password.as_str();
                self.verifying = Some(format!("{act_as} {} {password}", credentials.login));
            }
            Step::Close => self.closed = true,
            Step::Input | Step::StartTls => {}
        }
        false
    }

    /// Sends octets in pieces, driving the session after each.
    pub(crate) fn send(&mut self, house: &mut House, octets: &[u8], chunk: usize) {
        for piece in octets.chunks(chunk) {
            match &mut self.deflated {
                Some(deflated) => self.session.receive(&deflated.write(piece), house.now),
                None => self.session.receive(piece, house.now),
            }
            if self.session.wants_work() {
                self.drive(house);
            }
        }
    }

    /// Sends a command and takes all output.
    pub(crate) fn command(&mut self, house: &mut House, line: &str) -> Vec<u8> {
        self.send(house, format!("{line}\r\n").as_bytes(), usize::MAX);
        std::mem::take(&mut self.output)
    }

    /// The same as text.
    pub(crate) fn ask(&mut self, house: &mut House, line: &str) -> String {
        String::from_utf8_lossy(&self.command(house, line)).into_owned()
    }

    /// Told that something changed.
    pub(crate) fn notify(&mut self, house: &mut House) {
        self.session.notify();
        if self.session.wants_work() {
            self.drive(house);
        }
    }

    /// Puts a message into a mailbox.
    pub(crate) fn append(&mut self, house: &mut House, mailbox: &str, flags: &str, content: &[u8]) {
        let command = format!("p APPEND {mailbox} ({flags}) ~{{{}+}}\r\n", content.len());
        let mut octets = command.into_bytes();
        octets.extend_from_slice(content);
        octets.extend_from_slice(b"\r\n");
        self.send(house, &octets, usize::MAX);
    }

    pub(crate) fn failures(&mut self) -> Vec<Event> {
        let is_failure = |event: &Event| matches!(event, Event::Failed { .. });
        self.session
            .take_events()
            .into_iter()
            .filter(is_failure)
            .collect()
    }
}

/// The address of a login, where only its first part is given.
pub(crate) fn address_of(login: &str) -> String {
    match login.contains('@') {
        true => login.to_owned(),
        false => format!("{login}@example.org"),
    }
}

pub(crate) fn accept() -> Verified {
    logged_in(BOB, "bob".into())
}

fn logged_in(account: AccountId, login: String) -> Verified {
    Verified::Accepted(Authenticated {
        account,
        login,
        mechanism: Mechanism::Login,
        token: None,
    })
}
