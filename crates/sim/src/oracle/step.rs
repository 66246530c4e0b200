//! After each step: what is durable now, against what it was and what somebody was permitted.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{AccountId, MailboxId, MessageId, Modseq, Timestamp, Uid};
use tern_mailbox::{CopyRow, Entry, Flags, INBOX, KEPT, Lineage, MailboxError, SealTag, Vaulted};

use super::copies::Shown;
use super::{Copy, Oracle, Permit, Place, Promise};
use crate::server::Server;

/// What a mailbox was seen to be.
#[derive(Clone, Debug)]
pub(super) struct FolderSeen {
    path: String,
    uid_validity: u32,
    uid_next: Uid,
    entries: BTreeMap<Uid, (MessageId, Modseq, Flags)>,
}

/// What an account was seen to be.
#[derive(Clone, Debug, Default)]
pub(super) struct AccountSeen {
    modseq: Modseq,
    newest_validity: u32,
    folders: BTreeMap<MailboxId, FolderSeen>,
}

/// An account's messages: where each is shown, and its received date.
type Messages = BTreeMap<MessageId, (Shown, Timestamp)>;

impl Oracle {
    /// What was broken, or nothing.
    pub(super) fn verdict(&mut self) -> Result<(), String> {
        self.broken.take().map_or(Ok(()), Err)
    }

    /// The check of every step.
    pub(crate) fn check_step(&mut self, server: &Server) -> Result<(), String> {
        debug_assert!(!server.engine.is_dead());
        self.look_at_all(false)?;
        self.check_promises();
        self.check_held()?;
        self.check_left();
        self.people_passed();
        self.permits.clear();
        for copy in self.copies.values_mut() {
            copy.body_out_before = copy.body_out;
        }
        self.verdict()
    }

    /// Meets every change since the last look. A copy that one recall hands over to another
    /// changes nothing in its account: `everywhere` meets that too.
    pub(super) fn look_at_all(&mut self, everywhere: bool) -> Result<(), String> {
        let mut changed = Vec::new();
        for account in self.people.ever() {
            if !self.people.is_there(account) {
                // What is removed of it, no number tells.
                if everywhere || !self.people.was_gone(account) {
                    changed.push(account);
                }
                continue;
            }
            let head = self.observer.mailboxes.account_head(account);
            let head = head.map_err(|error| format!("account {account}: {error}"))?;
            let seen = self.accounts.get(&account).map(|seen| seen.modseq);
            if seen.is_some_and(|seen| head.modseq < seen) {
                self.broke(format!("account {account}: the modseq went back"));
            }
            if everywhere || seen != Some(head.modseq) {
                changed.push(account);
            }
        }
        let let_go = self.let_go()?;
        changed.extend(
            let_go
                .into_iter()
                .filter(|account| !changed.contains(account))
                .collect::<Vec<_>>(),
        );
        if changed.is_empty() {
            return Ok(());
        }
        let vault = self.look_at_vault()?;
        for account in changed {
            let (seen, messages) = self.look_at(account)?;
            self.compare_folders(account, &seen);
            self.accounts.insert(account, seen);
            self.compare(account, &messages, &vault);
        }
        Ok(())
    }

    /// Accounts of which something that was kept under a hold is gone: that changes nothing in them, and
    /// has to be met before the next hold begins.
    fn let_go(&self) -> Result<BTreeSet<AccountId>, String> {
        let kept = self.observer.sealing.vaulted(KEPT, None, 10_000);
        let kept = kept.map_err(|error| error.to_string())?;
        let kept: BTreeSet<_> = kept.iter().map(|it| (it.account, it.message)).collect();
        let was_kept = |copy: &Copy| copy.place == Place::Vault(KEPT);
        let gone = self
            .copies
            .iter()
            .filter(|(id, copy)| was_kept(copy) && !kept.contains(id));
        Ok(gone.map(|((account, _), _)| *account).collect())
    }

