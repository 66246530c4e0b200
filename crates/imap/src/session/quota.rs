//! GETQUOTA and GETQUOTAROOT (RFC 9208): one quota root, the account, whose name is empty. What somebody
//! else has used is theirs to know: their mailboxes are told without a root.
//!
//! Invariant: a root is told with what bounds it. An account without a bound has none.

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
        let storage = self.storage(cx)?.filter(|_| root == ROOT);
        let no_root = || Answer::no(CodeName::NonExistent, "No such quota root");
        self.out.quota(ROOT, &[storage.ok_or_else(no_root)?]);
        Ok(Answer::ok("Getquota completed", Sync::Full).into())
    }

    pub(super) fn get_quota_root(
        &mut self,
        mailbox: &MailboxName,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let place = self.place(mailbox, Rights::READ, cx)?;
        let is_own = place.access.is_owners();
        match self.storage(cx)?.filter(|_| is_own) {
            None => self.out.quota_root(&place.folder.path, &[]),
            Some(storage) => {
                self.out.quota_root(&place.folder.path, &[ROOT]);
                self.out.quota(ROOT, &[storage]);
            }
        }
        Ok(Answer::ok("Getquotaroot completed", Sync::Full).into())
    }

    /// What bounds the account. RFC 9208 7: a list of resources has one at least, so where nothing does there
    /// is no root to tell of.
    fn storage(&self, cx: &Context<'_>) -> Result<Option<QuotaResource>, Failure> {
        let head = cx.mailboxes.account_head(self.account()?)?;
        Ok((head.quota_bytes > 0).then(|| QuotaResource {
            name: "STORAGE",
            usage: head.used_bytes.div_ceil(STORAGE_UNIT),
            limit: head.quota_bytes / STORAGE_UNIT,
        }))
    }
}
