//! What is under a hold is read out, copy by copy: for whoever has to hand it over.
//!
//! Invariants:
//! - Who reads asks policy twice: to manage the hold, and for each copy to read what is kept of its
//!   owner. What the latter does not let them read is counted and left out.
//! - What a page has is on record before it is handed out.
//!
//! Refuses to change anything: neither is a copy marked as read, nor counts it as served to its owner.

use serde_json::{Value, json};
use tern_base::{AccountId, MessageId, Timestamp};
use tern_directory::About;
use tern_mailbox::{KEPT, Leaving, MailboxError, Met, Walk};
use tern_policy::{Decision, Message, Permission, Question};
use tern_store::StoreError;

use super::place::audit_hold;
use super::{Hold, HoldId};
use crate::audit::by_requester;
use crate::{RecallError, RecallId, Recalls, Requester, Submission, limits, submission};

/// A copy under a hold.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldCopy {
    /// The account.
    pub account: AccountId,
    /// The message.
    pub message: MessageId,
    /// What is known of it.
    pub about: Value,
    /// All of it.
    pub octets: Vec<u8>,
}

/// Some copies under a hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldPage {
    /// The copies. One may come twice.
    pub copies: Vec<HeldCopy>,
    /// How many more there were, which the reader may not read.
    pub withheld: u64,
    /// Where to go on; none at the end. A page may be empty and yet have one.
    pub next: Option<Walk>,
}

impl Recalls {
    /// Reads some of what is under a hold.
    pub fn read_held(
        &self,
        id: HoldId,
        by: &Requester,
        from: Walk,
        now: Timestamp,
    ) -> Result<HeldPage, RecallError> {
        let hold = self.hold(id)?;
        self.may_manage(&hold, "hold.export", by, now)?;
        let mut page = HeldPage::default();
        let walked = self
            .mailboxes
            .walk(hold.scope.account, from, limits::HELD_LOOKED_AT)?;
        let (mut octets, all);
        (all, page.next) = walked;
        octets = 0;
        for met in all {
            let Some(sent) = self.held_as(&hold, &met)? else {
                continue;
            };
            if !self.may_read_held(&met, sent.as_ref(), by, now)? {
                page.withheld += 1;
                continue;
            }
            let next = met.next;
            octets += u64::from(met.row.size);
            page.copies.push(self.held_copy(met, sent.as_ref())?);
            if octets >= limits::HELD_PAGE_BYTES {
                page.next = Some(next);
                break;
            }
        }
        self.record_read(&hold, &page, (from, octets), by, now)?;
        Ok(page)
    }

    /// Whether a copy fits a hold: then the submission that it came from, where there was one.
    fn held_as(&self, hold: &Hold, met: &Met) -> Result<Option<Option<Submission>>, RecallError> {
        let sent = submission::submission(&*self.engine, met.row.origin)?;
        let fits = |leaving: &Leaving<'_>| hold.fits(leaving, sent.as_ref());
        let fits = self.sealing.as_leaving(met.account, &met.row, fits);
        let fits = fits.map_err(|error: MailboxError| RecallError::from(error))?;
        Ok(fits.then_some(sent))
    }

    fn may_read_held(
        &self,
        met: &Met,
        sent: Option<&Submission>,
        by: &Requester,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        // Roles count over whom they are held: the one whose mail it is.
        let actor = self.actor_about(by, About::Account(met.account))?;
        let authentication = by.authentication.clone();
        let message = match sent {
            Some(sent) => self.message_facts((sent, sent), None, now)?,
            None => Message {
                age_ms: now.millis_since(met.row.received),
                size: met.row.size.into(),
                on_hold: Some(true),
                ..Message::default()
            },
        };
        let question = Question {
            message: Some(message),
            ..Question::of_permission(Permission::VaultRead, actor, authentication, now)
        };
        Ok(self.policy.decide(&question).decision == Decision::Allow)
    }

    fn held_copy(&self, met: Met, sent: Option<&Submission>) -> Result<HeldCopy, RecallError> {
        let row = &met.row;
        let content = u64::from(row.size).checked_sub(row.prefix.len() as u64);
        let content = content.and_then(|content| u32::try_from(content).ok());
        let content = content.ok_or(StoreError::Damaged)?;
        let mut octets = row.prefix.clone();
        octets.extend(self.mailboxes.read_blob_of(row.blob, content)?);
        let folders = self.mailboxes.folders(met.account).unwrap_or_default();
        let is_in = |id| row.placements.iter().any(|(mailbox, _)| *mailbox == id);
        let folders = folders.into_iter().filter(|folder| is_in(folder.id));
        let folders: Vec<String> = folders.map(|folder| folder.path).collect();
        let recall = |(tag, _): (tern_mailbox::SealTag, Timestamp)| {
            (tag != KEPT).then(|| RecallId(tag.0).to_string())
        };
        let about = json!({
            "account": self.address(met.account)?,
            "message": met.message.0,
            "mailboxes": folders,
            "inVaultSince": met.vaulted.map(|(_, since)| since.to_string()),
            "withdrawnBy": met.vaulted.and_then(recall),
            "receivedAt": row.received.to_string(),
            "octets": octets.len(),
            "contentDigest": row.digest.to_string(),
            "submission": sent.map(|sent| sent.id.to_string()),
            "messageId": sent.map(|sent| sent.message_id.clone()),
        });
        Ok(HeldCopy {
            account: met.account,
            message: met.message,
            about,
            octets,
        })
    }

    fn record_read(
        &self,
        hold: &Hold,
        page: &HeldPage,
        (from, octets): (Walk, u64),
        by: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        // Each reading is one of its own, whatever was read before.
        let step = format!("hold.export {} {from:?} {}", by.name, now.0);
        let mut entry = audit_hold(hold, &step, now);
        "hold.export".clone_into(&mut entry.action);
        by_requester(&mut entry, by);
        let entry = entry
            .detail("copies", page.copies.len() as u64)
            .detail("octets", octets)
            .detail("withheld", page.withheld);
        tern_audit::append(&*self.engine, &entry)?;
        Ok(())
    }
}