    fn look_at_vault(&self) -> Result<BTreeMap<(AccountId, MessageId), Vaulted>, String> {
        let mut vault = BTreeMap::new();
        for tag in self.at_seal.keys().chain([&KEPT]) {
            let rows = self.observer.sealing.vaulted(*tag, None, 10_000);
            for copy in rows.map_err(|error| error.to_string())? {
                vault.insert((copy.account, copy.message), copy);
            }
        }
        Ok(vault)
    }

    fn look_at(&self, account: AccountId) -> Result<(AccountSeen, Messages), String> {
        let fault = |error: MailboxError| format!("account {account}: {error}");
        let mailboxes = &self.observer.mailboxes;
        let head = mailboxes.account_head(account);
        if matches!(head, Err(MailboxError::NoAccount)) && !self.people.is_there(account) {
            return Ok(Default::default());
        }
        let mut seen = AccountSeen {
            modseq: head.map_err(fault)?.modseq,
            ..AccountSeen::default()
        };
        let mut messages = Messages::new();
        for folder in mailboxes.folders(account).map_err(fault)? {
            let view = mailboxes.view(account, folder.id).map_err(fault)?;
            seen.newest_validity = seen.newest_validity.max(folder.uid_validity);
            let entry_seen = |entry: &Entry| {
                (
                    entry.uid,
                    (entry.message, entry.modseq, entry.flags.clone()),
                )
            };
            for entry in view.iter() {
                let place = messages.entry(entry.message).or_default();
                place.0.insert(folder.id, (entry.uid, entry.flags.clone()));
                place.1 = entry.received;
            }
            let folder_seen = FolderSeen {
                path: folder.path,
                uid_validity: folder.uid_validity,
                uid_next: view.counters.uid_next,
                entries: view.iter().map(entry_seen).collect(),
            };
            seen.folders.insert(folder.id, folder_seen);
        }
        Ok((seen, messages))
    }

    /// UIDs, UIDVALIDITY and modseqs (RFC 9051 2.3.1.1, RFC 7162 3.1).
    fn compare_folders(&mut self, account: AccountId, now: &AccountSeen) {
        let Some(old) = self.accounts.get(&account).cloned() else {
            return;
        };
        for (id, folder) in &now.folders {
            let at = format!("account {account}, {}", folder.path);
            let Some(before) = old.folders.get(id) else {
                if folder.uid_validity <= old.newest_validity {
                    self.broke(format!("{at}: UIDVALIDITY {} again", folder.uid_validity));
                }
                continue;
            };
            if before.uid_validity != folder.uid_validity || before.uid_next > folder.uid_next {
                self.broke(format!("{at}: UIDVALIDITY changed, or UIDNEXT went back"));
            }
            for (uid, (message, modseq, flags)) in &folder.entries {
                let known = before.entries.get(uid);
                let fine = match known {
                    None => *uid >= before.uid_next && *modseq > old.modseq,
                    Some((was, at, had)) if at == modseq => was == message && had == flags,
                    Some((was, ..)) => was == message && *modseq > old.modseq,
                };
                if !fine || *uid >= folder.uid_next || *modseq > now.modseq {
                    self.broke(format!(
                        "{at}: UID {uid} shows message {message} at modseq {modseq} with UIDNEXT \
                         {}; it was {known:?}",
                        folder.uid_next
                    ));
                }
            }
        }
    }

    fn compare(
        &mut self,
        account: AccountId,
        messages: &Messages,
        vault: &BTreeMap<(AccountId, MessageId), Vaulted>,
    ) {
        for (message, (shown, received)) in messages {
            self.met(account, *message, shown, *received);
        }
        for ((_, message), copy) in vault.range(of_account(account)) {
            self.met_in_vault(account, *message, copy);
        }
        self.check_rests(account);
        let missing: Vec<MessageId> = self
            .copies
            .range(of_account(account))
            .filter(|(_, copy)| copy.place != Place::Gone)
            .map(|((_, message), _)| *message)
            .filter(|message| {
                !messages.contains_key(message) && !vault.contains_key(&(account, *message))
            })
            .collect();
        for message in missing {
            self.missed(account, message);
        }
    }

