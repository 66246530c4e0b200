//! What an operator can do on the server's machine: the verbs behind the command line, for a
//! running server and without one.
//!
//! Invariant: every act that changes something is in the audit log under the operator's name, in the
//! very transaction that changes it; of an act of many transactions it is in the first. Access that
//! was taken away ends the sessions that use it. Refuses to show a password, or what verifies one;
//! an app password, and the secret of a second factor, are shown once, when they are made.

mod app_password;
mod audit;
mod audit_line;
mod batch;
mod confirm;
mod delegate;
mod device;
mod directory;
mod error;
mod evidence;
mod factor;
mod held;
mod hold;
mod import;
mod manage;
mod named;
mod permit;
mod policy;
mod queue;
mod quoted;
mod recall;
mod replay;
mod role;
mod sharing;
mod store;
mod waiting;

use std::sync::Arc;

use tern_audit::{Actor, Draft, EntryId};
use tern_base::{EmailAddress, Entropy, Timestamp};
use tern_delivery::Delivery;
use tern_directory::{Account, Passwords};
use tern_mailbox::{Mailboxes, Upkeep};
use tern_recall::Recalls;
use tern_session::Sharing;
use tern_store::{Engine, Read, Transaction, Verdict, transact};
use tern_store_rocksdb::RocksEngine;
use tokio::sync::Notify;

use crate::control::request::{Answer, Request, Response};
use crate::factors::Factors;
use crate::hub::Hub;
use crate::parts::Parts;
use crate::policies::Policies;
pub(crate) use error::AdminError;
pub(crate) use import::PAGE as IMPORT_PAGE;

/// What the operator's verbs need.
pub(crate) struct Admin {
    engine: Arc<dyn Engine>,
    rocks: Arc<RocksEngine>,
    mailboxes: Arc<Mailboxes>,
    upkeep: Upkeep,
    sharing: Arc<Sharing>,
    passwords: Arc<Passwords>,
    delivery: Arc<Delivery>,
    recalls: Arc<Recalls>,
    policies: Arc<Policies>,
    factors: Arc<Factors>,
    public_url: Option<String>,
    /// Wakes the worker of the queue.
    queued: Arc<Notify>,
    /// The sessions of a server that runs.
    sessions: Arc<Hub>,
}

/// One request on its way: who asks, and when.
pub(crate) struct Call<'a> {
    operator: &'a str,
    now: Timestamp,
    entropy: &'a mut dyn Entropy,
    /// The account whose permission counts, where that is not the operator's.
    by: Option<String>,
}

/// Names that one entry of the log tells, each of up to 320 octets; further ones stand in another.
const NAMES_OF_ENTRY: usize = 100;

type Result<T> = std::result::Result<T, AdminError>;

impl Admin {
    pub(crate) fn new(parts: &Parts, queued: Arc<Notify>, sessions: Arc<Hub>) -> Self {
        Self {
            engine: Arc::clone(&parts.engine),
            rocks: Arc::clone(&parts.rocks),
            mailboxes: Arc::clone(&parts.mailboxes),
            upkeep: parts.upkeep.clone(),
            sharing: Arc::clone(&parts.sharing),
            passwords: Arc::clone(&parts.passwords),
            delivery: Arc::clone(&parts.delivery),
            recalls: Arc::clone(&parts.recalls),
            policies: Arc::clone(&parts.policies),
            factors: Arc::clone(&parts.factors),
            public_url: parts.public_url.clone(),
            queued,
            sessions,
        }
    }

    /// For a store that no server has open: nobody waits for the queue, and there is no session.
    pub(crate) fn alone(parts: &Parts) -> Self {
        Self::new(parts, Arc::new(Notify::new()), Arc::new(Hub::new()))
    }

