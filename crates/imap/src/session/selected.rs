//! The selected mailbox as the client knows it, and the changes that it is yet to be told.
//!
//! Invariant: `known` holds exactly the UIDs for which the client has been told sequence numbers,
//! so that the number of a message is its rank in it; a UID enters when `EXISTS` is due and leaves
//! when its expunge is written. Everything that changed up to `modseq` was told, or waits in
//! `gone`, `flagged` and `arrived`. Refuses to hold flags: the shared view has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringBitmap;
use tern_base::{AccountId, Modseq, Uid};
use tern_mailbox::{Access, Flags, MailboxError, Mailboxes, Rights, View};

use super::Enabled;
use super::answer::{Answer, Sync};
use super::place::Place;
use crate::limits::MAX_TOLD_KEYWORDS;
use crate::respond::ResponseWriter;
use crate::respond::status::Code;
use crate::sequence::{MessageSet, Numbers, SequenceSet, ranges_of};

/// A selected mailbox.
pub(super) struct Selected {
    /// Which it is, and who acts.
    pub(super) access: Access,
    /// What may be done in it, as it was at the last step.
    pub(super) rights: Rights,
    pub(super) read_only: bool,
    /// UIDs that have sequence numbers for the client.
    pub(super) known: RoaringBitmap,
    /// The result of the last SEARCH with SAVE (RFC 5182); shared with each key `$` of a search.
    pub(super) saved: Arc<RoaringBitmap>,
    modseq: Modseq,
    /// The newest change of this mailbox itself among them: what the client is told, so that nobody
    /// hears of changes elsewhere in the account.
    own_modseq: Modseq,
    gone: RoaringBitmap,
    flagged: RoaringBitmap,
    arrived: bool,
    /// The last UID that the client has counted: `EXISTS` was written since it arrived.
    counted: u32,
    /// What the client was told last before what waits in `gone`.
    held_back: Option<Modseq>,
    /// Expunges were told, and the modseq behind them not yet.
    told_gone: bool,
    /// By modseq, whose flags of that modseq the client was told by its own commands.
    told: BTreeMap<Modseq, RoaringBitmap>,
    /// Keywords in the FLAGS response that the client has.
    keywords: Vec<Box<str>>,
    /// The mailbox does not exist any more.
    pub(super) deleted: bool,
}

/// RFC 4314 4: the right that it takes to change a flag.
fn right_for(flag: &str) -> Rights {
    match flag {
        "\\Seen" => Rights::SEEN,
        "\\Deleted" => Rights::DELETE_MESSAGES,
        _ => Rights::WRITE,
    }
}

/// UIDs of one piece of expunges.
const PIECE: usize = 4096;
/// Octets after which a piece of changes is handed out.
const PIECE_OCTETS: usize = 64 * 1024;

impl Selected {
    /// A mailbox of which the client is about to be told everything in `view`.
    pub(super) fn new(place: &Place, read_only: bool, view: &View) -> Self {
        let known = view.uids();
        let mut selected = Self {
            access: place.access.clone(),
            rights: place.rights,
            read_only,
            counted: known.max().unwrap_or(0),
            known,
            saved: Arc::default(),
            modseq: view.modseq,
            own_modseq: view.counters.highest_modseq,
            gone: RoaringBitmap::new(),
            flagged: RoaringBitmap::new(),
            arrived: false,
            held_back: None,
            told_gone: false,
            told: BTreeMap::new(),
            keywords: Vec::new(),
            deleted: false,
        };
        for flags in view.keyword_flags() {
            selected.learn(flags);
        }
        selected
    }

    /// HIGHESTMODSEQ of the mailbox, as far as its changes were read (RFC 7162 3.1.2.1), and before those
    /// that are held back.
    pub(super) fn highest_modseq(&self) -> Modseq {
        self.held_back.unwrap_or(self.own_modseq)
    }

    /// The HIGHESTMODSEQ that a client with QRESYNC must be told with an answer. RFC 7162 1: where
    /// it saw mod-sequences greater than those of expunges that are held back, one below these,
    /// so that it asks for them should the connection be lost; once they are told, the newest.
    pub(super) fn modseq_to_tell(&mut self) -> Option<Modseq> {
        let told_gone = std::mem::take(&mut self.told_gone);
        self.held_back.or(told_gone.then_some(self.own_modseq))
    }

    /// Up to where the client was told everything; `None` while something waits to be told.
    pub(super) fn told_up_to(&self) -> Option<Modseq> {
        (!self.has_news(Sync::Full)).then_some(self.modseq)
    }

    /// How many messages the client knows of.
    pub(super) fn count(&self) -> u32 {
        // UIDs are 32 bits and 0 is none.
        u32::try_from(self.known.len()).unwrap_or(u32::MAX)
    }

    /// The sequence number of a known UID.
    pub(super) fn number(&self, uid: u32) -> u32 {
        u32::try_from(self.known.rank(uid)).unwrap_or(u32::MAX)
    }

