//! A mail program over a real IMAP session: it lists, fetches in pieces, idles, moves, expunges
//! and appends, and is cut off in the middle. Every octet that the session puts out is seen; the
//! UIDs that it was told are, whenever it is in sync, those of the mailbox.
//!
//! A guest opens a mailbox that somebody else shares with them (RFC 4314): what they get of it is on
//! record with their name, and without the right to it they get nothing.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tern_base::{AccountId, MailboxId, MessageId, Uid};
use tern_imap::Session;
use tern_imap::settings::Settings;
use tern_imap::verbs::Verbs;
use tern_mailbox::INBOX;
use tern_recall::RECALL_MAILBOX;
use tern_session::{Peer, Protocol as _, Step, TlsFacts, Unlimited};

use super::Actor;
use crate::letter::CARRY;
use crate::oracle::Permit;
use crate::server::address;
use crate::sim::Sim;

/// Where the client is, as the server sees it.
const ADDRESS: &str = "192.0.2.7";
/// The same of a guest.
const GUEST_ADDRESS: &str = "192.0.2.9";

/// The mail program.
pub(crate) struct Imap {
    account: AccountId,
    is_guest: bool,
    talk: Option<Talk>,
}

/// A connection.
struct Talk {
    session: Session,
    /// Whose mailbox is to be open, and which.
    owner: AccountId,
    mailbox: MailboxId,
    /// How often rights and names had changed when that was looked up; none once it is open.
    looked_up: Option<u64>,
    /// What is still to be said before the first free choice.
    opening: Vec<String>,
    doing: Doing,
    /// What it may change, in any of its steps.
    permits: Vec<Permit>,
    /// The output of the command so far.
    heard: Vec<u8>,
    /// Octets of `heard` that were scanned.
    scanned: usize,
    idle: bool,
    qresync: bool,
    /// How often the account had changed when the session was last told of it.
    notified: u64,
    /// How often it had changed when the command that is being answered was said.
    changes: u64,
    /// The same of the last command that brings every change.
    synced: Option<u64>,
    /// The UIDs of the mailbox, as far as it was told.
    uids: BTreeSet<u32>,
}

/// The command that is being answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    Other,
    /// Every change is told with the answer.
    Sync,
    /// The content of one message.
    Fetch(MessageId),
    /// The UIDs of everything.
    List,
}

impl Imap {
    pub(crate) const fn new(account: AccountId) -> Self {
        Self {
            account,
            is_guest: false,
            talk: None,
        }
    }

    /// The mail program of somebody who reads the mailboxes of others.
    pub(crate) fn guest(account: AccountId) -> Self {
        Self {
            is_guest: true,
            ..Self::new(account)
        }
    }

