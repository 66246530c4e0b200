//! What recalls need: messages that were sent, a policy that asks for more, and a desk without a server.

use std::sync::Arc;

use tern_base::{AccountId, OriginId, Timestamp};
use tern_directory::{CodeRefused, DirectoryError, FactorKey, NewTotp, RecoveryCodes};
use tern_jmap::{Caller, RecallDesk};
use tern_mailbox::{Flags, INBOX, Landing, Lineage};
use tern_policy::{Decision, Operation, Permission, Policy, Question, Verdict};
use tern_recall::{Destination, RecallId, Recalls, Submission, Target, submission};
use tern_store::Verdict as Commit;

use super::House;

/// The code that the desk takes for right.
pub(crate) const CODE: &str = "123456";

/// Carries out on the thread of the caller, and knows one code.
pub(crate) struct Desk(pub(crate) Arc<Recalls>);

impl RecallDesk for Desk {
    fn carry_out(&self, id: RecallId, now: Timestamp) {
        self.0.run(id, now).unwrap();
    }

    fn show_code(
        &self,
        _: &Caller,
        code: &str,
        _: RecallId,
        now: Timestamp,
    ) -> Option<Result<&'static str, CodeRefused>> {
        match code {
            CODE => Some(Ok("totp")),
            "locked" => Some(Err(CodeRefused::Locked { until: now })),
            "none" => Some(Err(CodeRefused::NotSetUp)),
            "down" => None,
            _ => Some(Err(CodeRefused::Wrong { left: 4 })),
        }
    }
}

/// A policy that wants more before it grants a recall.
pub(crate) enum Asks {
    Factor,
    Approval,
}

impl Policy for Asks {
    fn decide(&self, question: &Question) -> Verdict {
        let mut verdict = tern_policy::unattended().decide(question);
        let is_recall = question.operation == Operation::Recall && verdict.is_allowed();
        match self {
            Self::Factor if is_recall && question.authentication.step_up_age_ms.is_none() => {
                verdict.decision = Decision::StepUp { max_age_ms: 60_000 };
            }
            Self::Approval if is_recall && question.approvals == 0 => {
                verdict.decision = Decision::Approval {
                    approvers: 1,
                    expires_after_ms: 60_000,
                };
            }
            Self::Approval if question.operation == Operation::Use(Permission::RecallApprove) => {
                verdict.decision = Decision::Allow;
            }
            Self::Factor | Self::Approval => {}
        }
        verdict
    }
}

impl House {
    /// What a delivery does with a message from one account to another, in short.
    pub(crate) fn send(&mut self, from: AccountId, to: AccountId, name: &str) -> Submission {
        self.send_with(from, to, name, "")
    }

    /// The same, with more header fields.
    pub(crate) fn send_with(
        &mut self,
        from: AccountId,
        to: AccountId,
        name: &str,
        fields: &str,
    ) -> Submission {
        let now = self.now;
        let id = OriginId::new(now, &mut self.entropy);
        let content = format!(
            "From: a@example.org\r\nSubject: {name}\r\nMessage-ID: <{name}@example.org>\r\n{fields}\r\nText of {name}.\r\n"
        );
        let prepared = self
            .mailboxes
            .prepare(content.clone().into_bytes(), now)
            .unwrap();
        let sent = Submission {
            id,
            account: from,
            mail_from: None,
            message_id: prepared.parsed.message_id.clone().unwrap(),
            subject: prepared.parsed.envelope.subject.clone().unwrap(),
            label: None,
            digest: prepared.digest,
            carried: Vec::new(),
            text: None,
            answers: tern_recall::answered_by(&prepared.parsed, content.as_bytes()),
            size: prepared.size(),
            submitted: now,
            recipients: 1,
            accounts: 1,
            outside: 0,
        };
        let landing = |account, lineage, origin| Landing {
            account,
            mailbox: INBOX,
            flags: Flags::empty(),
            received: now,
            prefix: Vec::new(),
            origin,
            lineage,
            brought_by: None,
        };
        let own = OriginId::new(now, &mut self.entropy);
        let landings = [
            landing(to, Lineage::Delivered, id),
            landing(from, Lineage::Copied, own),
        ];
        self.mailboxes.land(&prepared, &landings, now).unwrap();
        let recipient = match to {
            super::BOB => "bob@example.org",
            _ => "carol@example.org",
        };
        let target = Target::of(recipient, &[], Destination::Account(to));
        tern_store::transact(&*self.engine, |txn| -> Result<_, tern_store::StoreError> {
            submission::record_in(txn, &sent)?;
            for (first, chunk) in submission::target_chunks(std::slice::from_ref(&target)) {
                submission::record_targets_in(txn, id, first, chunk);
            }
            Ok(Commit::Commit(()))
        })
        .unwrap();
        sent
    }

    /// Sets up a second factor.
    pub(crate) fn enrol(&mut self, account: AccountId) {
        let key = FactorKey::derive(&[9; 32]);
        let new = NewTotp::new(&key, account, &mut self.entropy).unwrap();
        let secret = totp_rs::Secret::try_from_base32(new.base32()).unwrap();
        let app = totp_rs::Builder::new().with_secret(secret.as_bytes().to_vec());
        let code = app
            .build()
            .unwrap()
            .generate(self.now.as_secs())
            .to_string();
        let codes = RecoveryCodes::new(&mut self.entropy);
        tern_store::transact(&*self.engine, |txn| -> Result<_, DirectoryError> {
            tern_directory::enrol_totp_in(txn, &new, self.now)?;
            let done =
                tern_directory::confirm_totp_in(txn, &key, account, &code, &codes, self.now)?;
            done.unwrap();
            Ok(Commit::Commit(()))
        })
        .unwrap();
    }
}
