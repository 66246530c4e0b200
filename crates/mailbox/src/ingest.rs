//! How content lands in an account: prepared once, placed many times.

use std::sync::Arc;

use tern_base::{
    AccountId, BlobId, ContentDigest, MailboxId, MessageId, Modseq, OriginId, ThreadId, Timestamp,
    Uid,
};
use tern_mime::ParsedMessage;
use tern_store::Transaction;

use crate::arrived::Arrived;
use crate::carried::carried_by;
use crate::edit::Edit;
use crate::record::leave;
use crate::rows::{CopyRow, Lineage, MessageRow, PlacementRow, VaultPlacementRow, VaultRow};
use crate::sealing::seals_in;
use crate::thread::Threading;
use crate::{
    Bringer, Carriage, Flags, Letter, Limit, MailboxError, Mailboxes, Seal, SealTag, blob, brought,
    limits, tables, vault,
};

/// The inbox of every account.
pub const INBOX: MailboxId = MailboxId(1);

/// A message that is ready to be placed: parsed, digested, and staged if it is large.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The address of the content.
    pub blob: BlobId,
    /// What makes it the same letter as another copy.
    pub digest: ContentDigest,
    /// Its structure.
    pub parsed: Arc<ParsedMessage>,
    pub(crate) parsed_row: Vec<u8>,
    pub(crate) threading: Threading,
    /// The letters inside it.
    pub(crate) carried: Vec<Letter>,
    /// The transaction that had sent it from here, where a client brings it.
    pub(crate) sent_by: Option<OriginId>,
    pub(crate) content: Arc<[u8]>,
    /// The content and its structure are in the store, and not in the batch that will refer to them.
    pub(crate) is_staged: bool,
}

impl Prepared {
    /// The content, octet for octet.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Its length, in octets.
    pub fn size(&self) -> u32 {
        self.content.len() as u32
    }
}

/// Where and how one copy of a prepared message lands.
#[derive(Clone, Debug)]
pub struct Landing {
    /// The account.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its first flags.
    pub flags: Flags,
    /// When it was received.
    pub received: Timestamp,
    /// Header fields for this recipient only, each with its line end.
    pub prefix: Vec<u8>,
    /// The transaction that brings it.
    pub origin: OriginId,
    /// How it came.
    pub lineage: Lineage,
    /// The account's client that brings it, if one does: it has the whole of it, and that is on
    /// record with the copy.
    pub brought_by: Option<Bringer>,
}

/// Where a copy landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The account.
    pub account: AccountId,
    /// The message.
    pub message: MessageId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its UID there.
    pub uid: Uid,
    /// The mailbox's UIDVALIDITY.
    pub uid_validity: u32,
    /// When, in the account's change sequence.
    pub modseq: Modseq,
    /// Set when the content was sealed: it went to the vault at once, under this tag, and was
    /// never shown. Beyond [`limits::MAX_KEPT_ARRIVALS`], or for what carries a
    /// letter [`limits::MAX_KEPT_CARRIERS`], it went nowhere, unless it must be kept.
    pub sealed: Option<SealTag>,
}

/// One copy of a letter, as the reverse index has it.
pub type Copy = CopyRow;

impl Mailboxes {
    /// Parses and digests a message, and stages its content when that is too large for a batch.
    pub fn prepare(&self, content: Vec<u8>, now: Timestamp) -> Result<Prepared, MailboxError> {
        let digest = tern_mime::content_digest(&self.content_key, &content);
        self.prepare_with_digest(content, digest, now)
    }

    /// The same for a caller that has the content's digest under [`Mailboxes::content_key`]
    /// already.
    pub fn prepare_with_digest(
        &self,
        content: Vec<u8>,
        digest: ContentDigest,
        now: Timestamp,
    ) -> Result<Prepared, MailboxError> {
        if u32::try_from(content.len()).is_err() {
            return Err(MailboxError::Limit(Limit::MessageOctets));
        }
        let blob = tern_mime::blob_id(&self.content_key, &content);
        let parsed = tern_mime::parse(&content);
        let parsed_row = tern_mime::encode(&parsed);
        let looks = self.hooks.recogniser.as_deref();
        let carried = carried_by(&self.content_key, digest, &parsed, &content, looks);
        let parsed = Arc::new(parsed);
        let threading = Threading::of(&parsed, &self.content_key);
        let mut prepared = Prepared {
            blob,
            digest,
            carried,
            sent_by: None,
            threading,
            parsed,
            parsed_row,
            content: content.into(),
            is_staged: false,
        };
        if prepared.content.len() > blob::INLINE {
            self.stage_prepared(&mut prepared, now)?;
        }
        Ok(prepared)
    }

