//! What was promised, compared with what is durable and with what left.
//!
//! The oracle reads the store past the server and sees every octet that is handed out. It learns
//! of each copy the moment that it is durable, and keeps every copy that ever was: a copy may
//! change only as somebody in this step was permitted to change it, or as a seal demands.

mod copies;
mod end;
mod guests;
mod holds;
mod log;
mod onward;
mod outside;
mod people;
mod redirects;
mod rests;
mod step;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{
    AccountId, ContentDigest, EmailAddress, MailboxId, MessageId, Modseq, OriginId, Timestamp, Uid,
};
use tern_mailbox::{Carriage, CopyRow, Flags, Seal, SealTag};
use tern_recall::{HoldId, RecallId, Trigger};
use tern_store::{MemEngine, Operation};

use crate::Summary;
use crate::letter::{Letter, Part, marks};
use crate::server::Observer;

pub(crate) use copies::{Copy, Place};
pub(crate) use holds::HeldBy;
pub(crate) use people::People;
pub(crate) use redirects::Redirect;
use step::AccountSeen;

/// What somebody may have changed in this step, whatever they were told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Put this letter into a mailbox.
    Append(AccountId, MailboxId, u32),
    /// Copy from one mailbox to another.
    Copy(AccountId, MailboxId, MailboxId),
    /// Move from one mailbox to another.
    Move(AccountId, MailboxId, MailboxId),
    /// Expunge from a mailbox.
    Expunge(AccountId, MailboxId),
    /// Change flags in a mailbox.
    Flag(AccountId, MailboxId),
    /// Put a copy of what somebody else has into a mailbox.
    Bring(AccountId, MailboxId),
}

/// How far a transaction that brings a letter has come, as the server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It is being taken in, or nobody knows.
    Open,
    /// It was accepted: every copy must be there.
    Accepted,
    /// The same, and some copies may still be on their way.
    Begun,
    /// It was refused: no copy may be there.
    Refused,
}

/// A transaction that brings a letter.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) letter: u32,
    /// The account that submits it.
    pub(crate) submitter: Option<AccountId>,
    /// Where it leads: to each of these that is not removed.
    pub(crate) accounts: BTreeSet<AccountId>,
    /// Where it may lead as well, since the directory changed while it was taken in.
    perhaps: BTreeSet<AccountId>,
    recipients: Vec<EmailAddress>,
    /// Whether redirects have a part in where it leads.
    redirected: bool,
    pub(crate) outside: BTreeSet<String>,
    pub(crate) promise: Promise,
    checked: bool,
}

/// What the store held at the commit of a seal.
#[derive(Clone, Debug)]
pub(crate) struct AtSeal {
    pub(crate) digest: ContentDigest,
    pub(crate) copies: Vec<(AccountId, MessageId, OriginId)>,
    /// Accounts that were removed by then.
    pub(crate) gone: BTreeSet<AccountId>,
}

/// What the simulation knows of a request that it made.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) origin: OriginId,
    pub(crate) requester: Option<AccountId>,
    pub(crate) chosen: Vec<EmailAddress>,
    /// The one attachment that it is about.
    pub(crate) attachment: Option<Part>,
    /// Whether the requester may.
    pub(crate) allowed: bool,
}

/// The oracle.
pub(crate) struct Oracle {
    observer: Observer,
    pub(crate) people: People,
    /// Whose mail is sent on.
    pub(crate) redirects: BTreeMap<AccountId, Redirect>,
    letters: BTreeMap<u32, Letter>,
    by_digest: BTreeMap<ContentDigest, u32>,
    pub(crate) arrivals: BTreeMap<OriginId, Arrival>,
    /// The seals that are durable now.
    seals: BTreeMap<ContentDigest, Vec<Seal>>,
    at_seal: BTreeMap<SealTag, AtSeal>,
    pub(crate) asked: BTreeMap<RecallId, Asked>,
    restores: BTreeSet<SealTag>,
    /// Every hold that was asked for.
    pub(crate) holds: BTreeMap<HoldId, HeldBy>,
    /// Copies that their owners removed under a hold.
    owed: BTreeSet<(AccountId, MessageId)>,
    /// What is left of letters and new in this step.
    fresh_rests: BTreeSet<(AccountId, MessageId)>,
    /// What stands in the place of a copy, at rest.
    stand_ins: BTreeSet<(AccountId, MessageId)>,
    waits: waits::Waits,
    copies: BTreeMap<(AccountId, MessageId), Copy>,
    accounts: BTreeMap<AccountId, AccountSeen>,
    permits: Vec<Permit>,
    /// How often rights in mailboxes have changed, or may have.
    pub(crate) rights_turned: u64,
    /// What a remote server took: the queue item's recipient and the letter.
    taken: BTreeMap<(OriginId, String), bool>,
    broken: Option<String>,
    restored: usize,
    /// What was asked by each trigger, and not refused.
    triggered: BTreeMap<Trigger, usize>,
}

