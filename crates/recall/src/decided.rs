//! What the policy is told, and what it said: the facts about actor and sender, and the verdict on
//! every request, kept with its inputs so that it can be explained for as long as the recall is on
//! record.
//!
//! Invariant: each request that reached the policy has its verdict, written in the commit that
//! acted on it.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Timestamp};
use tern_directory::About;
use tern_policy::{Actor, Message, Verdict, Visibility};
use tern_store::Transaction;

use crate::{RecallError, RecallId, Recalls, Refusal, Request, Requester, Submission, tables};

const VERSION: u8 = 1;

/// A verdict as it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The decision: `allow`, or a refusal's code.
    pub code: String,
    /// The policies that decided it.
    pub policies: Vec<String>,
    /// What they were given, by the name that policies use for it.
    pub inputs: Vec<(String, String)>,
}

impl From<&Verdict> for Decided {
    fn from(verdict: &Verdict) -> Self {
        Self {
            code: verdict.decision.code().to_owned(),
            policies: verdict.policies.iter().map(ToString::to_string).collect(),
            inputs: verdict.inputs.clone(),
        }
    }
}

impl Decided {
    pub(crate) fn put_in(&self, txn: &mut Transaction<'_>, id: RecallId) {
        txn.put(tables::verdict(id), self.encode());
    }

    /// What identifies the inputs: it goes into the audit log, so that they can't be changed
    /// afterwards.
    pub(crate) fn digest(&self) -> String {
        let digest = tern_mime::blob_id(&[0; 32], &self.encode());
        digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As somebody sees it: with how many have opened the message only where they see all of what was served.
    pub(crate) fn as_seen(&self, seen: Option<Visibility>) -> Self {
        let mut told = self.clone();
        if seen != Some(Visibility::Full) {
            told.inputs.retain(|(name, _)| name != "resource.exposed");
        }
        told
    }

    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        w.text(&self.code).list(&self.policies, |w, policy| {
            w.text(policy);
        });
        w.list(&self.inputs, |w, (name, value)| {
            w.text(name).text(value);
        });
        w.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        Ok(Self {
            code: r.text()?,
            policies: r.list(Reader::text)?,
            inputs: r.list(|r| Ok((r.text()?, r.text()?)))?,
        })
    }
}

impl Recalls {
    /// The verdict on a request that is on record; `None` where none was asked for, as with a
    /// message that was not found.
    pub fn decided(&self, id: RecallId) -> Result<Option<Decided>, RecallError> {
        let row = self.engine.get(&tables::verdict(id))?;
        Ok(row.map(|row| Decided::decode(&row)).transpose()?)
    }

    /// The verdict that a request would get now, without asking for it.
    pub fn would_be(
        &self,
        request: &Request,
        now: Timestamp,
    ) -> Result<Result<Decided, Refusal>, RecallError> {
        let Some(found) = self.select(&request.selector)? else {
            return Ok(Err(Refusal::NotFound));
        };
        let asked = self.asked(request.requester.account)?;
        let verdict = self.verdict_on(request, &found, &asked, now)?;
        Ok(Ok(Decided::from(&verdict)))
    }

    /// Who asks, as they stand towards what an account sent.
    pub(crate) fn actor(
        &self,
        requester: &Requester,
        owner: AccountId,
    ) -> Result<Actor, RecallError> {
        let Some(account) = requester.account else {
            return Ok(Actor {
                name: requester.name.clone(),
                ..Actor::default()
            });
        };
        let engine = &*self.engine;
        let known = tern_directory::account(engine, account)?;
        let name = known.map_or_else(|| requester.name.clone(), |known| known.address.canonical());
        let roles = tern_directory::roles_over(engine, account, About::Account(owner))?;
        // Whether they are one for anybody else plays no part in what this account sent.
        let is_delegate = tern_directory::is_delegate(engine, owner, account)?;
        Ok(Actor {
            account: Some(account),
            name,
            groups: self.groups(account)?,
            roles: roles.iter().map(ToString::to_string).collect(),
            delegate_of: is_delegate.then_some(owner).into_iter().collect(),
        })
    }

    /// What a policy is told of a submission. Flags are not looked at: they are absent.
    pub(crate) fn message_facts(
        &self,
        (submission, judged): (&Submission, &Submission),
        exposed: Option<u64>,
        now: Timestamp,
    ) -> Result<Message, RecallError> {
        let sender = tern_directory::account(&*self.engine, submission.account)?;
        Ok(Message {
            submitter: submission.submitter(),
            sender: sender.map(|sender| sender.address.canonical()),
            sender_groups: self.groups(submission.account)?,
            age_ms: now.millis_since(judged.submitted),
            size: submission.size.into(),
            label: submission.label.clone(),
            recipients: u64::from(judged.accounts) + u64::from(judged.outside),
            external: judged.outside.into(),
            exposed,
            on_hold: Some(self.on_hold(submission, now)?),
            ..Message::default()
        })
    }

    pub(crate) fn groups(&self, account: AccountId) -> Result<Vec<String>, RecallError> {
        let groups = tern_directory::group_addresses_of(&*self.engine, account)?;
        Ok(groups.iter().map(|address| address.canonical()).collect())
    }
}