    /// Places copies of a prepared message within a transaction. Each landing succeeds or fails
    /// by itself (no such account or mailbox, quota); a store error fails them all.
    ///
    /// The caller runs it through [`Mailboxes::transact`] with all the accounts, at most
    /// [`limits::LANDINGS`] at once.
    pub fn land_in(
        &self,
        txn: &mut Transaction<'_>,
        prepared: &Prepared,
        landings: &[Landing],
        now: Timestamp,
    ) -> Result<Vec<Result<Placed, MailboxError>>, MailboxError> {
        self.prefetch_landings(txn, prepared, landings)?;
        let mut seals = Vec::new();
        for letter in prepared.letters() {
            let of_letter = seals_in(txn, letter.digest, now)?;
            seals.extend(of_letter.into_iter().map(|seal| (seal, letter.carriage)));
        }
        if landings.len() >= limits::WIDE_LANDINGS {
            self.widen_in(txn, prepared.digest)?;
        }
        let mut outcomes = Vec::with_capacity(landings.len());
        let mut kept = 0;
        for landing in landings {
            match self.land_one(txn, prepared, landing, &seals, now) {
                Err(MailboxError::Store(error)) => return Err(error.into()),
                Err(error) => outcomes.push(Err(error)),
                Ok((placed, is_kept)) => {
                    kept += u64::from(is_kept);
                    outcomes.push(Ok(placed));
                }
            }
        }
        if kept > 0 {
            blob::link(txn, prepared, kept)?;
        }
        Ok(outcomes)
    }

    fn prefetch_landings(
        &self,
        txn: &mut Transaction<'_>,
        prepared: &Prepared,
        landings: &[Landing],
    ) -> Result<(), MailboxError> {
        let mut keys = vec![tables::blob(prepared.blob)];
        let heads = prepared.letters();
        keys.extend(heads.map(|letter| tables::seal_head(letter.digest)));
        for landing in landings {
            keys.push(tables::account(landing.account));
            keys.push(tables::mailbox(landing.account, landing.mailbox));
            keys.push(tables::counters(landing.account, landing.mailbox));
            keys.extend(prepared.threading.keys(landing.account));
        }
        Ok(txn.prefetch(keys)?)
    }

    /// Whether its account has room for a message of this size in a mailbox.
    fn room_to_show(&self, edit: &Edit<'_, '_>, size: u32) -> Result<(), MailboxError> {
        edit.head.room_for(size.into(), self.hooks.kept_quotas)?;
        edit.head.room_for_placement()
    }

    /// Everything that can refuse comes before the first write. Answers where the copy is, and
    /// whether it is anywhere.
    fn land_one(
        &self,
        txn: &mut Transaction<'_>,
        prepared: &Prepared,
        landing: &Landing,
        seals: &[(Seal, Option<Carriage>)],
        now: Timestamp,
    ) -> Result<(Placed, bool), MailboxError> {
        let (account, origin) = (landing.account, origin_of(prepared, landing));
        let size = landed_size(prepared, landing);
        let seal = seals
            .iter()
            .find(|(seal, carriage)| seal.covers(account, origin, *carriage))
            .map(|(seal, carriage)| (seal.tag, Arrived::new(*carriage, size)));
        let mut edit = Edit::begin(txn, landing.account)?;
        let mailbox = edit.mailbox(landing.mailbox)?;
        if landing.prefix.len() > limits::MAX_PREFIX {
            return Err(MailboxError::Limit(Limit::PrefixOctets));
        }
        if seal.is_none() {
            self.room_to_show(&edit, size)?;
        }
        let placed = |edit: &Edit<'_, '_>, message, uid| Placed {
            account: landing.account,
            message,
            mailbox: landing.mailbox,
            uid,
            uid_validity: mailbox.uid_validity,
            modseq: edit.modseq,
            sealed: seal.map(|(tag, _)| tag),
        };
        if let Some((tag, arrived)) = seal
            && !arrived.has_room(edit.txn, tag, account)?
            && !self.keeps_new(
                edit.txn,
                (account, &row_of(prepared, landing, ThreadId::default())),
                &prepared.parsed,
                now,
            )?
        {
            let message = MessageId(edit.next_id());
            let uid = pass_by(&mut edit, landing.mailbox, message)?;
            let placed = placed(&edit, message, uid);
            edit.finish();
            return Ok((placed, false));
        }
        let thread = prepared.threading.file(&mut edit)?;
        let message = MessageId(edit.next_id());
        let row = row_of(prepared, landing, thread);
        if let Some(by) = &landing.brought_by {
            let copy = (prepared.digest, landing.account, message);
            self.record_brought(edit.txn, copy, origin, &by.viewer, now)?;
        }
        let uid = match seal {
            None => {
                let uid = show(&mut edit, message, row, landing, now)?;
                let at = (landing.mailbox, &mailbox, uid);
                let by = landing.brought_by.as_ref();
                brought::note_bringer(&mut edit, self.hooks.watched, at, by)
            }
            Some((tag, arrived)) => {
                let uid = shut_away(&mut edit, message, row, landing, now, tag)?;
                arrived.note(edit.txn, tag, account, message);
                uid
            }
        };
        let placed = placed(&edit, message, uid);
        edit.finish();
        Ok((placed, true))
    }
}