    fn permitted(&self, wanted: impl Fn(&Permit) -> bool) -> bool {
        self.permits.iter().any(wanted)
    }

    /// Whether the owner may have put a copy into a mailbox in this step.
    pub(super) fn may_enter(&self, account: AccountId, mailbox: MailboxId) -> bool {
        self.permitted(|permit| match permit {
            Permit::Copy(of, _, to) | Permit::Move(of, _, to) | Permit::Bring(of, to) => {
                (*of, *to) == (account, mailbox)
            }
            _ => false,
        })
    }

    /// Whether the owner may have brought something of somebody else's in this step.
    fn may_bring(&self, account: AccountId) -> bool {
        self.permitted(|permit| matches!(permit, Permit::Bring(of, _) if *of == account))
    }

    /// Whether the owner may have taken a copy out of a mailbox in this step.
    fn may_leave(&self, account: AccountId, mailbox: MailboxId) -> bool {
        self.permitted(|permit| match permit {
            Permit::Expunge(of, from) | Permit::Move(of, from, _) => {
                (*of, *from) == (account, mailbox)
            }
            _ => false,
        })
    }

    /// A copy is shown.
    fn met(&mut self, account: AccountId, message: MessageId, shown: &Shown, at: Timestamp) {
        let id = (account, message);
        let Some(copy) = self.copies.get(&id).cloned() else {
            return self.met_new(account, message, shown, at);
        };
        match &copy.place {
            Place::Unmet => return self.met_new(account, message, shown, at),
            Place::Shown(before) => self.compare_shown(account, message, before, shown, &copy),
            Place::Vault(tag) => self.compare_restored(account, message, *tag, shown, &copy),
            Place::Gone => self.broke(format!(
                "account {account}: message {message} is back from nowhere"
            )),
        }
        if copy.received != Some(at) {
            self.broke(format!(
                "account {account}: message {message} has another received date"
            ));
        }
        if let Some(copy) = self.copies.get_mut(&id) {
            copy.place = Place::Shown(shown.clone());
        }
    }

    fn met_new(&mut self, account: AccountId, message: MessageId, shown: &Shown, at: Timestamp) {
        let Some(mut copy) = self.identify(account, message) else {
            return self.broke(format!(
                "account {account}: message {message} can't be identified"
            ));
        };
        if let Some(early) = self.copies.get(&(account, message)) {
            copy.body_out = early.body_out;
            copy.attempted = early.attempted;
        }
        self.inherit(account, message, &mut copy);
        copy.report = shown
            .values()
            .any(|(_, flags)| flags.has_keyword("$RecallReport"));
        copy.received = Some(at);
        if copy.lacks().is_some() {
            self.met_rest(account, message, &copy);
        } else if let Some(letter) = copy.letter
            && !self.may_be_new(account, letter, &copy, shown)
        {
            self.broke(format!(
                "account {account}: a copy of letter {letter} (message {message}, origin {}) in \
                 {:?} that nobody put there",
                copy.origin,
                shown.keys().collect::<Vec<_>>()
            ));
        }
        if let Some((sealed, tag)) = self.covering(account, &copy)
            && !self.at_seal[&tag]
                .copies
                .iter()
                .any(|c| (c.0, c.1) == (account, message))
            && !self.is_active(sealed, tag)
        {
            self.broke(format!(
                "account {account}: letter {:?} came back as message {message} under a seal",
                copy.letter
            ));
        }
        copy.place = Place::Shown(shown.clone());
        self.copies.insert((account, message), copy);
    }

