//! Somebody who sends mail over an SMTP session: a user of the organisation by submission, or a
//! server elsewhere, be it that of a mailing list. Connections are cut at any octet; what was not acknowledged is sent again.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use tern_base::{AccountId, EmailAddress, Entropy, Fault, OriginId, Timestamp};
use tern_delivery::{DeliveryError, Incoming, IncomingRecipient, RecipientCheck, Submitter};
use tern_recall::mail::REQUEST_LOCAL_PART;
use tern_session::{ContentMemory, Peer, Protocol as _, Step, TlsFacts, Unlimited};
use tern_smtp::{AcceptError, Accepted, Arrival, RecipientVerdict, Role, Session, Settings, Verbs};
use tern_store::StoreError;

use super::Actor;
use crate::letter::{Draft, Letter, Part, Size, marks};
use crate::listed::{Change, LIST, Received, listed};
use crate::oracle::Promise;
use crate::server::{ALIAS, CONTENT_KEY, GROUP, PEOPLE, Server, address};
use crate::sim::Sim;

/// Most letters of a run: the world is small.
const MAX_LETTERS: u32 = 40;

/// Most that a mailing list makes of them.
const MAX_LISTED: u32 = 20;

/// Longest letter that is forwarded, in octets.
const MAX_FORWARDED: usize = 16 * 1024;

/// A sender.
pub(crate) struct Sender {
    account: Option<AccountId>,
    is_list: bool,
    talk: Option<Talk>,
    /// Letters that were not acknowledged, with their recipients.
    again: VecDeque<(u32, Vec<EmailAddress>)>,
}

/// A connection.
struct Talk {
    session: Session,
    letter: u32,
    recipients: Vec<EmailAddress>,
    /// What is still to be said; the last is the content.
    script: VecDeque<Vec<u8>>,
}

impl Sender {
    pub(crate) const fn inside(account: AccountId) -> Self {
        Self {
            account: Some(account),
            is_list: false,
            talk: None,
            again: VecDeque::new(),
        }
    }

    pub(crate) const fn outside() -> Self {
        Self {
            account: None,
            is_list: false,
            talk: None,
            again: VecDeque::new(),
        }
    }

    /// A mailing list that some people here are on.
    pub(crate) fn list() -> Self {
        Self {
            is_list: true,
            ..Self::outside()
        }
    }

    fn mail_from(&self, sim: &Sim) -> String {
        match self.account {
            Some(account) => address(sim.name_of(account)).to_string(),
            None if self.is_list => "bounces@remote.test".to_owned(),
            None => "stranger@remote.test".to_owned(),
        }
    }

    fn recipients(&self, sim: &Sim) -> Vec<EmailAddress> {
        let mut names: Vec<&str> = PEOPLE.to_vec();
        names.extend([GROUP.0, ALIAS.0]);
        if self.account.is_some() {
            names.extend([
                "one@remote.test",
                "two@remote.test",
                "three@else.test",
                LIST,
            ]);
        }
        let mut chosen: Vec<EmailAddress> = Vec::new();
        for _ in 0..=sim.below(4) {
            let one = sim.pick(&names).map(address);
            chosen.extend(one.filter(|one| !chosen.contains(one)));
        }
        chosen
    }

    /// What to send next: again what failed, somebody's letter word for word, or a new one.
    fn next_letter(&mut self, sim: &Sim) -> Option<(u32, Vec<EmailAddress>)> {
        if let Some(again) = self.again.pop_front() {
            return Some(again);
        }
        let count = sim.oracle.borrow().letter_count();
        let recipients = self.recipients(sim);
        if self.is_list {
            return Some((Self::listed(sim, count)?, recipients));
        }
        if count > 0 && (sim.chance(100) || count >= MAX_LETTERS) {
            return Some((sim.below(count as usize) as u32, recipients));
        }
        let asked_for = self.asked_for(sim);
        let recipients = match asked_for {
            Some(_) => vec![address(REQUEST_LOCAL_PART)],
            None => recipients,
        };
        // What one sent oneself has no token.
        let asked_for = asked_for.map(|letter| (letter, None));
        let forwarded = asked_for.or_else(|| self.forwarded(sim));
        let imitated = sim.chance(150) && self.account.is_none() && count > 0;
        let draft = Draft {
            number: count,
            mail_from: &self.mail_from(sim),
            recipients: recipients.clone(),
            size: match sim.below(20) {
                0 => Size::Large,
                1..=7 => Size::WithAttachments,
                _ => Size::Small,
            },
            message_id: imitated.then(|| sim.below(count as usize) as u32),
            forwards: forwarded.as_ref(),
            now: sim.now(),
        };
        let letter = Letter::compose(draft, &CONTENT_KEY);
        sim.oracle.borrow_mut().add_letter(letter);
        Some((count, recipients))
    }

