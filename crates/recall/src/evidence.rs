//! What is known of a recall, for somebody who has to answer for it: the request and who decided it
//! on what, the message, every copy with what of it was served to whom, and what became of it.
//!
//! Invariant: says what is on record and no more; the content is given only where it is asked for,
//! from the vault. Who may have it is asked before, by [`Recalls::may`].

use serde_json::{Value, json};
use tern_base::Timestamp;
use tern_mailbox::{Carriage, Vaulted};
use tern_policy::{Decision, Permission, Question, Visibility};

use crate::{Destination, Submission};
use crate::{Recall, RecallError, RecallId, Recalls, Requester, Target, limits};

/// Copies in the vault that are looked at together.
const KEPT_PAGE: usize = 100;

impl Recalls {
    /// What the policy says to using a permission on the message of a recall, and by which policies.
    /// Where no message was found only an operator may.
    pub fn may(
        &self,
        permission: Permission,
        requester: &Requester,
        id: RecallId,
        now: Timestamp,
    ) -> Result<(Decision, Vec<String>), RecallError> {
        let recall = self.recall(id)?;
        let denied = Decision::Deny(tern_policy::DenyReason::PolicyDenied);
        let Some(found) = self.submission_found(&recall)? else {
            let decision = match requester.account {
                None => Decision::Allow,
                Some(_) => denied,
            };
            return Ok((decision, Vec::new()));
        };
        let actor = self.actor(requester, found.account)?;
        let authentication = requester.authentication.clone();
        let verdict = self.policy.decide(&Question {
            message: Some(self.message_facts((&found, &found), None, now)?),
            ..Question::of_permission(permission, actor, authentication, now)
        });
        let policies = verdict.policies.iter().map(ToString::to_string).collect();
        Ok((verdict.decision, policies))
    }

    /// What is known of a recall, for somebody who may have it.
    pub fn evidence(
        &self,
        id: RecallId,
        reader: &Requester,
        now: Timestamp,
    ) -> Result<Value, RecallError> {
        let recall = self.recall(id)?;
        let mut status = self.status(id, limits::MAX_EVIDENCE_COPIES)?;
        status.answers = self.answers(&recall, reader, Visibility::Full, now)?;
        let message = match self.submission_found(&recall)? {
            Some(found) => Some(self.message_json(&recall, &found)?),
            None => None,
        };
        let decided = self.decided(id)?.map(|decided| {
            let inputs = decided.inputs.iter();
            let inputs: serde_json::Map<_, _> = inputs
                .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
                .collect();
            json!({"verdict": decided.code, "policies": decided.policies, "inputs": inputs,
                "digest": decided.digest()})
        });
        Ok(json!({"recall": status.json(), "message": message, "decision": decided}))
    }

    fn message_json(&self, recall: &Recall, found: &Submission) -> Result<Value, RecallError> {
        let mut recipients = Vec::new();
        for target in self.targets_of(recall)? {
            recipients.push(self.target_json(&target)?);
        }
        Ok(json!({
            "submission": found.id.to_string(),
            "sender": self.address(found.account)?,
            "mailFrom": found.mail_from.as_ref().map(ToString::to_string),
            "messageId": found.message_id,
            "subject": found.subject_text(),
            "contentDigest": found.digest.to_string(),
            "octets": found.size,
            "submittedAt": found.submitted.to_string(),
            "recipients": recipients,
        }))
    }

    fn target_json(&self, target: &Target) -> Result<Value, RecallError> {
        let kind = match &target.destination {
            Destination::Nowhere => "refused",
            Destination::Account(_) => "account",
            Destination::Outside { .. } => "outside",
        };
        let also = target.also.iter();
        let also = also.map(|path| json!({"recipient": path.recipient, "via": path.via}));
        Ok(json!({
            "recipient": target.path.recipient,
            "via": target.path.via,
            "also": also.collect::<Vec<_>>(),
            "kind": kind,
            "address": self.end_of(target)?,
        }))
    }

    /// The message itself, from a copy in the vault: whose it is, and its octets. `None` where none
    /// is kept. What carries it is somebody else's message.
    pub fn kept_content(&self, id: RecallId) -> Result<Option<(String, Vec<u8>)>, RecallError> {
        let digest = self.recall(id)?.digest;
        let mut after = None;
        loop {
            let page = self.sealing.vaulted(id.tag(), after, KEPT_PAGE)?;
            let Some(last) = page.last() else {
                return Ok(None);
            };
            after = Some((last.account, last.message));
            let is_it = |copy: &&Vaulted| {
                let row = &copy.row.message;
                let lacks_some = matches!(row.carriage_of(digest), Some(Carriage::Reduced(_)));
                row.digest == digest || lacks_some
            };
            if let Some(copy) = page.iter().find(is_it) {
                let octets = self.sealing.sealed_content(&copy.row.message)?;
                return Ok(Some((self.address(copy.account)?, octets)));
            }
        }
    }
}
