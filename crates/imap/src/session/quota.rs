//! GETQUOTA and GETQUOTAROOT (RFC 9208): one quota root, the account, whose name is empty. What somebody
//! else has used is theirs to know: their mailboxes are told without a root.

use tern_mailbox::Rights;

use super::answer::{Answer, Failure, Sync};
use super::run::Task;
use super::{Context, Session};
use crate::name::MailboxName;
use crate::respond::data::QuotaResource;
use crate::respond::status::CodeName;

/// The name of the one quota root.
const ROOT: &str = "";
/// RFC 9208 5.1: STORAGE counts in units of this many octets.
const STORAGE_UNIT: u64 = 1024;

impl Session {
    pub(super) fn get_quota(&mut self, root: &str, cx: &Context<'_>) -> Result<Task, Failure> {
        if root != ROOT {
            return Err(Answer::no(CodeName::NonExistent, "No such quota root").into());
        }
        self.write_quota(cx)?;
        Ok(Answer::ok("Getquota completed", Sync::Full).into())
    }

    pub(super) fn get_quota_root(
        &mut self,
        mailbox: &MailboxName,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let place = self.place(mailbox, Rights::READ, cx)?;
        if place.actor.is_some() {
            self.out.quota_root(&place.folder.path, &[]);
        } else {
            self.out.quota_root(&place.folder.path, &[ROOT]);
            self.write_quota(cx)?;
        }
        Ok(Answer::ok("Getquotaroot completed", Sync::Full).into())
    }

    fn write_quota(&mut self, cx: &Context<'_>) -> Result<(), Failure> {
        let head = cx.mailboxes.account_head(self.account()?)?;
        let storage = QuotaResource {
            name: "STORAGE",
            usage: head.used_bytes.div_ceil(STORAGE_UNIT),
            limit: head.quota_bytes / STORAGE_UNIT,
        };
        // An account without a bound has a root without resources.
        let resources = if head.quota_bytes == 0 {
            &[][..]
        } else {
            &[storage]
        };
        self.out.quota(ROOT, resources);
        Ok(())
    }
}
