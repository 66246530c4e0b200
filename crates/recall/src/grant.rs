//! A request is granted: the seal falls, in one write.
//!
//! Invariant: it falls only if nothing that it was judged by has changed since it was looked at: who has
//! sent the letter, which holds there are, what the account has asked for, and by which roles.

use tern_base::Timestamp;
use tern_mailbox::Seal;
use tern_store::{StoreError, Transaction};

use crate::arrival::remember_in;
use crate::asked::Asked;
use crate::audit::{audit_request, audit_verdict};
use crate::decided::Decided;
use crate::free::Freed;
use crate::hold::head_in;
use crate::left::Left;
use crate::request::record;
use crate::there::is_as_judged_in;
use crate::{
    Reach, Recall, RecallError, RecallId, Recalls, Refusal, Request, Requested, State, Submission,
    Target, submission, tables,
};

/// How many of the first recipients' queue items are cancelled in the commit of the seal itself;
/// the queue asks the seal before it hands out any of the rest.
const SEALED_WITH_ITEMS: usize = 200;

/// How a request comes to be granted.
#[derive(Clone, Copy)]
pub(crate) enum Standing<'a> {
    /// At once, to an account that had asked for so much before.
    New(&'a Asked),
    /// After it has waited.
    Freed(&'a Freed),
}

/// What a request is judged by that may change meanwhile: read before anything that follows from it.
pub(crate) struct Judged {
    /// How often roles had changed.
    role_changes: u64,
    /// Who had sent the letter.
    letter: Option<Vec<u8>>,
}

impl Recalls {
    /// How things are, for a request of a message that is to be judged, when roles had changed so often.
    pub(crate) fn judged_by(
        &self,
        found: &Submission,
        role_changes: u64,
    ) -> Result<Judged, StoreError> {
        Ok(Judged {
            role_changes,
            letter: self.engine.get(&tables::letter(found.digest))?,
        })
    }
}

/// Why a request was not granted.
pub(crate) enum NotSealed {
    /// The message is being recalled already, by this one.
    Joined(RecallId),
    /// Somebody has sent the letter, or the account has asked for something or is being removed, or a
    /// hold was changed, since it was looked.
    Meanwhile,
    /// The requester has as many waiting recalls as one may have, the submission as many recalls, or what
    /// came in was forgotten since it was looked.
    Refused(Refusal),
    /// It could not be done.
    Recall(RecallError),
}

impl<E: Into<RecallError>> From<E> for NotSealed {
    fn from(error: E) -> Self {
        Self::Recall(error.into())
    }
}

impl Recalls {
    /// The seal: record, tombstone, cover, cancelled queue items and audit entry in one commit.
    pub(crate) fn seal(
        &self,
        request: &Request,
        (submission, judged): (&Submission, &Judged),
        decided: &Decided,
        standing: Standing<'_>,
        now: Timestamp,
    ) -> Result<Requested, NotSealed> {
        let state = State::Running;
        let mut new = record(request, Some(submission), state, Some(decided), now);
        new.changed();
        let origins = self.origins(submission, new.is_set_when_sent(submission))?;
        new.also = self.also(submission, &origins, &new)?;
        let targets = self.targets_for_seal(request, submission)?;
        let of = (submission, &origins);
        let (holds, visible) = self.visible(of, request.reach, now)?;
        let spared = self.spared(request.selection, request.reach, of)?;
        let named = self.named(submission, &origins, &request.chosen)?;
        let left = Left::of(&named, visible, spared);
        let sender = self.sender(&new)?;
        let seal = Seal {
            tag: request.id.tag(),
            cover: left.covered(named),
            outside: self.outside(submission, &new.also, &request.chosen)?,
            origins,
            attached: request.reach == Reach::Attached,
            part: new.part(),
            active: true,
            until: now.plus_millis(self.settings.tombstone_ms()),
        };
        self.sealing.seal(submission.digest, seal.clone(), |txn| {
            let letter = txn.get(&tables::letter(submission.digest))?;
            let changed = letter != judged.letter || head_in(txn)? != holds;
            if changed || !is_as_judged_in(txn, &request.requester, judged.role_changes)? {
                return Err(NotSealed::Meanwhile);
            }
            remember_in(txn, submission.id)?;
            let recall = match &standing {
                Standing::New(asked) => {
                    self.join_in(txn, &new, now)?;
                    self.grant_in(txn, (request, submission), asked, &new, now)?;
                    let (of, verdict) = ((&new, sender.as_deref()), ("allow", Some(decided)));
                    audit_request(txn, request, of, verdict, now)?;
                    new.clone()
                }
                Standing::Freed(freed) => {
                    if let Some(running) = self.joined_in(txn, &new, now)? {
                        return Err(NotSealed::Joined(running));
                    }
                    let mut recall = freed.act_in(self, txn)?;
                    freed.unfreeze_in(self, txn, now)?;
                    recall.state = state;
                    recall.also.clone_from(&new.also);
                    recall.policies.clone_from(&decided.policies);
                    audit_verdict(txn, &recall, ("allow", Some(decided)), now)?;
                    recall
                }
            };
            recall.put_in(txn)?;
            left.put_in(txn, recall.id);
            self.list_in(txn, &recall, &seal, now)?;
            txn.put(tables::kept(now, request.id), Vec::new());
            self.settle_first_in(txn, &recall, &targets, SEALED_WITH_ITEMS, now)?;
            Ok(())
        })?;
        Ok(Requested::Sealed(request.id))
    }

    /// The address of the account that sent what a recall is of.
    pub(crate) fn sender(&self, recall: &Recall) -> Result<Option<String>, RecallError> {
        recall.owner.map(|owner| self.address(owner)).transpose()
    }

    /// The targets that a seal has to know: those of chosen recipients among all, else the first whose
    /// queue items fall with it.
    fn targets_for_seal(
        &self,
        request: &Request,
        submission: &Submission,
    ) -> Result<Vec<Target>, StoreError> {
        let engine = &*self.engine;
        match (request.chosen.is_empty(), submission.outside) {
            (true, 0) => Ok(Vec::new()),
            (true, _) => submission::first_targets(engine, submission.id, SEALED_WITH_ITEMS),
            (false, _) => submission::targets(engine, submission.id),
        }
    }

    /// Finds out, for a request that is new, whether it is on record already, or what it asks for.
    pub(crate) fn join_in(
        &self,
        txn: &mut Transaction<'_>,
        asked: &Recall,
        now: Timestamp,
    ) -> Result<(), NotSealed> {
        if let Some(running) = self.joined_in(txn, asked, now)? {
            return Err(NotSealed::Joined(running));
        }
        // The same request, asked twice at once.
        match txn.get(&tables::recall(asked.id))? {
            Some(_) => Err(NotSealed::Joined(asked.id)),
            None => Ok(()),
        }
    }
}
