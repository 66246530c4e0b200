//! A mail program over a real IMAP session: it lists, fetches in pieces, idles, moves, expunges
//! and appends, and is cut off in the middle. Every octet that the session puts out is seen; the
//! UIDs that it was told are, whenever it is in sync, those of the mailbox.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tern_base::{AccountId, MessageId, Uid};
use tern_imap::Session;
use tern_imap::settings::Settings;
use tern_imap::verbs::Verbs;
use tern_mailbox::INBOX;
use tern_session::{Peer, Protocol as _, Step, TlsFacts, Unlimited, Verified};

use super::Actor;
use crate::letter::CARRY;
use crate::oracle::Permit;
use crate::sim::Sim;

/// Where the client is, as the server sees it.
const ADDRESS: &str = "192.0.2.7";

/// The mail program.
pub(crate) struct Imap {
    account: AccountId,
    talk: Option<Talk>,
}

/// A connection.
struct Talk {
    session: Session,
    /// What is still to be said before the first free choice.
    opening: Vec<String>,
    doing: Doing,
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
            talk: None,
        }
    }

    fn dial(&self, sim: &Sim) -> Talk {
        let facts = TlsFacts {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_128_GCM_SHA256".into(),
            sni: None,
        };
        let peer = Peer {
            ip: ADDRESS.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            tls: Some(facts),
        };
        let qresync = sim.chance(500);
        let mut opening = vec!["SELECT INBOX".to_owned()];
        if qresync {
            opening.push("ENABLE QRESYNC".to_owned());
        }
        opening.push(format!("LOGIN {} secret", sim.name_of(self.account)));
        Talk {
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
        }
    }

    /// The next command, and what it is for.
    fn choose(&self, talk: &Talk, sim: &Sim) -> (String, Doing) {
        let uids: Vec<u32> = talk.uids.iter().copied().collect();
        let Some(uid) = sim.pick(&uids) else {
            return match sim.chance(500) {
                true => ("UID SEARCH ALL".to_owned(), Doing::List),
                false => ("NOOP".to_owned(), Doing::Sync),
            };
        };
        let account = self.account;
        let permit = |permit: Permit| sim.oracle.borrow_mut().permit(permit);
        match sim.below(20) {
            0..=7 => {
                let found = sim.oracle.borrow().message_at(account, INBOX, Uid(uid));
                let item =
                    sim.pick(&["BODY[]", "BODY.PEEK[TEXT]", "BODY.PEEK[HEADER]", "ENVELOPE"]);
                let item = item.unwrap_or("BODY[]");
                let Some(message) = found else {
                    return ("NOOP".to_owned(), Doing::Sync);
                };
                if matches!(item, "BODY[]" | "BODY.PEEK[TEXT]") {
                    sim.oracle.borrow_mut().attempted(account, message);
                }
                permit(Permit::Flag(account, INBOX));
                (format!("UID FETCH {uid} ({item})"), Doing::Fetch(message))
            }
            8..=11 => ("UID SEARCH ALL".to_owned(), Doing::List),
            12..=13 => ("IDLE".to_owned(), Doing::Other),
            14 => {
                permit(Permit::Flag(account, INBOX));
                (format!("UID STORE {uid} +FLAGS (\\Deleted)"), Doing::Other)
            }
            15 => {
                permit(Permit::Expunge(account, INBOX));
                ("EXPUNGE".to_owned(), Doing::Other)
            }
            16 => self.transfer(uid, "UID MOVE", sim),
            17 => self.transfer(uid, "UID COPY", sim),
            _ => ("NOOP".to_owned(), Doing::Sync),
        }
    }

    fn transfer(&self, uid: u32, verb: &str, sim: &Sim) -> (String, Doing) {
        let Ok(to) = sim.server().mailboxes.folder(self.account, "Trash") else {
            return ("NOOP".to_owned(), Doing::Sync);
        };
        let permit = match verb {
            "UID MOVE" => Permit::Move(self.account, INBOX, to.id),
            _ => Permit::Copy(self.account, INBOX, to.id),
        };
        sim.oracle.borrow_mut().permit(permit);
        (format!("{verb} {uid} Trash"), Doing::Other)
    }

    /// Says something, or goes on with what is being answered.
    fn go_on(&self, mut talk: Talk, sim: &Sim) -> Option<Talk> {
        if sim.chance(sim.trouble.get().cut) {
            sim.tell(|| format!("imap {}: cut off in {:?}", self.account, talk.doing));
            return None;
        }
        if talk.doing == Doing::Nothing {
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

    fn say(&self, talk: &mut Talk, sim: &Sim) {
        let changes = sim.server().changes.of(self.account);
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
        // What a command changes, it may change in any of its steps.
        if matches!(talk.doing, Doing::Fetch(_)) {
            sim.oracle
                .borrow_mut()
                .permit(Permit::Flag(self.account, INBOX));
        }
        let server = sim.server();
        let verbs = Verbs {
            mailboxes: &server.mailboxes,
            sharing: &server.sharing,
            memory: &Unlimited,
        };
        let before = sim.oracle.borrow().seals_set();
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
        match step {
            Step::Continue => Some(true),
            Step::Input => {
                self.answered(talk, sim);
                Some(false)
            }
            Step::Verify(credentials) => {
                let found = sim.oracle.borrow().people.named(&credentials.login);
                let verified = found.map_or(Verified::Refused, |account| Verified::Accepted {
                    account,
                    login: credentials.login.clone(),
                    token: None,
                });
                talk.session.verified(verified, sim.now());
                Some(true)
            }
            Step::StartTls | Step::Close => None,
        }
    }

    fn scan(&self, talk: &mut Talk, sim: &Sim) {
        let from = talk.scanned.saturating_sub(CARRY);
        let fresh = talk.heard.get(from..).unwrap_or_default();
        talk.scanned = talk.heard.len();
        let mut oracle = sim.oracle.borrow_mut();
        match talk.doing {
            Doing::Fetch(message) => {
                oracle.handed_out((self.account, message), ADDRESS, fresh);
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
            let (durable, _) = sim.oracle.borrow().uids(self.account, INBOX);
            let changes = sim.server().changes.of(self.account);
            let told: BTreeSet<Uid> = talk.uids.iter().map(|uid| Uid(*uid)).collect();
            let quiet = changes == talk.changes && talk.synced == Some(changes);
            if quiet && durable != told {
                sim.oracle.borrow_mut().broke(format!(
                    "account {}: UID SEARCH answers {told:?}, durable is {durable:?}",
                    self.account
                ));
            }
        }
        talk.doing = Doing::Nothing;
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
        "a session"
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }

    fn step(&mut self, sim: &Sim) {
        self.talk = match self.talk.take() {
            None => Some(self.dial(sim)),
            Some(talk) => self.go_on(talk, sim),
        };
    }

    fn killed(&mut self, _sim: &Sim) {
        self.talk = None;
    }
}
