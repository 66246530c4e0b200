//! Placing holds and releasing them: who may, and on record.

use tern_audit::{Draft, EntryId};
use tern_base::{AccountId, Timestamp};
use tern_directory::About;
use tern_policy::{Actor, Decision, Permission, Question};
use tern_store::{Transaction, Verdict};

use super::book::{Head, head_in};
use super::{Hold, HoldId, Scope};
use crate::audit::by_requester;
use crate::{RecallError, Recalls, Requester, limits, tables};

/// A hold to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHold {
    /// Its id.
    pub id: HoldId,
    /// What it is over.
    pub scope: Scope,
    /// Why.
    pub why: String,
    /// When it ends by itself; none for when it is released.
    pub ends: Option<Timestamp>,
    /// What it holds may not be hidden either.
    pub visible: bool,
}

impl Recalls {
    /// Places a hold. From the commit on nothing that fits it goes for good. The same id again
    /// changes nothing.
    pub fn place_hold(
        &self,
        new: &NewHold,
        by: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        check_new(new, now)?;
        let sender = match &new.scope.sender {
            Some(address) => tern_directory::account_by_address(&*self.engine, address)?,
            None => None,
        };
        let hold = Hold {
            id: new.id,
            scope: new.scope.clone(),
            sender: sender.map(|account| account.id),
            by: by.name.clone(),
            why: new.why.clone(),
            placed: now,
            ends: new.ends,
            visible: new.visible,
        };
        self.may_manage(&hold, "hold.add", by, now)?;
        tern_store::transact(&*self.engine, |txn| {
            let key = tables::hold(hold.id);
            if txn.get(&key)?.is_some() {
                return Ok(Verdict::Abandon(()));
            }
            let head = head_in(txn)?;
            if head.count >= limits::MAX_HOLDS {
                return Err(RecallError::NotAllowed("there are too many holds"));
            }
            txn.put(key, hold.encode());
            change_head_in(txn, head, head.count + 1);
            let mut entry = audit_hold(&hold, "hold.add", now);
            by_requester(&mut entry, by);
            tern_audit::append_in(txn, entry)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// Releases a hold. What it alone has held goes with the next sweep, once it has been kept long
    /// enough for other reasons.
    pub fn release_hold(
        &self,
        id: HoldId,
        by: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let hold = self.hold(id)?;
        self.may_manage(&hold, "hold.release", by, now)?;
        self.end_hold(&hold, "hold.release", Some(by), now)
    }

    /// Takes a hold away, and has the next sweep look at what it has held.
    pub(super) fn end_hold(
        &self,
        hold: &Hold,
        action: &str,
        by: Option<&Requester>,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            let key = tables::hold(hold.id);
            if txn.get(&key)?.is_none() {
                return Ok(Verdict::Abandon(()));
            }
            txn.delete(key);
            let head = head_in(txn)?;
            change_head_in(txn, head, head.count.saturating_sub(1));
            txn.put(tables::released(), now.0.to_be_bytes().to_vec());
            let mut entry = audit_hold(hold, action, now);
            if let Some(by) = by {
                by_requester(&mut entry, by);
            }
            tern_audit::append_in(txn, entry)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// One hold.
    pub fn hold(&self, id: HoldId) -> Result<Hold, RecallError> {
        let row = self.engine.get(&tables::hold(id))?;
        let row = row.ok_or(RecallError::NoHold)?;
        Ok(Hold::decode(id, &row)?)
    }

    /// Every hold that somebody may manage, the oldest first.
    pub fn holds(&self, by: &Requester, now: Timestamp) -> Result<Vec<Hold>, RecallError> {
        let snapshot = self.engine.snapshot()?;
        let (_, all) = self.holds.all_of(&*snapshot)?;
        let mut visible = Vec::with_capacity(all.len());
        for hold in all.iter() {
            if self.decide_hold(hold, by, now)? == Decision::Allow {
                visible.push(hold.clone());
            }
        }
        visible.sort_by_key(|hold| (hold.placed, hold.id));
        Ok(visible)
    }

    /// Whether somebody may manage a hold; that they may not is on record.
    pub(super) fn may_manage(
        &self,
        hold: &Hold,
        action: &str,
        by: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let decision = self.decide_hold(hold, by, now)?;
        if decision == Decision::Allow {
            return Ok(());
        }
        let step = format!("{action} refused {} {}", by.name, now.0);
        let mut entry = audit_hold(hold, &step, now);
        entry.action = format!("{action}-refused");
        by_requester(&mut entry, by);
        tern_audit::append(&*self.engine, &entry.detail("verdict", decision.code()))?;
        Err(RecallError::NotAllowed(decision.code()))
    }

    fn decide_hold(
        &self,
        hold: &Hold,
        by: &Requester,
        now: Timestamp,
    ) -> Result<Decision, RecallError> {
        // Roles count over whom they are held: the one whose mail it is.
        let about = hold.scope.account.or(hold.sender);
        let actor = self.actor_about(by, about.map_or(About::Server, About::Account))?;
        let (permission, authentication) = (Permission::HoldManage, by.authentication.clone());
        let question = Question::of_permission(permission, actor, authentication, now);
        Ok(self.policy.decide(&question).decision)
    }

    pub(super) fn actor_about(&self, by: &Requester, about: About) -> Result<Actor, RecallError> {
        let Some(account) = by.account else {
            return Ok(Actor {
                name: by.name.clone(),
                ..Actor::default()
            });
        };
        // Who they are does not depend on whom they ask about; their roles do.
        let roles = tern_directory::roles_over(&*self.engine, account, about)?;
        Ok(Actor {
            roles: roles.iter().map(ToString::to_string).collect(),
            ..self.actor(by, account)?
        })
    }
}

fn check_new(new: &NewHold, now: Timestamp) -> Result<(), RecallError> {
    if new.scope.is_everything() {
        return Err(RecallError::TooMany);
    }
    if new.why.trim().is_empty() || new.why.chars().count() > limits::MAX_REASON {
        return Err(RecallError::NotAllowed(
            "a hold says why, in at most 1,000 characters",
        ));
    }
    let texts = [&new.scope.message_id, &new.scope.subject];
    if texts
        .into_iter()
        .flatten()
        .any(|text| text.len() > limits::MAX_SCOPE_TEXT)
    {
        return Err(RecallError::NotAllowed("what the hold is over is too long"));
    }
    if new.ends.is_some_and(|ends| ends <= now) {
        return Err(RecallError::NotAllowed("the hold would be over already"));
    }
    Ok(())
}

fn change_head_in(txn: &mut Transaction<'_>, head: Head, count: u64) {
    let head = Head {
        changes: head.changes + 1,
        count,
    };
    txn.put(tables::holds_head(), head.encode());
}

/// An entry of the audit log about a hold. Its id follows from the hold and the action.
pub(super) fn audit_hold(hold: &Hold, action: &str, now: Timestamp) -> Draft {
    let digest = tern_mime::blob_id(&[0; 32], &[&hold.id.0[..], action.as_bytes()].concat());
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    let actor = tern_audit::Actor::Server;
    let mut entry = Draft::new(EntryId(id), now, actor, action)
        .target(format!("hold {}", hold.id))
        .detail("why", hold.why.as_str())
        .detail("placed-by", hold.by.as_str());
    let scope = &hold.scope;
    let number = |account: AccountId| u64::from(account.0);
    if let Some(account) = scope.account {
        entry = entry.detail("account", number(account));
    }
    if let Some(message_id) = &scope.message_id {
        entry = entry.detail("message-id", message_id.as_str());
    }
    if let Some(digest) = scope.digest {
        entry = entry.detail("digest", digest.to_string());
    }
    if let Some(sender) = &scope.sender {
        entry = entry.detail("sender", sender.to_string());
    }
    if let Some(subject) = &scope.subject {
        entry = entry.detail("subject", subject.as_str());
    }
    for (name, at) in [
        ("since", scope.since),
        ("until", scope.until),
        ("ends", hold.ends),
    ] {
        if let Some(at) = at {
            entry = entry.detail(name, at.to_string());
        }
    }
    match hold.visible {
        true => entry.detail("visible", "yes"),
        false => entry,
    }
}