    /// The known UIDs that a set names.
    pub(super) fn resolve(&self, set: &MessageSet, uid: bool) -> Result<RoaringBitmap, Answer> {
        let set = match set {
            // RFC 9051 6.4.4.1: what is gone is not in `$` any more.
            MessageSet::Saved => return Ok(&*self.saved & &self.known),
            MessageSet::Ranges(set) => set,
        };
        let largest = if uid {
            self.known.max().unwrap_or(0)
        } else {
            self.count()
        };
        if largest == 0 && (uid || set.has_star()) {
            return Ok(RoaringBitmap::new());
        }
        if uid {
            return Ok(set.numbers(largest).among(&self.known));
        }
        let mut named = RoaringBitmap::new();
        for (from, to) in set.resolve(largest) {
            // RFC 9051 9 seq-number: a number that no message has is an error.
            let ends = (self.known.select(from - 1), self.known.select(to - 1));
            let (Some(first), Some(last)) = ends else {
                return Err(Answer::bad("No message has that sequence number"));
            };
            named.insert_range(first..=last);
        }
        named &= &self.known;
        Ok(named)
    }

    /// The UIDs that a search names, known or not, by ranges: a search may name thousands of sets, each
    /// as large as the mailbox. A number that no message has matches nothing.
    pub(super) fn uids_named(&self, set: &SequenceSet, uid: bool) -> Numbers {
        if uid {
            return match self.known.max() {
                Some(largest) => set.numbers(largest),
                None => Numbers::of(Vec::new()),
            };
        }
        let uid_of = |number: u32| self.known.select(number - 1);
        let ranges = set.resolve(self.count()).into_iter();
        let by_uid = ranges.filter_map(|(from, to)| {
            let first = uid_of(from)?;
            let last = uid_of(to).or(self.known.max());
            Some((first, last.unwrap_or(first)))
        });
        Numbers::of(by_uid.collect())
    }

    /// Numbers of known UIDs as ranges: the UIDs themselves, or their sequence numbers.
    pub(super) fn ranges(&self, uids: &RoaringBitmap, uid: bool) -> Vec<(u32, u32)> {
        if uid {
            ranges_of(uids.iter())
        } else {
            ranges_of(self.numbers(uids))
        }
    }

    /// The sequence numbers of known UIDs, in order.
    pub(super) fn numbers(&self, uids: &RoaringBitmap) -> impl Iterator<Item = u32> {
        let mut known = self.known.iter();
        let mut number = 0;
        uids.iter().map(move |uid| {
            if known.next() == Some(uid) {
                number += 1;
            } else {
                number = self.number(uid);
                known.advance_to(uid.saturating_add(1));
            }
            number
        })
    }

    /// Remembers the keywords of flags; whether there was a new one.
    fn learn(&mut self, flags: &Flags) -> bool {
        let mut fresh = false;
        for keyword in flags.keywords() {
            let mut have = self.keywords.iter();
            if self.keywords.len() < MAX_TOLD_KEYWORDS
                && !have.any(|have| have.eq_ignore_ascii_case(keyword))
            {
                self.keywords.push(keyword.into());
                fresh = true;
            }
        }
        fresh
    }

    /// Tells the client of keywords before it sees them for the first time (RFC 9051 7.3.5).
    pub(super) fn announce(&mut self, flags: &Flags, out: &mut ResponseWriter) {
        if flags.keywords().next().is_some() && self.learn(flags) {
            self.write_flags(out);
        }
    }

    /// `FLAGS` and `PERMANENTFLAGS`.
    pub(super) fn write_flags(&self, out: &mut ResponseWriter) {
        let system = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"];
        let all: Vec<&str> = system
            .into_iter()
            .chain(self.keywords.iter().map(AsRef::as_ref))
            .collect();
        out.flags(&all);
        let may = |right| !self.read_only && self.rights.has(right);
        let permanent: Vec<&str> = all
            .into_iter()
            .filter(|flag| may(right_for(flag)))
            .collect();
        out.untagged(
            crate::respond::status::Condition::Ok,
            Some(Code::PermanentFlags(&permanent, may(Rights::WRITE))),
            "Flags permitted",
        );
    }

    /// The client is being told these flags by the answer to its own command.
    pub(super) fn note_told(&mut self, uid: Uid, modseq: Modseq) {
        if modseq > self.modseq {
            self.told.entry(modseq).or_default().insert(uid.0);
        }
    }

    /// Whether the client was told the flags that a message had at this modseq, or has set them itself.
    pub(super) fn was_told(&self, uid: Uid, modseq: Modseq) -> bool {
        let by_its_command = self.told.get(&modseq);
        by_its_command.is_some_and(|told| told.contains(uid.0))
            || (modseq <= self.modseq && !self.flagged.contains(uid.0))
    }

