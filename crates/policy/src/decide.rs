//! A verdict: what permits is asked first, then every condition.
//!
//! Invariant: the answer is the one that Cedar gives on the whole set (a permit applies, no forbid
//! does); what is added is which kind of no. A hard refusal wins over a step-up, a step-up over an
//! approval, so that nobody is asked for a factor in vain, nor others for an approval.

use cedar_policy::Response;
use tern_base::Timestamp;

use crate::question::{Actor, Authentication, Operation, Question, Relation};
use crate::rule::{Effect, IMPLICIT_DENY};
use crate::{
    Decision, DenyReason, Permission, Policy, PolicyId, PolicySet, Verdict, Visibility, facts,
};

impl Policy for PolicySet {
    fn decide(&self, question: &Question) -> Verdict {
        let facts = facts::of(question);
        let inputs = facts::inputs(question, &facts);
        let (decision, policies) = self.answer(question, facts);
        let policies = policies.iter().map(|id| PolicyId::new(id)).collect();
        Verdict {
            decision,
            policies,
            inputs,
        }
    }

    fn looks_at_unread(&self) -> bool {
        self.looks_at_unread
    }

    fn visibility(&self, question: &Question, is_party: bool) -> Option<Visibility> {
        self.see(question, is_party)
    }
}

impl PolicySet {
    /// Whether some policy permits operators at the server anything, before any condition.
    pub fn permits_operators(&self) -> bool {
        Permission::ALL.into_iter().any(|permission| {
            let (actor, authentication) = (Actor::default(), Authentication::default());
            let now = Timestamp::default();
            let question = Question::of_permission(permission, actor, authentication, now);
            let facts = facts::of(&question);
            let asked = self.vocabulary.ask(&question, facts);
            asked.is_some_and(|(request, entities)| {
                let permits = &self.permits;
                let answer = self.authorizer.is_authorized(&request, permits, &entities);
                !applied(&answer).is_empty()
            })
        })
    }

    fn answer(&self, question: &Question, facts: facts::Facts) -> (Decision, Vec<String>) {
        let implicit = |reason| (Decision::Deny(reason), vec![IMPLICIT_DENY.to_owned()]);
        let Some((request, entities)) = self.vocabulary.ask(question, facts) else {
            return implicit(DenyReason::PolicyDenied);
        };
        let asked = |policies| self.authorizer.is_authorized(&request, policies, &entities);
        let permits = asked(&self.permits);
        let permitting = applied(&permits);
        let mut failed = failed(&permits);
        // Conditions are not looked at for what is not permitted: the refusal would tell of the
        // message.
        if permitting.is_empty() && failed.is_empty() {
            return implicit(not_permitted(question));
        }
        if permitting.is_empty() {
            return (Decision::Deny(DenyReason::PolicyDenied), failed);
        }
        let forbids = asked(&self.forbids);
        failed.extend(self::failed(&forbids));
        if !failed.is_empty() {
            return (Decision::Deny(DenyReason::PolicyDenied), failed);
        }
        self.conditions(applied(&forbids))
            .unwrap_or((Decision::Allow, permitting))
    }

    /// What the policies that forbid come to together; `None` when there are none.
    fn conditions(&self, ids: Vec<String>) -> Option<(Decision, Vec<String>)> {
        let effects: Vec<(Effect, String)> = ids
            .into_iter()
            .filter_map(|id| Some((self.rules.get(&id)?.effect, id)))
            .collect();
        let of = |kind: fn(&Effect) -> bool| {
            let chosen = effects.iter().filter(move |(effect, _)| kind(effect));
            chosen.map(|(_, id)| id.clone()).collect::<Vec<_>>()
        };
        let denying = of(|effect| matches!(effect, Effect::Deny(_) | Effect::Limit(_)));
        if !denying.is_empty() {
            let given =
                |reason: &DenyReason| effects.iter().any(|(e, _)| *e == Effect::Deny(*reason));
            let reason = DenyReason::ALL.into_iter().find(given);
            let reason = reason.unwrap_or(DenyReason::PolicyDenied);
            return Some((Decision::Deny(reason), denying));
        }
        let ages = effects.iter().filter_map(|(effect, _)| match effect {
            Effect::StepUp { max_age_ms } => Some(*max_age_ms),
            _ => None,
        });
        if let Some(max_age_ms) = ages.min() {
            let asking = of(|effect| matches!(effect, Effect::StepUp { .. }));
            return Some((Decision::StepUp { max_age_ms }, asking));
        }
        let (mut most, mut shortest) = (0, u64::MAX);
        for (effect, _) in &effects {
            if let Effect::Approval {
                approvers,
                expires_after_ms,
            } = effect
            {
                most = most.max(*approvers);
                shortest = shortest.min(*expires_after_ms);
            }
        }
        let asking = of(|effect| matches!(effect, Effect::Approval { .. }));
        let decision = Decision::Approval {
            approvers: most,
            expires_after_ms: shortest,
        };
        (!asking.is_empty()).then_some((decision, asking))
    }
}

/// The policies that apply, by id.
pub(crate) fn applied(response: &Response) -> Vec<String> {
    let mut ids: Vec<String> = response
        .diagnostics()
        .reason()
        .map(ToString::to_string)
        .collect();
    ids.sort_unstable();
    ids
}

/// The policies that could not be evaluated, by id.
pub(crate) fn failed(response: &Response) -> Vec<String> {
    let errors = response.diagnostics().errors();
    let mut ids: Vec<String> = errors
        .map(
            |cedar_policy::AuthorizationError::PolicyEvaluationError(error)| {
                error.policy_id().to_string()
            },
        )
        .collect();
    ids.sort_unstable();
    ids
}

/// What an actor is told whom no policy permits what they ask: of a message that is not theirs
/// nothing but that.
fn not_permitted(question: &Question) -> DenyReason {
    match (question.operation, question.relation()) {
        (Operation::Use(_), _) => DenyReason::PolicyDenied,
        (_, Relation::Own) => DenyReason::NotEnabled,
        (_, Relation::Delegated | Relation::Other) => DenyReason::NotYours,
    }
}
