//! Every trigger, crossed with how a copy came, with its state, and with the verdict on the request:
//! what becomes of the copy and of the request stands in `table.txt`, and is what happens.
//!
//! One letter goes to a recipient for each lineage and state; each trigger and verdict has a world of
//! its own.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::BTreeMap;
use std::sync::Arc;

use house::{House, address, as_sent_by};
use tern_base::{AccountId, MailboxId, OriginId, Uid};
use tern_directory::target::Target as Leads;
use tern_directory::{
    DirectoryError, FactorKey, NewTotp, RecoveryCodes, add_members, create_group, set_alias,
};
use tern_mailbox::{
    Access, AppendRequest, ExposureLevel, FlagChange, FlagRequest, Flags, INBOX, Served, Share,
    SystemFlag, Transfer, Viewer,
};
use tern_policy::{
    Authentication, Decision, DenyReason, Operation, Policy, PolicyId, Question, Selection, Verdict,
};
use tern_queue::{LeaseId, Outcome as Relay, Reply};
use tern_recall::{
    Destination, RECALL_KEYWORD, RECALL_MAILBOX, RecallId, Recalls, Request, Requested, Requester,
    Selector, State, Subject,
};

const VERDICTS: [&str; 6] = [
    "allow",
    "stepped-up",
    "approved",
    "denied",
    "not-stepped-up",
    "declined",
];

/// One line of the table: two words, and a cell for each verdict.
struct Line {
    first: String,
    second: String,
    cells: Vec<String>,
}

fn lines() -> (Vec<Line>, Vec<Line>) {
    let text = include_str!("table.txt");
    let (copies, requests) = text
        .split_once("# What becomes of the request: the state of its record, and the refusal.")
        .unwrap();
    let read = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(line).collect()
    };
    (read(copies), read(requests))
}

fn line(text: &str) -> Option<Line> {
    let mut parts = text.split('|').map(str::trim);
    let mut words = parts.next()?.split_whitespace();
    let (first, second) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut cells: Vec<String> = Vec::new();
    for cell in parts {
        let cell = match cell {
            "=" => cells.last().unwrap().clone(),
            cell => cell.to_owned(),
        };
        cells.push(cell);
    }
    assert_eq!(cells.len(), VERDICTS.len(), "{text}");
    Some(Line {
        first,
        second,
        cells,
    })
}