    /// What a client brings it has. A copy that is made of another on the server begins with what
    /// was served of that one; of which one is not seen, where there are several.
    fn inherit(&self, account: AccountId, message: MessageId, copy: &mut Copy) {
        let others = self.copies.range(of_account(account));
        let sources: Vec<&Copy> = others
            .filter(|((_, id), other)| *id != message && other.origin == copy.origin)
            .map(|(_, other)| other)
            .filter(|other| other.place != Place::Gone)
            .collect();
        // Of what carries a letter, too.
        copy.attempted |= sources
            .iter()
            .any(|other| other.body_out || other.attempted);
        if copy.letter.is_none() {
            return;
        }
        // What was brought from somebody else is on record with both.
        copy.brought = self.may_bring(account);
        copy.body_out |= copy.by_client && !copy.brought;
        copy.attempted |= copy.brought;
        copy.body_out |= !sources.is_empty() && sources.iter().all(|other| other.body_out_before);
    }

    fn is_active(&self, digest: tern_base::ContentDigest, tag: SealTag) -> bool {
        let seals = self.seals.get(&digest);
        seals.is_some_and(|seals| seals.iter().any(|seal| seal.tag == tag && seal.active))
    }

    /// Whether a copy may have come into being in this step.
    fn may_be_new(&self, account: AccountId, letter: u32, copy: &Copy, shown: &Shown) -> bool {
        let brought = self.arrivals.get(&copy.origin).is_some_and(|arrival| {
            arrival.letter == letter
                && arrival.may_reach(account)
                && shown.keys().eq([&INBOX])
                && !self.has_copy_of(account, copy)
        });
        let put = self.permitted(|permit| {
            matches!(permit, Permit::Append(of, _, what) if (*of, *what) == (account, letter))
        });
        brought
            || put
            || shown
                .keys()
                .any(|mailbox| self.may_enter(account, *mailbox))
    }

    /// Whether this account has met a copy by the same transaction.
    fn has_copy_of(&self, account: AccountId, copy: &Copy) -> bool {
        let mut met = self.copies.range(of_account(account)).map(|(_, met)| met);
        met.any(|met| {
            let by_it = met.origin == copy.origin && !met.brought && !met.by_client;
            by_it && met.place != Place::Unmet && met.lacks().is_none()
        })
    }

    pub(super) fn identify(&self, account: AccountId, message: MessageId) -> Option<Copy> {
        let mailboxes = &self.observer.mailboxes;
        if let Ok(row) = mailboxes.message(account, message) {
            let mut copy = self.copy_of(row.digest, &row.carried, row.origin);
            copy.by_client = row.lineage == Lineage::Copied;
            return Some(copy);
        }
        // Sealed when the observer began to look: the index of copies tells, and of mail of the
        // system's own that of what carries them.
        let is_it = |row: &CopyRow| (row.account, row.message) == (account, message);
        let own = self.by_digest.keys().find_map(|digest| {
            let row = mailboxes.copies(*digest).ok()?.into_iter().find(is_it)?;
            let known = self.by_digest.get(digest).and_then(|n| self.letters.get(n));
            let inside = known.into_iter().flat_map(|letter| &letter.carried);
            let inside = inside.filter_map(|(inner, _)| {
                let mut carriers = mailboxes.carriers(*inner).ok()?.into_iter();
                let (carriage, _) = carriers.find(is_it)?.carrier?;
                Some(tern_mailbox::Letter {
                    digest: *inner,
                    carriage: Some(carriage),
                })
            });
            let mut copy = self.copy_of(*digest, &Vec::from_iter(inside), row.origin);
            copy.by_client = row.lineage == Lineage::Copied;
            Some(copy)
        });
        own.or_else(|| {
            self.by_digest.keys().find_map(|digest| {
                let row = mailboxes.carriers(*digest).ok()?.into_iter().find(is_it)?;
                let (carriage, of) = row.carrier?;
                let carriage = Some(carriage);
                let letter = tern_mailbox::Letter {
                    digest: *digest,
                    carriage,
                };
                Some(self.copy_of(of, &[letter], row.origin))
            })
        })
    }

