//! What is under a hold, read out from the command line: a step at a time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tern_base::{AccountId, MessageId};
use tern_mailbox::Walk;
use tern_recall::{HeldCopy, HoldId};

use super::{Admin, Call, Result};
use crate::control::hold::Reached;
use crate::control::request::Answer;
use crate::evidence::sha256_of;

impl Admin {
    pub(super) fn hold_export(
        &self,
        id: HoldId,
        from: Reached,
        acting: Option<&str>,
        call: &Call<'_>,
    ) -> Result<Answer> {
        let by = self.speaker(acting, call)?;
        let from = Walk {
            stage: from.stage,
            last: from
                .last
                .map(|(account, n)| (AccountId(account), MessageId(n))),
        };
        let page = self.recalls.read_held(id, &by, from, call.now)?;
        let next = page.next.map(|next| Reached {
            stage: next.stage,
            last: next.last.map(|(account, message)| (account.0, message.0)),
        });
        let copies: Vec<Value> = page.copies.iter().map(shown).collect();
        let data = json!({"copies": copies, "withheld": page.withheld, "next": next});
        Ok(Answer::new(String::new(), data))
    }
}

fn shown(copy: &HeldCopy) -> Value {
    json!({
        "name": format!("{}-{}.eml", copy.account, copy.message),
        "sha256": sha256_of(&copy.octets),
        "about": copy.about,
        "base64": BASE64.encode(&copy.octets),
    })
}
