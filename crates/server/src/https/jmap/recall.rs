//! What recalls need of the shell when they are asked for over JMAP.

use tern_audit::{Actor, Draft, EntryId};
use tern_base::Timestamp;
use tern_directory::CodeRefused;
use tern_jmap::{Caller, RecallDesk};
use tern_recall::RecallId;

use super::Jmap;
use crate::clock::OsEntropy;
use crate::workers::carry_out;

impl RecallDesk for Jmap {
    fn carry_out(&self, id: RecallId, now: Timestamp) {
        // Durable already: what is left is finished by the server itself.
        if let Err(error) = carry_out(&self.recalls, id, now) {
            tracing::warn!(%id, %error, "a recall could not go on");
        }
    }

    fn show_code(
        &self,
        caller: &Caller,
        code: &str,
        id: RecallId,
        now: Timestamp,
    ) -> Option<Result<&'static str, CodeRefused>> {
        let actor = Actor::Account {
            account: caller.account,
            address: caller.login.clone(),
        };
        let entry = EntryId::new(now, &mut OsEntropy);
        let mut entry = Draft::new(entry, now, actor, "factor.show").target(format!("recall {id}"));
        entry.peer = Some(caller.address.clone());
        entry.protocol = Some(caller.connection().protocol);
        match self.factors.show(caller.account, code, &entry, now) {
            Ok(shown) => Some(shown.map(|shown| shown.kind.code())),
            Err(error) => {
                tracing::warn!(%id, %error, "a code could not be looked at");
                None
            }
        }
    }
}