impl Oracle {
    pub(crate) fn new(mem: &MemEngine) -> Result<Self, String> {
        let observer = Observer::open(mem).map_err(|error| error.to_string())?;
        let mut oracle = Self {
            observer,
            people: People::founders(),
            redirects: BTreeMap::new(),
            letters: BTreeMap::new(),
            by_digest: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            seals: BTreeMap::new(),
            at_seal: BTreeMap::new(),
            asked: BTreeMap::new(),
            restores: BTreeSet::new(),
            holds: BTreeMap::new(),
            owed: BTreeSet::new(),
            fresh_rests: BTreeSet::new(),
            stand_ins: BTreeSet::new(),
            waits: waits::Waits::default(),
            copies: BTreeMap::new(),
            accounts: BTreeMap::new(),
            permits: Vec::new(),
            rights_turned: 0,
            taken: BTreeMap::new(),
            broken: None,
            restored: 0,
            triggered: BTreeMap::new(),
        };
        oracle.look_at_all(true)?;
        Ok(oracle)
    }

    /// The next process runs on this.
    pub(crate) fn restarted(&mut self, mem: &MemEngine) -> Result<(), String> {
        self.observer = Observer::open(mem).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Notes the first broken promise.
    pub(crate) fn broke(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub(crate) fn permit(&mut self, permit: Permit) {
        self.permits.push(permit);
    }

    pub(crate) fn add_letter(&mut self, letter: Letter) {
        self.by_digest.insert(letter.digest, letter.number);
        self.letters.insert(letter.number, letter);
    }

    pub(crate) fn letter(&self, number: u32) -> Option<&Letter> {
        self.letters.get(&number)
    }

    pub(crate) fn letter_count(&self) -> u32 {
        self.letters.len() as u32
    }

    /// The letters that an account has or had a copy of, or sent.
    pub(crate) fn letters_of(&self, account: AccountId) -> Vec<u32> {
        let copies = self.copies.range(step::of_account(account));
        let mut known: BTreeSet<u32> = copies.filter_map(|(_, copy)| copy.letter).collect();
        let sent = self.arrivals.values();
        known.extend(
            sent.filter(|a| a.submitter == Some(account))
                .map(|a| a.letter),
        );
        known.into_iter().collect()
    }

    /// A client holds this to be what a mailbox holds.
    pub(crate) fn in_sync(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        told: &BTreeMap<Uid, Flags>,
    ) {
        let Ok(view) = self.observer.mailboxes.view(account, mailbox) else {
            return;
        };
        let durable = view.iter().map(|entry| (&entry.uid, &entry.flags));
        if !durable.eq(told.iter()) {
            self.broke(format!(
                "account {account}: a client in sync holds {told:?} of mailbox {mailbox}, which \
                 is {:?}",
                view.iter().map(|entry| entry.uid).collect::<Vec<_>>()
            ));
        }
    }

    /// The server is asked to take a letter over.
    pub(crate) fn arrives(&mut self, origin: OriginId, arrival: Arrival) {
        self.arrivals.insert(origin, arrival);
    }

    /// What the server said of it.
    pub(crate) fn promised(&mut self, origin: OriginId, promise: Promise) {
        if let Some(arrival) = self.arrivals.get_mut(&origin) {
            arrival.promise = promise;
        }
    }

    /// Somebody asked, with the right to, that a recall be undone.
    pub(crate) fn restore_asked(&mut self, id: RecallId) {
        self.restores.insert(id.tag());
    }

    /// A batch was committed. Answers the seals that are new.
    pub(crate) fn committed(
        &mut self,
        operations: &[Operation],
        now: Timestamp,
    ) -> Vec<(ContentDigest, SealTag)> {
        let mut fresh = Vec::new();
        for operation in operations {
            let found = match operation {
                Operation::Put(key, value) => tern_mailbox::sealed_by_row(key, Some(value)),
                Operation::Delete(key) => tern_mailbox::sealed_by_row(key, None),
                _ => None,
            };
            match found {
                None => {}
                Some(Err(_)) => self.broke("a seal row is damaged".to_owned()),
                Some(Ok(change)) => {
                    let (digest, tag) = (change.digest, change.tag);
                    if let Some(seal) = &change.seal
                        && self.is_new_seal(digest, seal, now)
                    {
                        fresh.push((digest, tag));
                    }
                    let seals = self.seals.entry(digest).or_default();
                    seals.retain(|seal| seal.tag != tag);
                    seals.extend(change.seal);
                }
            }
        }
        fresh
    }

    fn is_new_seal(&mut self, digest: ContentDigest, seal: &Seal, now: Timestamp) -> bool {
        if seal.until <= now || self.at_seal.contains_key(&seal.tag) {
            return false;
        }
        let held = self.held(digest);
        let copies = held.iter().map(|c| (c.account, c.message, c.origin));
        let at = AtSeal {
            digest,
            copies: copies.collect(),
            gone: self.all_gone(),
        };
        self.at_seal.insert(seal.tag, at);
        self.check_hidden(digest, seal);
        self.check_asker(RecallId(seal.tag.0));
        self.check_freed(RecallId(seal.tag.0));
        true
    }

    /// The messages that are a letter or carry it, as the indexes have them.
    fn held(&self, digest: ContentDigest) -> Vec<CopyRow> {
        let mut held = self.observer.mailboxes.copies(digest).unwrap_or_default();
        let carriers = self.observer.mailboxes.carriers(digest);
        held.extend(carriers.unwrap_or_default());
        held
    }

    /// A copy, of which is known which letter it is; what lies in it the letter says. Of mail of the
    /// system's own its row does.
    fn copy_of(
        &self,
        digest: ContentDigest,
        row: &[tern_mailbox::Letter],
        origin: OriginId,
    ) -> Copy {
        let known = self.by_digest.get(&digest).copied();
        // What is left of a letter names it.
        let is_rest =
            |one: &&tern_mailbox::Letter| matches!(one.carriage, Some(Carriage::Reduced(_)));
        let left_of = row.iter().find(is_rest).map(|one| one.digest);
        let number = known.or_else(|| self.by_digest.get(&left_of?).copied());
        // Where it bears no token of its own, it is what its submitter had sent.
        let attached = |(digest, of): &(ContentDigest, Option<OriginId>)| {
            let found = row.iter().find(|one| one.digest == *digest);
            let own = found.and_then(|one| match one.carriage {
                Some(Carriage::Attached(own)) => own,
                _ => None,
            });
            let own = own.filter(|own| self.is_of_one(origin, *own, *digest));
            (*digest, Carriage::Attached(of.or(own)))
        };
        let carried = match known.and_then(|number| self.letters.get(&number)) {
            Some(letter) => {
                let mut carried: Vec<_> = letter.carried.iter().map(attached).collect();
                // What it has come back from it shows to the door for mail from outside, and to clients.
                let brought = self.arrivals.get(&origin);
                if brought.is_none_or(|arrival| arrival.submitter.is_none()) {
                    let back = letter.returned.into_iter();
                    carried.extend(back.map(|(of, sent)| (of, Carriage::Returned(sent))));
                }
                carried
            }
            None => {
                let how = |one: &tern_mailbox::Letter| one.carriage.map(|how| (one.digest, how));
                row.iter().filter_map(how).collect()
            }
        };
        Copy::new(number, digest, carried, origin)
    }

    /// Whether one account has submitted what a transaction brought, and has this letter by another: it has
    /// submitted that, too, or was sent it.
    fn is_of_one(&self, origin: OriginId, own: OriginId, digest: ContentDigest) -> bool {
        let (Some(one), Some(other)) = (self.arrivals.get(&origin), self.arrivals.get(&own)) else {
            return false;
        };
        let letter = self.letters.get(&other.letter);
        let has_it = |account| {
            let mut copies = self.copies.range(step::of_account(account));
            one.submitter == other.submitter || copies.any(|(_, copy)| copy.origin == own)
        };
        one.submitter.is_some_and(has_it) && letter.is_some_and(|letter| letter.digest == digest)
    }

    /// The transaction that has brought a letter to an account, if one that was submitted did.
    pub(crate) fn brought_by(&self, account: AccountId, letter: u32) -> Option<OriginId> {
        let copies = self.copies.range(step::of_account(account));
        let mut origins = copies
            .filter(|(_, copy)| copy.letter == Some(letter) && copy.lacks().is_none())
            .map(|(_, copy)| copy.origin);
        origins.find(|origin| {
            let arrival = self.arrivals.get(origin);
            arrival.is_some_and(|it| it.submitter.is_some() && it.letter == letter)
        })
    }

    /// The seal that covers an account's copy now, for what it is or carries, and its letter.
    pub(crate) fn covering(
        &self,
        account: AccountId,
        copy: &Copy,
    ) -> Option<(ContentDigest, SealTag)> {
        let carried = copy.carried.iter().map(|(digest, _)| *digest);
        let mut letters = std::iter::once(copy.digest).chain(carried);
        letters.find_map(|digest| {
            let carriage = copy.carriage_of(digest)?;
            let seals = self.seals.get(&digest)?;
            let covers = |seal: &&Seal| seal.covers(account, copy.origin, carriage);
            let found = seals.iter().find(covers)?;
            Some((digest, found.tag))
        })
    }

    /// Octets of a copy are in the hands of the client at this address.
    pub(crate) fn handed_out(
        &mut self,
        (account, message): (AccountId, MessageId),
        address: &'static str,
        bytes: &[u8],
    ) {
        let Some(copy) = self.copies.get(&(account, message)) else {
            // Not looked at yet: it landed within this step.
            return self.learn(account, message, bytes);
        };
        let copy = copy.clone();
        let letter = copy.letter;
        for (part, number) in marks(bytes) {
            let own = letter.is_some_and(|letter| self.bears(letter, number));
            let inner = !own && self.has_inside(&copy, number);
            if letter.is_some() && !own && !inner {
                self.broke(format!(
                    "account {account} asked for message {message} and got letter {number}"
                ));
            }
            if !own && !inner {
                continue;
            }
            if own && copy.is_without(part) {
                self.broke(format!(
                    "{part:?} of letter {number} handed out to account {account} (message \
                     {message}), out of which it was taken"
                ));
            }
            if let Some((_, tag)) = self.covering(account, &copy) {
                self.broke(format!(
                    "{part:?} of letter {number} handed out to account {account} (message \
                     {message}) under seal {}",
                    RecallId(tag.0)
                ));
            }
            // Of what lies in it the header is a part of its body.
            if (part != Part::Subject || inner)
                && let Some(copy) = self.copies.get_mut(&(account, message))
            {
                copy.body_out = true;
                copy.served_to.insert(address);
            }
        }
    }

    /// The letter that another was made of, in the first place.
    pub(crate) fn root(&self, letter: u32) -> u32 {
        let made_of = self.letters.get(&letter).and_then(|letter| letter.bears);
        made_of.map_or(letter, |of| self.root(of))
    }

    /// Whether a letter is another, or was made of it.
    fn bears(&self, letter: u32, number: u32) -> bool {
        let bears = || self.letters.get(&letter)?.bears;
        letter == number || bears().is_some_and(|inner| self.bears(inner, number))
    }

    /// Whether a letter is inside a copy.
    fn has_inside(&self, copy: &Copy, number: u32) -> bool {
        let inside = copy.carried.iter().filter(|(_, how)| how.is_attached());
        let mut inside = inside.filter_map(|(digest, _)| self.by_digest.get(digest));
        inside.any(|letter| self.bears(*letter, number))
    }

    /// How many seals ever fell: a session's step in which the number grew began before the seal.
    pub(crate) fn seals_set(&self) -> usize {
        self.at_seal.len()
    }

    /// A copy that a mailbox showed to a client by this UID.
    pub(crate) fn message_at(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Option<MessageId> {
        let view = self.observer.mailboxes.view(account, mailbox).ok()?;
        view.get(uid).map(|entry| entry.message)
    }

    /// The UIDs of a mailbox, and the account's newest modseq.
    pub(crate) fn uids(&self, account: AccountId, mailbox: MailboxId) -> (BTreeSet<Uid>, Modseq) {
        let mailboxes = &self.observer.mailboxes;
        let modseq = mailboxes.newest_modseq(account).unwrap_or_default();
        let view = mailboxes.view(account, mailbox);
        let uids = view.map(|view| view.iter().map(|entry| entry.uid).collect());
        (uids.unwrap_or_default(), modseq)
    }

    fn learn(&mut self, account: AccountId, message: MessageId, bytes: &[u8]) {
        let marks = marks(bytes);
        let Some((_, number)) = marks.first() else {
            return;
        };
        let Some(mut copy) = self.identify(account, message) else {
            return;
        };
        let is_body = |(part, number): &(Part, u32)| {
            let own = copy
                .letter
                .is_some_and(|letter| self.bears(letter, *number));
            *part != Part::Subject || !own
        };
        copy.body_out = marks.iter().any(is_body);
        if self.covering(account, &copy).is_some() {
            self.broke(format!("letter {number} handed out under a seal"));
        }
        self.early(account, message, copy);
    }

    /// A client is about to be served the body of a copy; whether octets follow, it will see.
    pub(crate) fn attempted(&mut self, account: AccountId, message: MessageId) {
        match self.copies.get_mut(&(account, message)) {
            Some(copy) => copy.attempted = true,
            None => {
                let row = self.observer.mailboxes.message(account, message);
                if let Ok(row) = row {
                    let mut copy = self.copy_of(row.digest, &row.carried, row.origin);
                    copy.attempted = true;
                    self.early(account, message, copy);
                }
            }
        }
    }

    /// Keeps what is known of a copy that the step's check has not met yet.
    fn early(&mut self, account: AccountId, message: MessageId, copy: Copy) {
        self.copies.insert((account, message), copy);
    }

    pub(crate) fn summary(&self, kills: usize) -> Summary {
        let count = |wanted: &dyn Fn(&Copy) -> bool| {
            self.copies.values().filter(|copy| wanted(copy)).count()
        };
        let accepted = self.arrivals.values();
        Summary {
            accepted: accepted.filter(|a| a.promise == Promise::Accepted).count(),
            seals: self.at_seal.len(),
            withdrawn: count(&|copy| copy.withdrawn),
            late: count(&|copy| copy.late),
            restored: self.restored,
            exposed: count(&|copy| copy.body_out),
            shown: count(&|copy| !copy.guests.is_empty()),
            brought: count(&|copy| copy.brought),
            sent_on: self.arrivals.values().filter(|a| a.is_sent_on()).count(),
            freed: self.freed(),
            kept: count(&|copy| copy.kept),
            removed: self.people.removed(),
            kills,
            triggered: self.triggered.clone(),
            races: BTreeMap::new(),
        }
    }
}

impl Arrival {
    /// Whether it may bring a copy to an account.
    fn may_reach(&self, account: AccountId) -> bool {
        self.accounts.contains(&account) || self.perhaps.contains(&account)
    }
}

impl Oracle {
    /// A letter that the server is about to be asked to take over.
    pub(crate) fn arrival(
        &self,
        letter: u32,
        submitter: Option<AccountId>,
        recipients: Vec<EmailAddress>,
    ) -> Arrival {
        let mut arrival = Arrival {
            letter,
            submitter,
            accounts: BTreeSet::new(),
            perhaps: BTreeSet::new(),
            redirected: false,
            outside: BTreeSet::new(),
            promise: Promise::Open,
            checked: false,
            recipients,
        };
        arrival.look(&self.people, &self.redirects);
        arrival
    }

    /// The server has answered: it may have asked the directory at any time until now.
    pub(crate) fn arrived(&mut self, origin: OriginId) {
        if let Some(arrival) = self.arrivals.get_mut(&origin) {
            arrival.look_again(&self.people, &self.redirects);
        }
    }
}
