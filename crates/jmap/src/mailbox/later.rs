//! Changes of mailboxes that are possible only once the rest of the call is done: a name that another one
//! gives up, two that change names.
//!
//! RFC 8620 5.3: what counts is the state after the call, whatever the states between.

use serde_json::Value;
use tern_mailbox::MailboxError;
use tern_store::Verdict;

use super::set;
use crate::context::Context;
use crate::error::SetError;
use crate::limits;
use crate::scope::Scope;
use crate::standard::set::Outcomes;

/// What waits, with why it could not be done so far.
#[derive(Default)]
pub(super) struct Later(Vec<(What, SetError)>);

/// What a call asks for.
pub(super) enum What {
    /// To make a mailbox, by its creation id.
    Create(String, Value),
    /// To change one.
    Update(String, Value),
}

impl Later {
    /// Does what is asked, or keeps it for later where the rest of the call may make it possible.
    pub(super) fn try_now(
        &mut self,
        cx: &mut Context<'_>,
        scope: &Scope,
        what: What,
        outcomes: &mut Outcomes,
    ) {
        match what {
            What::Create(creation, object) => match set::create(cx, scope, &object) {
                Err(error) if may_yet(&error) => {
                    self.0.push((What::Create(creation, object), error));
                }
                outcome => outcomes.create(cx, &creation, outcome),
            },
            What::Update(id, patch) => match set::update(cx, scope, &id, &patch) {
                Err(error) if may_yet(&error) => self.0.push((What::Update(id, patch), error)),
                outcome => outcomes.update(&id, outcome.map(|()| Value::Null)),
            },
        }
    }

    /// Does what has become possible, and tells of the rest why it is not.
    pub(super) fn settle(mut self, cx: &mut Context<'_>, scope: &Scope, outcomes: &mut Outcomes) {
        self.as_far_as_possible(cx, scope, outcomes);
        if self.together(cx, scope, outcomes) {
            self.as_far_as_possible(cx, scope, outcomes);
        }
        for (what, error) in self.0 {
            match what {
                What::Create(creation, _) => outcomes.create(cx, &creation, Err(error)),
                What::Update(id, _) => outcomes.update(&id, Err(error)),
            }
        }
    }

    /// One after the other, until none is possible any more; not for as long as it takes, since each may
    /// make one other possible.
    fn as_far_as_possible(&mut self, cx: &mut Context<'_>, scope: &Scope, outcomes: &mut Outcomes) {
        for _ in 0..limits::SETTLING_PASSES {
            let before = self.0.len();
            for (what, _) in std::mem::take(&mut self.0) {
                self.try_now(cx, scope, what, outcomes);
            }
            if self.0.len() == before {
                return;
            }
        }
    }

    /// All changes that are left at once: each is in the way of another one. Whether they were done.
    fn together(&mut self, cx: &Context<'_>, scope: &Scope, outcomes: &mut Outcomes) -> bool {
        let account = scope.account;
        let Ok(scope) = &scope.again(cx.verbs) else {
            return false;
        };
        let changes = self.0.iter().filter_map(|(what, _)| match what {
            What::Create(..) => None,
            What::Update(id, patch) => set::change(cx, scope, id, patch).ok(),
        });
        // What gives rights, too, is done by itself or not at all.
        let changes = changes.filter(|one| !one.sharing.is_asked_for());
        let changes: Vec<_> = changes.map(|one| (one.mailbox, one.change)).collect();
        let ids: Vec<_> = changes.iter().map(|(mailbox, _)| *mailbox).collect();
        let mailboxes = cx.verbs.mailboxes;
        let done = || {
            mailboxes.transact(&[account], |txn| {
                mailboxes.change_folders_in(txn, scope.acting(), account, &changes)?;
                Ok::<_, MailboxError>(Verdict::Commit(()))
            })
        };
        if ids.len() < 2 || done().is_err() {
            return false;
        }
        self.0.retain(|(what, _)| match what {
            What::Create(..) => true,
            What::Update(id, _) => {
                let mailbox = tern_session::ids::parse_mailbox_id(account, id);
                let is_done = mailbox.is_some_and(|mailbox| ids.contains(&mailbox));
                if is_done {
                    outcomes.update(id, Ok(Value::Null));
                }
                !is_done
            }
        });
        true
    }
}

/// Whether something else of the call may make it possible: the name, the special use or the mailbox above
/// is another one's to give up, or to make.
fn may_yet(error: &SetError) -> bool {
    error.kind() == "alreadyExists" || error.is_of_properties(&["parentId", "role"])
}