    fn compare_shown(
        &mut self,
        account: AccountId,
        message: MessageId,
        before: &Shown,
        now: &Shown,
        copy: &Copy,
    ) {
        for (mailbox, (uid, flags)) in now {
            let fine = match before.get(mailbox) {
                Some((was, had)) if was == uid && had == flags => true,
                Some((was, _)) if was == uid => self.permitted(
                    |p| matches!(p, Permit::Flag(of, at) if (*of, *at) == (account, *mailbox)),
                ),
                _ => self.may_enter(account, *mailbox) || self.undone(copy),
            };
            if !fine {
                self.broke(format!(
                    "account {account}: message {message} changed in mailbox {mailbox}: \
                     {before:?} to {now:?}"
                ));
            }
        }
        for mailbox in before.keys().filter(|mailbox| !now.contains_key(mailbox)) {
            if !copy.report && !self.may_leave(account, *mailbox) {
                self.broke(format!(
                    "account {account}: message {message} left mailbox {mailbox} by nobody's wish"
                ));
            }
        }
    }

    fn compare_restored(
        &mut self,
        account: AccountId,
        message: MessageId,
        tag: SealTag,
        now: &Shown,
        copy: &Copy,
    ) {
        self.restored += 1;
        let recall = tern_recall::RecallId(tag.0);
        if !self.restores.contains(&tag) {
            self.broke(format!(
                "account {account}: message {message} came back though recall {recall} stands"
            ));
        }
        // A seal that fell within this step, after the copy was back, will take it again.
        let other = self.covering(account, copy).map(|(_, tag)| tag);
        let back_before = |tag: &SealTag| {
            let at = self.at_seal.get(tag);
            at.is_some_and(|at| at.copies.iter().any(|c| (c.0, c.1) == (account, message)))
        };
        if let Some(other) = other.filter(|tag| !back_before(tag)) {
            let other = tern_recall::RecallId(other.0);
            self.broke(format!(
                "account {account}: message {message} came back by the restore of {recall} under \
                 seal {other}"
            ));
        }
        let there: Vec<MailboxId> = self
            .accounts
            .get(&account)
            .map(|seen| seen.folders.keys().copied().collect())
            .unwrap_or_default();
        for (mailbox, (_, flags)) in &copy.before {
            let to = if there.contains(mailbox) {
                *mailbox
            } else {
                INBOX
            };
            let back = now.get(&to);
            let fine = back.is_some_and(|(_, has)| has == flags || to != *mailbox);
            // Within the same step its owner may have gone on with it.
            if !fine && !self.may_leave(account, to) && !self.touched(account) {
                self.broke(format!(
                    "account {account}: message {message} was restored to {now:?}, was in {:?}",
                    copy.before
                ));
            }
        }
    }

    /// Whether a recall of this letter was undone: a copy can be withdrawn and be back, under a
    /// fresh UID, within one step.
    fn undone(&self, copy: &Copy) -> bool {
        let of_letter = |tag: &SealTag| {
            self.at_seal
                .get(tag)
                .is_some_and(|at| copy.carriage_of(at.digest).is_some())
        };
        self.restores.iter().any(of_letter)
    }

    /// Whether a copy that was shown, and is withdrawn, may have been withdrawn before and come back
    /// within one step: where it was, under fresh UIDs.
    fn came_back_within(&self, copy: &Copy, shown: &Shown) -> bool {
        let mut places = shown.iter().zip(&copy.before);
        let afresh = places.all(|((mailbox, (uid, flags)), (again, (fresh, same)))| {
            mailbox == again && uid < fresh && flags == same
        });
        afresh && shown.len() == copy.before.len() && self.undone(copy)
    }

    /// Whether a copy is what is left of a letter that is whole again.
    pub(super) fn is_taken_away(&self, copy: &Copy) -> bool {
        copy.lacks().is_some() && self.undone(copy)
    }