    const fn address(&self) -> &'static str {
        match self.is_guest {
            true => GUEST_ADDRESS,
            false => ADDRESS,
        }
    }

    /// How often what the session is told of has changed.
    fn changes(&self, talk: &Talk, sim: &Sim) -> u64 {
        let changes = &sim.server().changes;
        let own = match talk.owner == self.account {
            true => 0,
            false => changes.of(self.account),
        };
        changes.of(talk.owner) + own
    }

    /// A mailbox that somebody shares with this account, and what it is called.
    fn shared(&self, sim: &Sim) -> Option<(AccountId, MailboxId, String)> {
        let server = sim.server();
        let actor = server.sharing.actor(self.account).ok()?;
        let shares = server.mailboxes.shares(&actor).ok()?;
        let all = shares.into_iter();
        let all = all.flat_map(|(owner, of)| of.into_iter().map(move |mailbox| (owner, mailbox)));
        let (owner, mailbox) = sim.pick(&all.collect::<Vec<_>>())?;
        let folders = server.mailboxes.folders(owner).ok()?;
        let folder = folders.into_iter().find(|folder| folder.id == mailbox)?;
        let name = address(sim.name_of(owner));
        Some((
            owner,
            mailbox,
            format!("Other Users/{name}/{}", folder.path),
        ))
    }

    /// `None` where a guest finds no mailbox.
    fn dial(&self, sim: &Sim) -> Option<Talk> {
        let (owner, mailbox, path) = match self.is_guest {
            true => self.shared(sim)?,
            false => (self.account, INBOX, "INBOX".to_owned()),
        };
        let facts = TlsFacts {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_128_GCM_SHA256".into(),
            sni: None,
        };
        let peer = Peer {
            ip: self
                .address()
                .parse()
                .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            tls: Some(facts),
        };
        let qresync = sim.chance(500);
        let mut opening = vec![format!("SELECT \"{path}\"")];
        if qresync {
            opening.push("ENABLE QRESYNC".to_owned());
        }
        opening.push(format!("LOGIN {} secret", sim.name_of(self.account)));
        Some(Talk {
            owner,
            mailbox,
            looked_up: Some(sim.oracle.borrow().rights_turned),
            permits: Vec::new(),
            session: Session::new(Arc::new(Settings::default()), peer, sim.now()),
            opening,
            doing: Doing::Nothing,
            heard: Vec::new(),
            scanned: 0,
            idle: false,
            qresync,
            notified: 0,
            changes: 0,
            synced: None,
            uids: BTreeSet::new(),
        })
    }

    /// The next command, and what it is for.
    fn choose(&self, talk: &mut Talk, sim: &Sim) -> (String, Doing) {
        let uids: Vec<u32> = talk.uids.iter().copied().collect();
        let Some(uid) = sim.pick(&uids) else {
            return match sim.chance(500) {
                true => ("UID SEARCH ALL".to_owned(), Doing::List),
                false => ("NOOP".to_owned(), Doing::Sync),
            };
        };
        let (owner, mailbox) = (talk.owner, talk.mailbox);
        match sim.below(20) {
            0..=7 => {
                let found = sim.oracle.borrow().message_at(owner, mailbox, Uid(uid));
                let item =
                    sim.pick(&["BODY[]", "BODY.PEEK[TEXT]", "BODY.PEEK[HEADER]", "ENVELOPE"]);
                let item = item.unwrap_or("BODY[]");
                let Some(message) = found else {
                    return ("NOOP".to_owned(), Doing::Sync);
                };
                if matches!(item, "BODY[]" | "BODY.PEEK[TEXT]") {
                    sim.oracle.borrow_mut().attempted(owner, message);
                }
                talk.permits.push(Permit::Flag(owner, mailbox));
                (format!("UID FETCH {uid} ({item})"), Doing::Fetch(message))
            }
            8..=11 => ("UID SEARCH ALL".to_owned(), Doing::List),
            12..=13 => ("IDLE".to_owned(), Doing::Other),
            14 => {
                talk.permits.push(Permit::Flag(owner, mailbox));
                (format!("UID STORE {uid} +FLAGS (\\Deleted)"), Doing::Other)
            }
            15 => {
                talk.permits.push(Permit::Expunge(owner, mailbox));
                ("EXPUNGE".to_owned(), Doing::Other)
            }
            16 if self.is_guest => self.bring(talk, uid, "UID MOVE", sim),
            17 if self.is_guest => self.bring(talk, uid, "UID COPY", sim),
            18 if self.is_guest => Self::ask_in_vain(talk, uid, sim),
            16 => self.transfer(talk, uid, "UID MOVE", sim),
            17 => self.transfer(talk, uid, "UID COPY", sim),
            _ => ("NOOP".to_owned(), Doing::Sync),
        }
    }

    /// To the guest's own inbox.
    fn bring(&self, talk: &mut Talk, uid: u32, verb: &str, sim: &Sim) -> (String, Doing) {
        let (owner, mailbox) = (talk.owner, talk.mailbox);
        let mut oracle = sim.oracle.borrow_mut();
        // It is handed over whole, and on record as that, whether it arrives or not.
        if let Some(message) = oracle.message_at(owner, mailbox, Uid(uid)) {
            oracle.attempted(owner, message);
        }
        talk.permits.push(Permit::Bring(self.account, INBOX));
        if verb == "UID MOVE" {
            talk.permits.push(Permit::Expunge(owner, mailbox));
        }
        (format!("{verb} {uid} INBOX"), Doing::Other)
    }

    /// What asks for a recall is for its owner alone to put there: nothing is permitted, so nothing may
    /// come of it, whatever rights the guest has.
    fn ask_in_vain(talk: &Talk, uid: u32, sim: &Sim) -> (String, Doing) {
        let (owner, mailbox) = (talk.owner, talk.mailbox);
        let name = address(sim.name_of(owner));
        let mut oracle = sim.oracle.borrow_mut();
        if let Some(message) = oracle.message_at(owner, mailbox, Uid(uid)) {
            oracle.attempted(owner, message);
        }
        let to = format!("Other Users/{name}/{RECALL_MAILBOX}");
        (format!("UID COPY {uid} \"{to}\""), Doing::Other)
    }

    fn transfer(&self, talk: &mut Talk, uid: u32, verb: &str, sim: &Sim) -> (String, Doing) {
        let name = match sim.chance(300) {
            true => RECALL_MAILBOX,
            false => "Trash",
        };
        let Ok(to) = sim.server().mailboxes.folder(self.account, name) else {
            return ("NOOP".to_owned(), Doing::Sync);
        };
        let permit = match verb {
            "UID MOVE" => Permit::Move(self.account, INBOX, to.id),
            _ => Permit::Copy(self.account, INBOX, to.id),
        };
        talk.permits.push(permit);
        (format!("{verb} {uid} {name}"), Doing::Other)
    }

    /// Says something, or goes on with what is being answered.
    fn go_on(&self, mut talk: Talk, sim: &Sim) -> Option<Talk> {
        if sim.chance(sim.trouble.get().cut) {
            sim.tell(|| format!("imap {}: cut off in {:?}", self.account, talk.doing));
            return None;
        }
        if talk.doing == Doing::Nothing {
            if self.is_guest && talk.opening.is_empty() && !Self::is_the_one(&mut talk, sim) {
                return None;
            }
            self.say(&mut talk, sim);
        }
        // A few turns of the session; the rest of a long answer another time.
        for _ in 0..=sim.below(6) {
            if !self.turn(&mut talk, sim)? {
                break;
            }
        }
        Some(talk)
    }

    /// Whether what a guest has opened by its name is the mailbox that they looked up: the name may have gone
    /// over to another one.
    fn is_the_one(talk: &mut Talk, sim: &Sim) -> bool {
        let oracle = sim.oracle.borrow();
        let looked_up = talk.looked_up.take();
        looked_up.is_none_or(|turned| turned == oracle.rights_turned)
            && oracle.people.is_there(talk.owner)
    }

    fn say(&self, talk: &mut Talk, sim: &Sim) {
        let changes = self.changes(talk, sim);
        let fresh = changes != talk.notified;
        if fresh {
            talk.notified = changes;
            talk.session.notify();
        }
        let (line, doing) = match talk.opening.pop() {
            Some(line) => (line, Doing::Sync),
            None if talk.idle => {
                talk.doing = Doing::Other;
                if fresh {
                    return;
                }
                talk.idle = false;
                return talk.session.receive(b"DONE\r\n", sim.now());
            }
            None => self.choose(talk, sim),
        };
        sim.tell(|| format!("imap {}: {line}", self.account));
        talk.idle = line == "IDLE";
        talk.changes = changes;
        talk.doing = doing;
        talk.heard.clear();
        talk.scanned = 0;
        talk.session
            .receive(format!("t {line}\r\n").as_bytes(), sim.now());
    }

    /// One step of the session; false when it waits. `None` when it is over.
    fn turn(&self, talk: &mut Talk, sim: &Sim) -> Option<bool> {
        for permit in &talk.permits {
            sim.oracle.borrow_mut().permit(*permit);
        }
        let server = sim.server();
        let verbs = Verbs {
            mailboxes: &server.mailboxes,
            sharing: &server.sharing,
            memory: &Unlimited,
        };
        let before = sim.oracle.borrow().seals_set();
        let reads = self.is_guest.then(|| self.reads(talk, sim));
        let step = talk.session.step(&verbs, sim.now(), &mut sim.entropy());
        let output = talk.session.take_output();
        if server.engine.is_dead() {
            return None;
        }
        talk.heard.extend_from_slice(&output);
        // Octets of a step that began before the seal were read before it.
        if sim.oracle.borrow().seals_set() == before {
            self.scan(talk, sim);
        } else {
            talk.scanned = talk.heard.len();
        }
        // The same of a step that began before rights changed.
        if let Some((may, turns)) = reads {
            let has = !crate::letter::marks(&output).is_empty();
            if has && !may && self.reads(talk, sim) == (may, turns) {
                sim.oracle.borrow_mut().broke(format!(
                    "account {} gets content out of mailbox {} of account {} without the right to it",
                    self.account, talk.mailbox, talk.owner
                ));
            }
        }
        match step {
            Step::Continue => Some(true),
            Step::Input => {
                self.answered(talk, sim);
                Some(false)
            }
            Step::Verify(credentials) => {
                talk.session.verified(sim.verify(&credentials), sim.now());
                Some(true)
            }
            Step::StartTls | Step::Close => None,
        }
    }

    /// Whether a guest may read the mailbox, and how often rights have changed.
    fn reads(&self, talk: &Talk, sim: &Sim) -> (bool, u64) {
        let oracle = sim.oracle.borrow();
        let (mailbox, turns) = ((talk.owner, talk.mailbox), oracle.rights_turned);
        (oracle.may_read(self.account, mailbox), turns)
    }

    fn scan(&self, talk: &mut Talk, sim: &Sim) {
        let from = talk.scanned.saturating_sub(CARRY);
        let fresh = talk.heard.get(from..).unwrap_or_default();
        talk.scanned = talk.heard.len();
        let mut oracle = sim.oracle.borrow_mut();
        match talk.doing {
            Doing::Fetch(message) => {
                oracle.handed_out((talk.owner, message), self.address(), fresh);
                if self.is_guest {
                    oracle.handed_to_guest((talk.owner, message), self.account, fresh);
                }
            }
            _ if !crate::letter::marks(fresh).is_empty() => {
                oracle.broke(format!("content in the answer to {:?}", talk.doing));
            }
            _ => {}
        }
    }

    /// The session waits: the command is answered, or a literal or IDLE goes on.
    fn answered(&self, talk: &mut Talk, sim: &Sim) {
        let text = String::from_utf8_lossy(&talk.heard).into_owned();
        for line in text.lines() {
            let told = line.strip_prefix("* VANISHED ").filter(|_| talk.qresync);
            for uid in told.map(uids_of).unwrap_or_default() {
                talk.uids.remove(&uid);
            }
            if talk.doing == Doing::List
                && let Some(found) = line.strip_prefix("* SEARCH")
            {
                talk.uids = found
                    .split_whitespace()
                    .filter_map(|uid| uid.parse().ok())
                    .collect();
            }
        }
        let done = text.lines().any(|line| line.starts_with("t OK"));
        // A seal makes the answer to a search shorter than what is durable for a moment; what is
        // listed must be there, or have been removed since.
        if done && talk.doing == Doing::Sync {
            talk.synced = Some(talk.changes);
        }
        if done && talk.doing == Doing::List {
            let (durable, _) = sim.oracle.borrow().uids(talk.owner, talk.mailbox);
            let changes = self.changes(talk, sim);
            let told: BTreeSet<Uid> = talk.uids.iter().map(|uid| Uid(*uid)).collect();
            let quiet = changes == talk.changes && talk.synced == Some(changes);
            if quiet && durable != told {
                sim.oracle.borrow_mut().broke(format!(
                    "account {}: UID SEARCH in mailbox {} of account {} answers {told:?}, durable is \
                     {durable:?}",
                    self.account, talk.mailbox, talk.owner
                ));
            }
        }
        talk.doing = Doing::Nothing;
        talk.permits.clear();
        talk.heard.clear();
        talk.scanned = 0;
    }
}

/// The UIDs of a set, `(EARLIER)` passed over.
fn uids_of(text: &str) -> Vec<u32> {
    let set = text.rsplit(' ').next().unwrap_or_default();
    let range = |part: &str| {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        Some(from..=to.min(from.saturating_add(10_000)))
    };
    set.split(',').filter_map(range).flatten().collect()
}

impl Actor for Imap {
    fn name(&self) -> &'static str {
        match self.is_guest {
            true => "a reader by rights",
            false => "a session",
        }
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }

    fn step(&mut self, sim: &Sim) {
        self.talk = match self.talk.take() {
            None => self.dial(sim),
            Some(talk) => self.go_on(talk, sim),
        };
    }

    fn killed(&mut self, _sim: &Sim) {
        self.talk = None;
    }
}