    /// Carries a request out.
    pub(crate) fn execute(
        &self,
        request: &Request,
        operator: &str,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Response {
        let mut call = Call {
            operator,
            now,
            entropy,
            by: None,
        };
        match self.dispatch(request, &mut call) {
            Ok(answer) => Response::Done(answer),
            Err(error) => Response::Failed(error.to_string()),
        }
    }

    fn dispatch(&self, request: &Request, call: &mut Call<'_>) -> Result<Answer> {
        self.may_manage(request, call)?;
        match request {
            Request::DomainAdd { domain } => self.domain_add(domain, call),
            Request::DomainList => self.domain_list(),
            Request::DomainRemove { domain } => self.domain_remove(domain, call),
            Request::AccountAdd {
                address,
                name,
                quota_bytes,
                password,
            } => self.account_add(address, name, *quota_bytes, password, call),
            Request::AccountImport { accounts, first } => {
                self.account_import(accounts, *first, call)
            }
            Request::AccountList => self.account_list(),
            Request::AccountRemove { address } => self.account_remove(address, call),
            Request::AccountPassword { address, password } => self.passwd(address, password, call),
            Request::AccountQuota {
                address,
                quota_bytes,
            } => self.account_quota(address, *quota_bytes, call),
            Request::AccountDisable { address, disabled } => self.disable(address, *disabled, call),
            Request::AccountRedirect {
                address,
                targets,
                keep,
            } => self.account_redirect(address, targets, *keep, call),
            Request::AppPassword(request) => self.app_password(request, call),
            Request::Device(request) => self.device(request, call),
            Request::Alias(request) => self.alias(request, call),
            Request::Group(request) => self.group(request, call),
            Request::Delegate(request) => self.delegate(request, call),
            Request::Factor(request) => self.factor(request, call),
            Request::Queue(request) => self.queue(request, call),
            Request::RecallPlan { which } => self.recall_plan(which, call),
            Request::RecallRun(run) => self.recall_run(run, call),
            Request::RecallStatus { id, seen_by } => {
                self.recall_status(id, seen_by.as_deref(), call)
            }
            Request::RecallList { by, batch } => self.recall_list(by.as_deref(), batch.as_deref()),
            Request::RecallAgain(again) => self.recall_again(again, call),
            Request::RecallRestore { id, by } => self.recall_restore(id, by.as_deref(), call),
            Request::RecallRestoreBatch { batch, by } => {
                self.batch_restore(batch, by.as_deref(), call)
            }
            Request::Waiting(request) => self.waiting(request, call),
            Request::RecallEvidence {
                id,
                with_content,
                by,
            } => self.recall_evidence(id, *with_content, by.as_deref(), call),
            Request::Hold(request) => self.hold(request, call),
            Request::Sharing(request) => self.sharing(request, call),
            Request::Role(request) => self.role(request, call),
            Request::Policy(request) => self.policy(request, call),
            Request::Audit(request) => self.audit(request, call),
            Request::Store(request) => self.store(request, call),
            Request::Ping => Ok(Answer::new("tern runs", serde_json::Value::Null)),
        }
    }

    fn reader(&self) -> &dyn Read {
        &*self.engine
    }

    /// The account of an address.
    fn account(&self, address: &str) -> Result<Account> {
        let parsed = parse_address(address)?;
        let account = tern_directory::account_by_address(self.reader(), &parsed)?;
        account.ok_or_else(|| AdminError::NoAccount(address.to_owned()))
    }

    /// Does something in a transaction that puts it on record, too: both are done, or neither.
    fn act<T>(
        &self,
        call: &mut Call<'_>,
        action: &str,
        describe: impl Fn(&T, Draft) -> Draft,
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let entry = call.entry(action);
        transact(&*self.engine, |txn| {
            let done = work(txn)?;
            tern_audit::append_in(txn, describe(&done, entry.clone()))?;
            Ok(Verdict::Commit(done))
        })
    }

    /// Puts an act on record that no transaction does.
    fn record(
        &self,
        call: &mut Call<'_>,
        action: &str,
        describe: impl FnOnce(Draft) -> Draft,
    ) -> Result<()> {
        let entry = describe(call.entry(action));
        tern_audit::append(&*self.engine, &entry)?;
        Ok(())
    }
}

impl Call<'_> {
    /// An audit entry of this request.
    fn entry(&mut self, action: &str) -> Draft {
        let id = EntryId::new(self.now, self.entropy);
        let actor = Actor::Operator(self.operator.to_owned());
        let mut entry = Draft::new(id, self.now, actor, action);
        entry.protocol = Some(String::from("cli"));
        entry.on_behalf_of.clone_from(&self.by);
        entry
    }

    /// Entries of one act on many, which name all of them: so many to each that the entry has room.
    fn entries(&mut self, action: &str, list: &str, names: &[String]) -> Vec<Draft> {
        let parts = names.chunks(NAMES_OF_ENTRY);
        parts
            .map(|part| self.entry(action).names(list, part))
            .collect()
    }
}

fn parse_address(text: &str) -> Result<EmailAddress> {
    let parsed = EmailAddress::parse(text);
    parsed.map_err(|error| AdminError::Wrong(format!("`{text}` is not an address: {error}")))
}

/// "1 copy", "2 copies".
fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