    /// Whether the owner of an account may have changed anything in this step.
    pub(super) fn touched(&self, account: AccountId) -> bool {
        self.permitted(|permit| match permit {
            Permit::Append(of, ..)
            | Permit::Copy(of, ..)
            | Permit::Move(of, ..)
            | Permit::Expunge(of, _)
            | Permit::Bring(of, _)
            | Permit::Flag(of, _) => *of == account,
        })
    }

    /// A copy is in the vault.
    fn met_in_vault(&mut self, account: AccountId, message: MessageId, vaulted: &Vaulted) {
        let id = (account, message);
        let row = &vaulted.row.message;
        let known = self.copies.get(&id).cloned();
        let mut copy = known.unwrap_or_else(|| {
            let mut copy = self.copy_of(row.digest, &row.carried, row.origin);
            copy.by_client = row.lineage == Lineage::Copied;
            copy
        });
        match &copy.place {
            Place::Vault(tag) if *tag == vaulted.row.tag => return,
            // What its owner removed under a hold, perhaps with a mailbox that took a while to go.
            Place::Gone if vaulted.row.tag == KEPT => {}
            // Another recall of the same letter keeps what the restore of this one lets go.
            Place::Vault(tag) if self.restores.contains(tag) => {}
            Place::Vault(_) if vaulted.row.tag == KEPT && self.is_taken_away(&copy) => {}
            Place::Vault(_) | Place::Gone => self.broke(format!(
                "account {account}: message {message} came into the vault from {:?}",
                copy.place
            )),
            Place::Unmet if vaulted.row.late => self.met_late(account, message, &copy),
            // It landed and was withdrawn within one step, or its owner had just changed it.
            Place::Unmet | Place::Shown(_) => {}
        }
        self.check_why_in_vault(account, message, &copy, vaulted);
        let kept = vaulted.row.tag == KEPT;
        copy.received = Some(row.received);
        copy.late |= vaulted.row.late;
        copy.withdrawn |= !vaulted.row.late && !kept;
        copy.kept |= kept;
        match self.observer.sealing.vaulted_placements(vaulted) {
            Ok(before) => {
                let before = before.into_iter();
                copy.before = before.map(|p| (p.mailbox, (p.uid, p.flags))).collect();
            }
            Err(error) => self.broke(format!(
                "account {account}: message {message} in the vault: {error}"
            )),
        }
        if copy.place == Place::Unmet {
            self.inherit(account, message, &mut copy);
        }
        if let Place::Shown(shown) = &copy.place
            && (*shown != copy.before && !self.came_back_within(&copy, shown)
                || kept && !copy.report)
            && !self.touched(account)
            && !self.is_taken_away(&copy)
            && self.people.is_there(account)
        {
            self.broke(format!(
                "account {account}: message {message} was shown in {shown:?} and withdrawn from \
                 {:?}",
                copy.before
            ));
        }
        copy.place = Place::Vault(vaulted.row.tag);
        self.copies.insert(id, copy);
    }

    /// What is in the vault is there for a hold or a seal.
    fn check_why_in_vault(
        &mut self,
        account: AccountId,
        message: MessageId,
        copy: &Copy,
        vaulted: &Vaulted,
    ) {
        let row = &vaulted.row.message;
        let kept = vaulted.row.tag == KEPT;
        let covered = row.letters().any(|letter| {
            let seals = self.seals.get(&letter.digest).into_iter().flatten();
            seals
                .filter(|seal| seal.tag == vaulted.row.tag)
                .filter(|_| copy.carriage_of(letter.digest) == Some(letter.carriage))
                .any(|seal| seal.covers(account, row.origin, letter.carriage))
        });
        if kept
            && !row
                .letters()
                .any(|letter| self.perhaps_held(account, letter.digest))
        {
            self.broke(format!(
                "account {account}: message {message} is kept without a hold"
            ));
        }
        if !kept && !covered && !self.restores.contains(&vaulted.row.tag) {
            self.broke(format!(
                "account {account}: message {message} was withdrawn under a tag that does not \
                 cover it"
            ));
        }
    }

