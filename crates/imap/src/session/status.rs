//! STATUS (RFC 9051 6.3.11, and the extensions named at each item).
//!
//! Invariant: the numbers of one answer are of one moment, since they come from one row; only
//! DELETED-STORAGE is counted anew.

use tern_base::AccountId;
use tern_mailbox::{Folder, MailboxError, Rights, SystemFlag};

use super::answer::{Answer, Failure, Sync};
use super::run::Task;
use super::{Context, Session};
use crate::command::StatusItem;
use crate::name::MailboxName;
use crate::respond::ResponseWriter;
use tern_session::ids::mailbox_id;

impl Session {
    pub(super) fn status(
        &mut self,
        mailbox: &MailboxName,
        items: &[StatusItem],
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        // RFC 7162 3.1.7
        if items.contains(&StatusItem::HighestModseq) {
            self.enable_condstore();
        }
        let place = self.place(mailbox, Rights::READ, cx)?;
        let append_limit = self.settings.max_message_size;
        write_status(
            &mut self.out,
            cx,
            place.access.account,
            &place.folder,
            items,
            append_limit,
        )?;
        Ok(Answer::ok("Status completed", Sync::Full).into())
    }
}

/// One `STATUS` line.
pub(super) fn write_status(
    out: &mut ResponseWriter,
    cx: &Context<'_>,
    account: AccountId,
    folder: &Folder,
    items: &[StatusItem],
    append_limit: u64,
) -> Result<(), MailboxError> {
    cx.budget.rows(1);
    let counters = cx.mailboxes.counters(account, folder.id)?;
    let mut id = None;
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        let value = match item {
            StatusItem::Messages => counters.total.into(),
            StatusItem::Recent => 0,
            StatusItem::UidNext => counters.uid_next.0.into(),
            StatusItem::UidValidity => folder.uid_validity.into(),
            StatusItem::Unseen => counters.unseen.into(),
            StatusItem::Deleted => counters.deleted.into(),
            // RFC 8438
            StatusItem::Size => counters.bytes,
            // RFC 7162 3.1.7
            StatusItem::HighestModseq => counters.highest_modseq.0,
            // RFC 8474 4.3
            StatusItem::MailboxId => {
                id = Some(mailbox_id(account, folder.id));
                continue;
            }
            // RFC 7889 3
            StatusItem::AppendLimit => append_limit,
            // RFC 9208 4.1.4
            StatusItem::DeletedStorage => {
                let view = cx.mailboxes.view(account, folder.id)?;
                cx.budget.tests(view.len(), 1);
                let deleted = view
                    .iter()
                    .filter(|entry| entry.flags.has(SystemFlag::Deleted));
                deleted.map(|entry| u64::from(entry.size)).sum()
            }
        };
        values.push((*item, value));
    }
    out.status(&folder.path, &values, id.as_deref());
    Ok(())
}