/// Says the same of every recall, until it was freed.
struct Says(&'static str);

impl Policy for Says {
    fn decide(&self, question: &Question) -> Verdict {
        let decision = match (question.operation, self.0) {
            (Operation::Recall, "denied") => Decision::Deny(DenyReason::PolicyDenied),
            (Operation::Recall, "stepped-up" | "not-stepped-up")
                if question.authentication.step_up_age_ms.is_none() =>
            {
                Decision::StepUp { max_age_ms: 60_000 }
            }
            (Operation::Recall, "approved" | "declined") if question.approvals == 0 => {
                Decision::Approval {
                    approvers: 1,
                    expires_after_ms: 60_000,
                }
            }
            _ => Decision::Allow,
        };
        Verdict {
            decision,
            policies: vec![PolicyId::new(self.0)],
            inputs: Vec::new(),
        }
    }
}

/// Where a copy is that a line speaks of.
#[derive(Clone, Debug)]
enum Place {
    Account(AccountId),
    Outside(String),
}

struct World {
    house: House,
    recalls: Recalls,
    alice: AccountId,
    sent: OriginId,
    places: Vec<Place>,
    /// What each account has in all its mailboxes before anything is asked for.
    held: BTreeMap<AccountId, usize>,
}

fn letter(n: &str, further: &str) -> String {
    format!(
        "From: alice@tern.test\r\nTo: all@tern.test\r\nSubject: {n}\r\n\
         Date: Fri, 20 Nov 2026 10:11:12 +0100\r\nMessage-ID: <{n}@tern.test>\r\n{further}\r\n\
         text of {n}\r\n"
    )
}

/// Sets up a second factor for an account: without one there is nothing to wait for.
fn enrol(house: &mut House, account: AccountId) {
    let key = FactorKey::derive(&[9; 32]);
    let new = NewTotp::new(&key, account, &mut house.entropy).unwrap();
    let secret = totp_rs::Secret::try_from_base32(new.base32()).unwrap();
    let app = totp_rs::Builder::new().with_secret(secret.as_bytes().to_vec());
    let code = app.build().unwrap().generate(house.now.as_secs());
    let (code, codes) = (code.to_string(), RecoveryCodes::new(&mut house.entropy));
    tern_store::transact(&house.engine, |txn| -> Result<_, DirectoryError> {
        tern_directory::enrol_totp_in(txn, &new, house.now)?;
        let done = tern_directory::confirm_totp_in(txn, &key, account, &code, &codes, house.now)?;
        done.unwrap();
        Ok(tern_store::Verdict::Commit(()))
    })
    .unwrap();
}

impl World {
    fn new(verdict: &'static str, lines: &[Line]) -> Self {
        let mut house = House::new();
        let recalls = house.recalls_under(Arc::new(Says(verdict)));
        let alice = house.account("alice");
        enrol(&mut house, alice);
        let (mut to, mut places) = (Vec::new(), Vec::new());
        for (n, line) in lines.iter().enumerate() {
            places.push(lead(&house, n, &line.first, &mut to));
        }
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        let mut incoming = house.incoming("alice@tern.test", &to, Some("alice"));
        let sent = OriginId::new(house.now, &mut house.entropy);
        incoming.origin = sent;
        incoming.content = letter("one", "").into_bytes();
        house.accept(incoming).unwrap();
        let mut world = Self {
            house,
            recalls,
            alice,
            sent,
            places,
            held: BTreeMap::new(),
        };
        for folder in ["Sent", RECALL_MAILBOX] {
            let now = world.house.now;
            world
                .house
                .mailboxes
                .create_folder(alice, folder, None, now)
                .unwrap();
        }
        for (n, line) in lines.iter().enumerate() {
            world.arrange(&world.places[n].clone(), &line.first, &line.second);
        }
        let accounts = world.places.iter().filter_map(|place| match place {
            Place::Account(account) => Some(*account),
            Place::Outside(_) => None,
        });
        world.held = accounts
            .map(|account| (account, world.held_by(account)))
            .collect();
        world
    }

    /// How many messages of the letter an account has.
    fn held_by(&self, account: AccountId) -> usize {
        let mailboxes = &self.house.mailboxes;
        let folders = mailboxes.folders(account).unwrap();
        let digest = tern_recall::submission::submission(&self.house.engine, self.sent);
        let digest = digest.unwrap().unwrap().digest;
        let count = |folder: &tern_mailbox::Folder| {
            let view = mailboxes.view(account, folder.id).unwrap();
            let is = |entry: &tern_mailbox::Entry| {
                let row = mailboxes.message(account, entry.message);
                row.is_ok_and(|row| row.digest == digest)
            };
            view.iter().filter(|entry| is(entry)).count()
        };
        folders.iter().map(count).sum()
    }

    fn append(&mut self, account: AccountId, mailbox: MailboxId, content: String) -> Uid {
        let request = AppendRequest {
            account,
            mailbox,
            content: content.into_bytes(),
            flags: Flags::empty(),
            by: Viewer::default().into(),
            received: None,
            origin: OriginId::new(self.house.now, &mut self.house.entropy),
        };
        let placed = self
            .house
            .mailboxes
            .append(request, self.house.now)
            .unwrap();
        placed.uid
    }

    /// Brings a copy into the lineage and state of its line.
    fn arrange(&mut self, place: &Place, lineage: &str, state: &str) {
        match place {
            Place::Outside(to) => {
                let to = to.clone();
                if lineage == "forwarded" {
                    self.forward(&to);
                }
                self.relay(&to, state);
            }
            Place::Account(account) => {
                let account = *account;
                self.file(account, lineage);
                self.treat(account, state);
            }
        }
    }

    /// Somebody who got the letter sends it on outside, as an attachment.
    fn forward(&mut self, to: &str) {
        let by = to.replace('x', "r").replace("far.example", "tern.test");
        let name = by.split('@').next().unwrap().to_owned();
        let head = format!(
            "From: {by}\r\nTo: {to}\r\nSubject: Fwd\r\nMessage-ID: <fwd-{by}>\r\n\
             Date: Fri, 20 Nov 2026 11:11:12 +0100\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
             Content-Type: message/rfc822\r\n\r\n"
        );
        let mut incoming = self.house.incoming(&by, &[to], Some(&name));
        incoming.origin = OriginId::new(self.house.now, &mut self.house.entropy);
        let had = as_sent_by(self.sent, &letter("one", ""));
        incoming.content = format!("{head}{had}\r\n--b--\r\n").into_bytes();
        self.house.accept(incoming).unwrap();
    }

    fn file(&mut self, account: AccountId, lineage: &str) {
        let now = self.house.now;
        let mailboxes = Arc::clone(&self.house.mailboxes);
        match lineage {
            "appended" => {
                let had = as_sent_by(self.sent, &letter("one", ""));
                self.append(account, INBOX, had);
            }
            "own" => drop(self.append(account, INBOX, letter("one", ""))),
            "moved" | "copied" => {
                mailboxes.create_folder(account, "Kept", None, now).unwrap();
                let kept = mailboxes.folder(account, "Kept").unwrap().id;
                let transfer = Transfer {
                    from: Access::owner(account, INBOX),
                    to: kept,
                    uids: &[Uid(1)],
                    by: None,
                };
                let moved = match lineage {
                    "moved" => mailboxes.move_messages(&transfer, now),
                    _ => mailboxes.copy(&transfer, now),
                };
                assert_eq!(moved.unwrap().len(), 1);
            }
            _ => {}
        }
    }

    fn treat(&mut self, account: AccountId, state: &str) {
        match state {
            "seen" => self.flag(account, INBOX, Uid(1), Flags::of(&[SystemFlag::Seen])),
            "headers" => self.serve(account, ExposureLevel::Headers),
            "body" => self.serve(account, ExposureLevel::Body),
            "deleted" => self.delete(account),
            "read-deleted" => {
                self.serve(account, ExposureLevel::Body);
                self.delete(account);
            }
            _ => assert_eq!(state, "untouched"),
        }
    }

    fn flag(&self, account: AccountId, mailbox: MailboxId, uid: Uid, flags: Flags) {
        let request = FlagRequest {
            access: Access::owner(account, mailbox),
            uids: &[uid],
            change: &FlagChange::Set(flags),
            unchanged_since: None,
            by: None,
        };
        self.house.mailboxes.change_flags(&request).unwrap();
    }

    fn serve(&self, account: AccountId, level: ExposureLevel) {
        let mailboxes = &self.house.mailboxes;
        let folders = mailboxes.folders(account).unwrap();
        for folder in folders {
            let view = mailboxes.view(account, folder.id).unwrap();
            for entry in view.iter() {
                let row = mailboxes.message(account, entry.message).unwrap();
                let served = Served {
                    account,
                    message: entry.message,
                    digest: row.digest,
                    origin: row.origin,
                    carries: !row.carried.is_empty(),
                    level,
                    share: Share::NONE,
                };
                let viewer = Viewer::default();
                mailboxes
                    .record_served(&[served], &viewer, self.house.now)
                    .unwrap();
            }
        }
    }

    fn delete(&self, account: AccountId) {
        let gone = self.house.mailboxes.expunge(
            &Access::owner(account, INBOX),
            &[Uid(1)],
            false,
            self.house.now,
        );
        assert_eq!(gone.unwrap(), [Uid(1)]);
    }

    fn relay(&mut self, to: &str, state: &str) {
        if state == "queued" {
            return;
        }
        let items = tern_queue::list(&self.house.engine, None, 1_000)
            .unwrap()
            .items;
        let item = items.iter().find(|item| item.recipient.to_string() == to);
        let (id, lease, now) = (item.unwrap().id, LeaseId(1), self.house.now);
        let taken = self.house.delivery.take(&[id], lease, now, 60_000).unwrap();
        assert!(taken.is_some());
        let reply = |code| Reply {
            code,
            enhanced: None,
            text: String::new(),
            host: None,
        };
        let outcome = match state {
            "in-flight" => return,
            "taken" => Relay::Delivered(reply(250)),
            "refused" => Relay::Permanent(reply(550)),
            _ => Relay::Unanswered {
                reply: reply(451),
                together: 1,
            },
        };
        let entropy = &mut self.house.entropy;
        self.house
            .delivery
            .conclude(&[(id, outcome)], lease, false, now, entropy)
            .unwrap();
    }

    /// Asks for the recall by one trigger; answers what is on record.
    fn ask(&mut self, trigger: &str) -> RecallId {
        let own = letter("one", "");
        match trigger {
            "mailbox" => {
                let recall = self
                    .house
                    .mailboxes
                    .folder(self.alice, RECALL_MAILBOX)
                    .unwrap()
                    .id;
                self.append(self.alice, recall, own);
            }
            "keyword" => {
                let sent = self.house.mailboxes.folder(self.alice, "Sent").unwrap().id;
                let uid = self.append(self.alice, sent, own);
                let mut flags = Flags::empty();
                assert!(flags.add_keyword(RECALL_KEYWORD));
                self.flag(self.alice, sent, uid, flags);
            }
            "mail" => self.submit(
                "recall@tern.test",
                letter("ask", "In-Reply-To: <one@tern.test>\r\n"),
            ),
            "supersedes" => self.submit(
                "carol@tern.test",
                letter("new", "Supersedes: <one@tern.test>\r\n"),
            ),
            "outlook" => {
                let class = "Content-Class: urn:content-classes:recallmessage\r\n";
                let mail = letter("ask", class).replace("Subject: ask", "Subject: Recall: one");
                self.submit("r0@tern.test", mail);
            }
            _ => return self.ask_as_operator(),
        }
        let answers = self.recalls.triggers(self.alice, self.house.now).unwrap();
        assert_eq!(answers.len(), 1, "{trigger}: {answers:?}");
        answers[0].id()
    }

    fn submit(&mut self, to: &str, mail: String) {
        let mut incoming = self.house.incoming("alice@tern.test", &[to], Some("alice"));
        incoming.origin = OriginId::new(self.house.now, &mut self.house.entropy);
        incoming.content = mail.into_bytes();
        self.house.accept(incoming).unwrap();
    }

    fn ask_as_operator(&mut self) -> RecallId {
        let request = Request {
            id: RecallId([9; 16]),
            selector: Selector::Submission(self.sent),
            requester: Requester {
                account: None,
                name: "root".into(),
                authentication: Authentication::default(),
            },
            chosen: Vec::new(),
            selection: Selection::Any,
            attachment: None,
            reach: tern_recall::Reach::default(),
            notices: tern_recall::Notices::default(),
            batch: None,
            as_answer: false,
            reason: None,
            replacement: None,
            expires: None,
        };
        self.recalls.request(&request, self.house.now).unwrap().id()
    }

    /// Frees it as the verdict's name says, or lets it wait in vain, and carries it out.
    fn go_on(&mut self, id: RecallId, verdict: &str) {
        let state = self.recalls.recall(id).unwrap().state;
        let waits = matches!(state, State::AwaitingStepUp | State::AwaitingApproval);
        let manager = Requester {
            account: Some(self.house.account("carol")),
            name: "carol@tern.test".into(),
            authentication: Authentication::default(),
        };
        match verdict {
            _ if !waits => {}
            "stepped-up" => {
                let freed = self
                    .recalls
                    .stepped_up(id, self.alice, "totp", None, self.house.now);
                assert_eq!(freed.unwrap(), Requested::Sealed(id));
            }
            "approved" => {
                let freed = self.recalls.approve(id, &manager, None, self.house.now);
                assert_eq!(freed.unwrap(), Requested::Sealed(id));
            }
            "declined" => {
                self.recalls
                    .decline(id, &manager, None, self.house.now)
                    .unwrap();
            }
            _ => self.house.now = self.house.now.plus_millis(24 * 60 * 60 * 1000),
        }
        self.recalls.run_open(self.house.now).unwrap();
        self.recalls.run(id, self.house.now).unwrap();
    }

    /// What became of the request.
    fn request_state(&self, id: RecallId) -> String {
        match self.recalls.recall(id).unwrap().state {
            State::Refused(refusal) => format!("refused {}", refusal.code()),
            state => state.code().to_owned(),
        }
    }

    /// What became of a copy.
    fn copy_state(&self, id: RecallId, place: &Place) -> String {
        let outcomes = self.recalls.outcomes(id).unwrap();
        if outcomes.is_empty() {
            let untouched = match place {
                Place::Account(account) => self.held_by(*account) >= self.held[account],
                Place::Outside(_) => true,
            };
            return if untouched { "stays" } else { "changed" }.to_owned();
        }
        let targets = tern_recall::submission::targets(&self.house.engine, self.sent).unwrap();
        let onward = |origin: OriginId, n: u32| {
            let targets = tern_recall::submission::targets(&self.house.engine, origin).unwrap();
            targets[n as usize].destination.clone()
        };
        let is_about = |subject: &Subject| match (subject, place) {
            (Subject::Copy(account, _), Place::Account(of)) => account == of,
            (Subject::Onward(origin, n), Place::Outside(of)) => {
                matches!(onward(*origin, *n), Destination::Outside { address, .. } if address == *of)
            }
            (Subject::Target(n), _) => match (&targets[*n as usize].destination, place) {
                (Destination::Account(account), Place::Account(of)) => account == of,
                (Destination::Outside { address, .. }, Place::Outside(of)) => address == of,
                _ => false,
            },
            _ => false,
        };
        let about = outcomes.iter().filter(|(subject, _)| is_about(subject));
        let mut said: Vec<String> = about
            .map(|(_, one)| format!("{} {}", one.outcome.code(), one.reason.code()))
            .collect();
        said.dedup();
        match (place, said.is_empty()) {
            (_, true) => "nothing".to_owned(),
            // Whatever was taken is nowhere to be seen.
            (Place::Account(account), _)
                if *account != self.alice && self.held_by(*account) > 0 =>
            {
                format!("{} and still there", said.join(", "))
            }
            _ => said.join(", "),
        }
    }
}

/// Makes the way to recipient number `n` by one lineage, and adds the address that is written to.
fn lead(house: &House, n: usize, lineage: &str, to: &mut Vec<String>) -> Place {
    let engine = &house.engine;
    let own = format!("r{n}@tern.test");
    let away = format!("x{n}@far.example");
    let leads_to = |text: &str| Leads::Address(address(text));
    let group = |name: &str, member: &str| {
        let made = create_group(engine, &address(name), "Group", house.now).unwrap();
        add_members(engine, made.id, &[leads_to(member)]).unwrap();
    };
    let account = |name: &str| Place::Account(house.add_account(name));
    let made = match lineage {
        "own" => return Place::Account(house.account("alice")),
        "outside" | "alias-outside" | "redirected-outside" => Place::Outside(away.clone()),
        "forwarded" => {
            house.add_account(&format!("r{n}"));
            Place::Outside(away.clone())
        }
        _ => account(&format!("r{n}")),
    };
    let written = match lineage {
        "outside" => away,
        "redirected" => {
            let from = house.add_account(&format!("s{n}"));
            house.redirect(from, &[address(&own)], false);
            format!("s{n}@tern.test")
        }
        "redirected-outside" => {
            let from = house.add_account(&format!("s{n}"));
            house.redirect(from, &[address(&away)], false);
            format!("s{n}@tern.test")
        }
        "alias-outside" => {
            set_alias(
                engine,
                &address(&format!("a{n}@tern.test")),
                &[leads_to(&away)],
            )
            .unwrap();
            format!("a{n}@tern.test")
        }
        "alias" => {
            set_alias(
                engine,
                &address(&format!("a{n}@tern.test")),
                &[leads_to(&own)],
            )
            .unwrap();
            format!("a{n}@tern.test")
        }
        "group" | "nested-group" => {
            group(&format!("g{n}@tern.test"), &own);
            match lineage {
                "group" => format!("g{n}@tern.test"),
                _ => {
                    group(&format!("h{n}@tern.test"), &format!("g{n}@tern.test"));
                    format!("h{n}@tern.test")
                }
            }
        }
        "appended" => return made,
        _ => own,
    };
    to.push(written);
    made
}

#[test]
fn every_trigger_lineage_state_and_verdict() {
    let (copies, requests) = lines();
    let mut wrong = Vec::new();
    for request in &requests {
        let trigger = &request.first;
        for (verdict, expected) in VERDICTS.iter().zip(&request.cells) {
            let mut world = World::new(verdict, &copies);
            let id = world.ask(trigger);
            world.go_on(id, verdict);
            let state = world.request_state(id);
            if state != *expected {
                wrong.push(format!("{trigger} {verdict}: {state}, not {expected}"));
            }
            // A request that was refused leaves every copy as one that was denied does.
            let column = match state.as_str() {
                "done" => VERDICTS.iter().position(|one| one == verdict).unwrap(),
                _ => VERDICTS.iter().position(|one| *one == "denied").unwrap(),
            };
            for (line, place) in copies.iter().zip(&world.places) {
                let found = world.copy_state(id, place);
                let (expected, which) = (&line.cells[column], (&line.first, &line.second));
                if found != *expected {
                    wrong.push(format!(
                        "{trigger} {verdict} {which:?}: {found}, not {expected}"
                    ));
                }
            }
            assert_eq!(world.recalls.check().unwrap(), []);
            world.house.check();
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cells:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