    /// What the list makes of something that it was sent: once or again, as it is or with what lists
    /// add.
    fn listed(sim: &Sim, count: u32) -> Option<u32> {
        let received = sim.listed.borrow().clone();
        let one = sim.pick(&received)?;
        let change = sim.pick(&[
            Change::Footer,
            Change::Footer,
            Change::Footer,
            Change::Stripped,
            Change::Transplanted,
            Change::Above,
        ])?;
        if sim.chance(200) || count >= MAX_LETTERS + MAX_LISTED {
            return Some(one.letter);
        }
        let other = sim.pick(&received);
        let mut oracle = sim.oracle.borrow_mut();
        // Of what was made of the same letter a token may be as good as its own.
        let is_other = |other: &Received| oracle.root(other.letter) != oracle.root(one.letter);
        let other = other.filter(is_other);
        let sent = oracle.letter(one.letter)?.clone();
        let (of, other) = ((&one, &sent), other.as_ref());
        oracle.add_letter(listed(count, of, change, other, &CONTENT_KEY));
        drop(oracle);
        sim.tell(|| {
            format!(
                "the list makes letter {count} of {}: {change:?}",
                one.letter
            )
        });
        Some(count)
    }

    /// A letter that this sender has sent and asks to be taken back, by a mail that has it attached.
    fn asked_for(&self, sim: &Sim) -> Option<Letter> {
        let account = self.account.filter(|_| sim.chance(40))?;
        let oracle = sim.oracle.borrow();
        let sent = oracle.arrivals.values();
        let sent = sent.filter(|arrival| arrival.submitter == Some(account));
        let sent: Vec<u32> = sent.map(|arrival| arrival.letter).collect();
        let letter = oracle.letter(sim.pick(&sent)?)?;
        (letter.content.len() <= MAX_FORWARDED).then(|| letter.clone())
    }

    /// A letter that this sender knows, to be forwarded as an attachment, and what has brought it here.
    fn forwarded(&self, sim: &Sim) -> Option<(Letter, Option<OriginId>)> {
        let account = self.account.filter(|_| sim.chance(200))?;
        let oracle = sim.oracle.borrow();
        let number = sim.pick(&oracle.letters_of(account))?;
        let letter = oracle.letter(number)?;
        let of = oracle.brought_by(account, number);
        (letter.content.len() <= MAX_FORWARDED).then(|| (letter.clone(), of))
    }

    fn dial(&mut self, sim: &Sim) {
        let Some((letter, recipients)) = self.next_letter(sim) else {
            return;
        };
        let Some(content) = sim
            .oracle
            .borrow()
            .letter(letter)
            .map(|l| l.content.clone())
        else {
            return;
        };
        let mut script: VecDeque<Vec<u8>> = VecDeque::from([b"EHLO client.test\r\n".to_vec()]);
        if let Some(account) = self.account {
            let plain = format!("\0{}\0secret", sim.name_of(account));
            let coded = base64::engine::general_purpose::STANDARD.encode(plain);
            script.push_back(format!("AUTH PLAIN {coded}\r\n").into_bytes());
        }
        script.push_back(format!("MAIL FROM:<{}>\r\n", self.mail_from(sim)).into_bytes());
        for recipient in &recipients {
            script.push_back(format!("RCPT TO:<{recipient}>\r\n").into_bytes());
        }
        script.push_back(b"DATA\r\n".to_vec());
        script.push_back([&content[..], b".\r\n"].concat());
        let role = match self.account {
            Some(_) => Role::Submission,
            None => Role::Reception,
        };
        let session = Session::new(Arc::new(settings()), role, peer(self.account), sim.now());
        sim.tell(|| {
            format!(
                "{} dials with letter {letter} to {recipients:?}",
                self.mail_from(sim)
            )
        });
        self.talk = Some(Talk {
            session,
            letter,
            recipients,
            script,
        });
    }

