//! A client puts a message into a mailbox: IMAP APPEND, JMAP import.

use std::collections::BTreeSet;

use tern_base::{AccountId, MailboxId, OriginId, Timestamp};
use tern_store::Verdict;

use crate::rights::FlagRights;
use crate::{
    Acting, Bringer, Flags, Landing, Lineage, MailboxError, Mailboxes, Placed, Rights, limits,
};

/// What to append.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// The account.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The message, octet for octet.
    pub content: Vec<u8>,
    /// Its first flags.
    pub flags: Flags,
    /// Its internal date; now, when the client gives none.
    pub received: Option<Timestamp>,
    /// A fresh id for this act.
    pub origin: OriginId,
    /// The client, which has the whole of what it puts there.
    pub by: Bringer,
}

/// Where it went. A message under a seal is accepted, and is gone at once.
pub type Appended = Placed;

impl Mailboxes {
    /// Appends one message. On return it is durable.
    pub fn append(&self, request: AppendRequest, now: Timestamp) -> Result<Appended, MailboxError> {
        self.append_to_each(request, &BTreeSet::new(), now)
    }

    /// Appends one message to its mailbox and these others at once, as one message (JMAP's
    /// `Email/import`): to all of them or to none.
    pub fn append_to_each(
        &self,
        request: AppendRequest,
        others: &BTreeSet<MailboxId>,
        now: Timestamp,
    ) -> Result<Appended, MailboxError> {
        self.append_to_each_for(&Acting::Owner, request, others, now)
    }

    /// The same for somebody else than the owner, who may set all of its flags in each, or puts it nowhere.
    pub fn append_to_each_for(
        &self,
        acting: &Acting,
        request: AppendRequest,
        others: &BTreeSet<MailboxId>,
        now: Timestamp,
    ) -> Result<Appended, MailboxError> {
        let mut prepared = self.prepare_brought(request.account, request.content, 0, now)?;
        let size = prepared.content().len();
        if !others.is_empty() && !prepared.is_staged && size > limits::INLINE_BESIDE_PLACEMENTS {
            self.ask_for_room(request.account, size as u64, 0, now)?;
            self.stage_prepared(&mut prepared, now)?;
        }
        let landing = Landing {
            account: request.account,
            mailbox: request.mailbox,
            flags: request.flags,
            received: request.received.unwrap_or(now),
            prefix: Vec::new(),
            origin: request.origin,
            lineage: Lineage::Copied,
            brought_by: Some(request.by.clone()),
        };
        let landings = std::slice::from_ref(&landing);
        self.transact(&[landing.account], |txn| {
            for mailbox in others.iter().chain([&landing.mailbox]) {
                let needed = Rights::INSERT;
                let may = self.require_in(txn, acting, landing.account, *mailbox, needed)?;
                let owners = self.hooks.marked.filter(|_| !acting.is_owner());
                let may = FlagRights::of(may, owners);
                if may.within(&Flags::empty(), landing.flags.clone()) != landing.flags {
                    return Err(MailboxError::NotPermitted);
                }
            }
            let mut placed = self.land_in(txn, &prepared, landings, now)?;
            let placed = placed.pop().unwrap_or(Err(MailboxError::NoAccount))?;
            // What is under a seal is gone already.
            if placed.sealed.is_none() && !others.is_empty() {
                let by = request.by.connection.as_ref();
                let of = (landing.account, placed.message);
                self.place_also_in(txn, of, others, by, now)?;
            }
            Ok(Verdict::Commit(placed))
        })
    }

    /// Places copies of a prepared message, durably, in as many transactions as it takes. Each
    /// landing has its own outcome, in the order given.
    pub fn land(
        &self,
        prepared: &crate::Prepared,
        landings: &[Landing],
        now: Timestamp,
    ) -> Result<Vec<Result<Placed, MailboxError>>, MailboxError> {
        let mut outcomes = Vec::with_capacity(landings.len());
        let mut rest = landings;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(chunk_length(prepared, rest));
            rest = later;
            let accounts: Vec<AccountId> = chunk.iter().map(|landing| landing.account).collect();
            outcomes.extend(self.transact(&accounts, |txn| {
                self.land_in(txn, prepared, chunk, now).map(Verdict::Commit)
            })?);
        }
        Ok(outcomes)
    }
}

/// How many landings one transaction takes: at least one.
fn chunk_length(prepared: &crate::Prepared, landings: &[Landing]) -> usize {
    // The other rows of a landing, at the most.
    const ROWS: usize = 600;
    // In the message's row, and in one of its own.
    let carried = prepared.carried.len() * 2 * limits::CARRIED_BYTES;
    let mut bytes = 0;
    let fitting = landings.iter().take(limits::CHUNK).take_while(|landing| {
        bytes += landing.prefix.len() + landing.flags.keyword_bytes() + carried + ROWS;
        bytes <= limits::CHUNK_BYTES
    });
    fitting.count().max(1).min(landings.len())
}