    fn met_late(&mut self, account: AccountId, message: MessageId, copy: &Copy) {
        if copy.lacks().is_some() {
            self.fresh_rests.insert((account, message));
            return;
        }
        let Some(letter) = copy.letter else {
            // A notice that gives back what is sealed, for whoever else had sent it.
            if copy.carried.is_empty() {
                self.broke(format!("message {message} of the system's own was stopped"));
            }
            return;
        };
        let brought = self.arrivals.get(&copy.origin);
        let brought = brought.is_some_and(|a| a.letter == letter && a.may_reach(account));
        let put = self.permitted(|permit| {
            matches!(permit, Permit::Append(of, _, what) if (*of, *what) == (account, letter))
        });
        let put = put || self.may_bring(account);
        if !put && (!brought || self.has_copy_of(account, copy)) {
            self.broke(format!(
                "account {account}: a late copy of letter {letter} that nobody brought"
            ));
        }
    }

    /// A copy is nowhere any more.
    fn missed(&mut self, account: AccountId, message: MessageId) {
        let Some(copy) = self.copies.get(&(account, message)).cloned() else {
            return;
        };
        let removed = !self.people.is_there(account);
        let fine = match &copy.place {
            Place::Shown(shown) => {
                copy.report
                    || removed
                    || self.is_taken_away(&copy)
                    || shown
                        .keys()
                        .all(|mailbox| self.may_leave(account, *mailbox))
            }
            // Mail of the system's own is replaced by it.
            Place::Unmet => copy.letter.is_none() || removed || self.touched(account),
            Place::Vault(tag) if *tag == KEPT => !self.surely_held(account, copy.digest),
            // Put back, and gone with the account.
            Place::Vault(tag) if removed && self.restores.contains(tag) => true,
            Place::Vault(_) => self.touched(account) || self.is_taken_away(&copy),
            Place::Gone => true,
        };
        if !fine {
            self.broke(format!(
                "account {account}: message {message} (letter {:?}) is lost; it was {:?}",
                copy.letter, copy.place
            ));
        }
        if matches!(copy.place, Place::Shown(_)) {
            self.note_removed((account, message), &copy);
        }
        if let Some(copy) = self.copies.get_mut(&(account, message)) {
            copy.place = Place::Gone;
        }
    }

    /// Every acknowledged message is everywhere it goes; refused ones are nowhere.
    fn check_promises(&mut self) {
        let open: Vec<_> = self
            .arrivals
            .iter()
            .filter(|(_, arrival)| !arrival.checked && arrival.promise != Promise::Open)
            .map(|(origin, arrival)| (*origin, arrival.clone()))
            .collect();
        for (origin, arrival) in open {
            let has = |account: &AccountId| {
                let mut copies = self.copies.range(of_account(*account));
                copies.any(|(_, copy)| copy.origin == origin)
            };
            let owed = arrival
                .accounts
                .iter()
                .filter(|a| self.people.is_there(**a));
            let lost: Vec<&AccountId> = owed.filter(|a| !has(a)).collect();
            let number = arrival.letter;
            match arrival.promise {
                // A copy that its owner removed in the very step of its landing was never met.
                Promise::Accepted if lost.iter().any(|a| !self.touched(**a)) => {
                    let what = format!(
                        "letter {number} was acknowledged as {origin} and is not \
                                        in the accounts {lost:?}"
                    );
                    self.broke(what);
                }
                Promise::Refused if arrival.accounts.iter().any(has) => {
                    self.broke(format!(
                        "letter {number} was refused as {origin} and landed"
                    ));
                }
                _ => {}
            }
            if arrival.promise == Promise::Accepted {
                self.check_queued(origin, &arrival);
            }
            if let Some(arrival) = self.arrivals.get_mut(&origin) {
                arrival.checked = arrival.promise != Promise::Begun;
            }
        }
    }
}

pub(super) fn of_account(account: AccountId) -> std::ops::RangeInclusive<(AccountId, MessageId)> {
    (account, MessageId(0))..=(account, MessageId(u64::MAX))
}