    /// Reads what changed since the last time.
    pub(super) fn collect(
        &mut self,
        mailboxes: &Mailboxes,
        account: AccountId,
    ) -> Result<(), MailboxError> {
        let newest = mailboxes.newest_modseq(account)?;
        if newest <= self.modseq {
            return Ok(());
        }
        match mailboxes.counters(account, self.access.mailbox) {
            // Read after `newest`, so nothing up to there is missed.
            Ok(counters) if counters.highest_modseq <= self.modseq => {
                self.modseq = newest;
                return Ok(());
            }
            // A deletion is such a change; the counters stay until the last message is gone.
            Ok(_) => self.deleted = !mailboxes.has_folder(account, self.access.mailbox)?,
            Err(MailboxError::NoMailbox) => self.deleted = true,
            Err(error) => return Err(error),
        }
        let changes = match mailboxes.changes(account, self.access.mailbox, self.modseq) {
            // There is nothing left to tell of.
            Err(MailboxError::NoMailbox) if self.deleted => return Ok(()),
            changes => changes?,
        };
        let held_back = self.held_back.unwrap_or(self.own_modseq);
        let gone = changes.vanished & &self.known;
        self.flagged -= &gone;
        self.gone |= gone;
        self.flagged |= &changes.touched & &self.known;
        // UIDs ascend, so a new message never moves the number of another.
        let mut arrived = changes.touched;
        arrived.remove_range(..=self.known.max().unwrap_or(0));
        if !arrived.is_empty() {
            self.arrived = true;
            self.known |= arrived;
            self.known.optimize();
        }
        self.modseq = changes.modseq;
        self.own_modseq = changes.own.unwrap_or(self.own_modseq);
        self.held_back = (!self.gone.is_empty()).then_some(held_back);
        Ok(())
    }

    /// Whether something is left to tell.
    fn has_news(&self, sync: Sync) -> bool {
        match sync {
            Sync::Nothing => false,
            Sync::KeepNumbers => self.arrived || !self.flagged.is_empty(),
            Sync::Full => self.arrived || !self.flagged.is_empty() || !self.gone.is_empty(),
        }
    }

    /// Writes a piece of what is to be told; whether that was all.
    pub(super) fn tell(
        &mut self,
        sync: Sync,
        mailboxes: &Mailboxes,
        account: AccountId,
        enabled: Enabled,
        out: &mut ResponseWriter,
    ) -> Result<bool, MailboxError> {
        if !self.has_news(sync) {
            self.told.clear();
            return Ok(true);
        }
        if sync == Sync::Full && !self.gone.is_empty() {
            // RFC 9051 7.5.1: no number above those that the client counts. One that came behind
            // what was told, and went before it was told itself, is counted first.
            if self.gone.max() > Some(self.counted) {
                self.tell_arrived(out);
            }
            self.tell_gone(enabled, out);
            return Ok(false);
        }
        if self.arrived {
            self.tell_arrived(out);
        }
        if !self.flagged.is_empty() {
            self.tell_flags(mailboxes, account, enabled, out)?;
        }
        let all = !self.has_news(sync);
        if all {
            self.told.clear();
        }
        Ok(all)
    }

    fn tell_arrived(&mut self, out: &mut ResponseWriter) {
        self.arrived = false;
        self.counted = self.known.max().unwrap_or(self.counted);
        out.exists(self.count());
    }

    /// A piece of the expunges: RFC 9051 7.5.1, RFC 7162 3.2.10.
    fn tell_gone(&mut self, enabled: Enabled, out: &mut ResponseWriter) {
        let piece: RoaringBitmap = self.gone.iter().take(PIECE).collect();
        if enabled.qresync {
            out.vanished(false, &ranges_of(piece.iter()));
        } else {
            // Each expunge lowers the numbers of all messages behind it.
            for (before, number) in (0..).zip(self.numbers(&piece)) {
                out.expunge(number - before);
            }
        }
        self.known -= &piece;
        *Arc::make_mut(&mut self.saved) -= &piece;
        self.gone -= &piece;
        if self.gone.is_empty() {
            self.known.optimize();
            self.held_back = None;
            self.told_gone = true;
        }
    }

    fn tell_flags(
        &mut self,
        mailboxes: &Mailboxes,
        account: AccountId,
        enabled: Enabled,
        out: &mut ResponseWriter,
    ) -> Result<(), MailboxError> {
        let view = match mailboxes.view(account, self.access.mailbox) {
            Ok(view) => view,
            Err(MailboxError::NoMailbox) => {
                self.deleted = true;
                self.flagged.clear();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for uid in &std::mem::take(&mut self.flagged) {
            if out.len() >= PIECE_OCTETS {
                self.flagged.insert(uid);
                continue;
            }
            let Some(entry) = view.get(Uid(uid)) else {
                continue;
            };
            let told = self.told.get(&entry.modseq);
            if told.is_some_and(|told| told.contains(uid)) || !self.known.contains(uid) {
                continue;
            }
            self.announce(&entry.flags, out);
            let mut response = out.fetch(self.number(uid));
            // RFC 7162 3.2.4: with QRESYNC every FETCH has the UID.
            if enabled.qresync || enabled.rev2 {
                response.uid(uid);
            }
            response.flags(entry.flags.system_bits(), entry.flags.keywords());
            if enabled.condstore {
                response.modseq(entry.modseq.0);
            }
            response.end();
        }
        Ok(())
    }
}