/// The transaction that brings a copy: of what a client brings, the one by which it was sent from here, and
/// where it was not, as far as is known, a foreign one.
fn origin_of(prepared: &Prepared, landing: &Landing) -> OriginId {
    match (&landing.brought_by, prepared.sent_by) {
        (None, _) => landing.origin,
        (Some(_), Some(of)) => of,
        (Some(_), None) => landing.origin.foreign(),
    }
}

/// The row of a message that lands, before it is anywhere.
fn row_of(prepared: &Prepared, landing: &Landing, thread: ThreadId) -> MessageRow {
    MessageRow {
        blob: prepared.blob,
        prefix: landing.prefix.clone(),
        size: landed_size(prepared, landing),
        received: landing.received,
        thread,
        origin: origin_of(prepared, landing),
        digest: prepared.digest,
        lineage: landing.lineage,
        carried: prepared.carried.clone(),
        placements: Vec::new(),
    }
}

/// Octets of a message with what stands before it for its recipient.
fn landed_size(prepared: &Prepared, landing: &Landing) -> u32 {
    let prefix = u32::try_from(landing.prefix.len()).unwrap_or(u32::MAX);
    prepared.size().saturating_add(prefix)
}

fn show(
    edit: &mut Edit<'_, '_>,
    message: MessageId,
    mut row: MessageRow,
    landing: &Landing,
    now: Timestamp,
) -> Result<Uid, MailboxError> {
    let placement = PlacementRow {
        message,
        modseq: edit.modseq,
        flags: landing.flags.clone(),
        received: landing.received,
        size: row.size,
        saved: now,
    };
    let uid = edit.place(landing.mailbox, placement, Some(row.thread))?;
    row.placements.push((landing.mailbox, uid));
    edit.use_bytes(row.size, true);
    edit.remember(message, &row);
    Ok(uid)
}

/// Content under a seal: it gets a UID, so that a client that put it here settles, and goes to
/// the vault in the same transaction.
fn shut_away(
    edit: &mut Edit<'_, '_>,
    message: MessageId,
    mut row: MessageRow,
    landing: &Landing,
    now: Timestamp,
    tag: SealTag,
) -> Result<Uid, MailboxError> {
    let uid = pass_by(edit, landing.mailbox, message)?;
    row.placements.push((landing.mailbox, uid));
    leave(edit.txn, (row.digest, edit.account, message), row.origin)?;
    let placement = VaultPlacementRow {
        flags: landing.flags.clone(),
        saved: now,
    };
    let row = VaultRow {
        tag,
        withdrawn: now,
        modseq: edit.modseq,
        message: row,
        late: true,
    };
    vault::put(edit.txn, edit.account, message, &row, vec![placement]);
    Ok(uid)
}

/// Gives out the UID of a message that is gone with it.
pub(crate) fn pass_by(
    edit: &mut Edit<'_, '_>,
    mailbox: MailboxId,
    message: MessageId,
) -> Result<Uid, MailboxError> {
    let counters = edit.counters(mailbox)?;
    let uid = counters.uid_next;
    let next = uid
        .0
        .checked_add(1)
        .ok_or(MailboxError::Limit(Limit::Uids))?;
    counters.uid_next = Uid(next);
    edit.log(crate::rows::Change::Vanished {
        mailbox,
        uid,
        message,
        // Nobody was ever shown it.
        destroyed: None,
    });
    Ok(uid)
}