    fn give_up(&mut self, talk: Talk, why: &str, sim: &Sim) {
        sim.tell(|| format!("{}: letter {} {why}", self.mail_from(sim), talk.letter));
        self.again.push_back((talk.letter, talk.recipients));
    }

    /// Says the next thing; `None` when the talk is over.
    fn talk_on(&mut self, mut talk: Talk, sim: &Sim) -> Option<Talk> {
        let mut line = talk.script.pop_front()?;
        let content = talk.script.is_empty();
        if content && line.len() > 1 && sim.chance(500) {
            // Only a part of it, and the rest another time.
            let rest = line.split_off(1 + sim.below(line.len() - 1));
            talk.script.push_front(rest);
        }
        if sim.chance(sim.trouble.get().cut) {
            line.truncate(sim.below(line.len() + 1));
            talk.session.receive(&line, sim.now());
            let _unread = settle(&mut talk.session, sim);
            self.give_up(talk, "cut off", sim);
            return None;
        }
        talk.session.receive(&line, sim.now());
        let (output, closed) = settle(&mut talk.session, sim);
        if sim.is_dead() {
            self.give_up(talk, "server gone", sim);
            return None;
        }
        let over = talk.script.is_empty();
        let output = String::from_utf8_lossy(&output).into_owned();
        let last = output.lines().next_back().unwrap_or_default().to_owned();
        match (last.as_bytes().first(), over) {
            (Some(b'2'), true) => self.acknowledged(&talk, &last, sim),
            // A refused recipient, or nothing said yet in the middle of the content.
            (Some(b'2' | b'3') | None, false) if !closed => return Some(talk),
            (Some(b'5'), _) => sim.tell(|| format!("refused: {last}")),
            _ => self.give_up(talk, &format!("put off: {last}"), sim),
        }
        None
    }

    fn acknowledged(&self, talk: &Talk, reply: &str, sim: &Sim) {
        sim.tell(|| format!("letter {} acknowledged: {reply}", talk.letter));
        let origin = reply.rsplit(' ').next().and_then(OriginId::from_hex);
        let mut oracle = sim.oracle.borrow_mut();
        let promise = origin.and_then(|origin| Some(oracle.arrivals.get(&origin)?.promise));
        if !matches!(promise, Some(Promise::Accepted | Promise::Begun)) {
            oracle.broke(format!(
                "a client was told {reply:?}, the server said {promise:?}"
            ));
        }
    }
}

impl Actor for Sender {
    fn name(&self) -> &'static str {
        match self.is_list {
            true => "a mailing list",
            false => "a delivery",
        }
    }

    fn account(&self) -> Option<AccountId> {
        self.account
    }

    fn step(&mut self, sim: &Sim) {
        match self.talk.take() {
            None if sim.chance(600) => self.dial(sim),
            None => {}
            Some(talk) => {
                let mut going = Some(talk);
                while let Some(talk) = going {
                    going = self.talk_on(talk, sim);
                    // Others get a turn between two commands, now and then.
                    if sim.chance(150) {
                        break;
                    }
                }
                self.talk = going;
            }
        }
    }

    fn killed(&mut self, _sim: &Sim) {
        let talk = self.talk.take();
        self.again
            .extend(talk.map(|talk| (talk.letter, talk.recipients)));
    }
}

fn settings() -> Settings {
    Settings {
        hostname: "mx.example.org".to_owned(),
        ..Settings::default()
    }
}

fn peer(account: Option<AccountId>) -> Peer {
    let tls = || TlsFacts {
        version: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
        sni: None,
    };
    Peer {
        ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        tls: account.map(|_| tls()),
    }
}

/// Does what the shell does until the session waits; answers the output, and whether it closed.
fn settle(session: &mut Session, sim: &Sim) -> (Vec<u8>, bool) {
    let mut door = Door {
        sim,
        server: sim.server(),
    };
    let mut output = session.take_output();
    loop {
        let mut entropy = sim.entropy();
        let step = session.step(&mut door, sim.now(), &mut entropy);
        output.append(&mut session.take_output());
        match step {
            Step::Continue => {}
            Step::Input => return (output, false),
            Step::Close | Step::StartTls => return (output, true),
            Step::Verify(credentials) => {
                session.verified(sim.verify(&credentials), sim.now());
            }
        }
    }
}

/// What a session reaches: delivery, as the real shell wires it.
struct Door<'a> {
    sim: &'a Sim,
    server: Rc<Server>,
}

impl Verbs for Door<'_> {
    fn recipient(
        &mut self,
        sender: &tern_smtp::Sender<'_>,
        recipient: &EmailAddress,
    ) -> RecipientVerdict {
        let submitter = sender.authenticated.map(|who| who.account);
        match self.server.delivery.check_recipient(submitter, recipient) {
            Ok(RecipientCheck::Local | RecipientCheck::Relay) => RecipientVerdict::Accept,
            Ok(RecipientCheck::RelayDenied) => RecipientVerdict::RelayDenied,
            Ok(_) => RecipientVerdict::UnknownUser,
            Err(_) => RecipientVerdict::Later,
        }
    }

    fn postmaster(&mut self, hostname: &str) -> Option<EmailAddress> {
        self.server.delivery.postmaster(hostname).ok().flatten()
    }

    fn may_send_as(&mut self, account: AccountId, mail_from: &EmailAddress) -> Option<bool> {
        self.server.delivery.may_send_as(account, mail_from).ok()
    }

    fn memory(&self) -> &dyn ContentMemory {
        &Unlimited
    }

    fn accept(
        &mut self,
        arrival: Arrival,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Accepted, AcceptError> {
        let origin = arrival.origin;
        let incoming = incoming(arrival);
        self.note(&incoming);
        let accept = || self.server.delivery.accept(incoming, now, entropy);
        let accepted = self.sim.arrival(accept);
        let mut oracle = self.sim.oracle.borrow_mut();
        oracle.arrived(origin);
        match accepted {
            Ok(accepted) => {
                oracle.promised(
                    origin,
                    match accepted.cut_off {
                        None => Promise::Accepted,
                        Some(_) => Promise::Begun,
                    },
                );
                drop(oracle);
                self.server.report_late(&accepted.late);
                Ok(Accepted {
                    queue_id: accepted.origin.to_string(),
                })
            }
            Err(error) => {
                let unknown = matches!(error, DeliveryError::Store(StoreError::Unknown));
                if !unknown && !self.server.engine.is_dead() {
                    oracle.promised(origin, Promise::Refused);
                }
                if error.fault() == Fault::Ours && !self.server.engine.is_dead() {
                    oracle.broke(format!("delivery: {error}"));
                }
                Err(match error.is_full() {
                    true => AcceptError::StorageFull,
                    false => AcceptError::Temporary,
                })
            }
        }
    }
}

impl Door<'_> {
    fn note(&self, incoming: &Incoming) {
        let mut oracle = self.sim.oracle.borrow_mut();
        let marked = marks(&incoming.content);
        let number = marked.iter().find(|(part, _)| *part == Part::Subject);
        let Some(letter) = number.and_then(|(_, number)| oracle.letter(*number)) else {
            return oracle.broke("a letter came in without its mark".to_owned());
        };
        let submitter = incoming.submitter.as_ref().map(|who| who.account);
        let to: Vec<EmailAddress> = incoming
            .recipients
            .iter()
            .map(|one| one.address.clone())
            .collect();
        let arrival = oracle.arrival(letter.number, submitter, to);
        oracle.arrives(incoming.origin, arrival);
    }
}

fn incoming(arrival: Arrival) -> Incoming {
    let recipients = arrival.envelope.recipients.into_iter();
    Incoming {
        origin: arrival.origin,
        mail_from: arrival.envelope.mail_from,
        recipients: recipients
            .map(|one| IncomingRecipient::new(one.address))
            .collect(),
        ret: None,
        envid: None,
        smtputf8: arrival.envelope.smtputf8,
        content: arrival.content,
        submitter: arrival.authenticated.map(|who| Submitter {
            account: who.account,
            login: who.login,
            connection: None,
        }),
    }
}
