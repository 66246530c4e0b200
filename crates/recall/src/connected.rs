//! What a policy is told of the connection by which a trigger came.
//!
//! Invariant: the facts are of the connection that did this very thing, which is kept with it; never
//! of another one of the account. Where it was not kept they are absent, and every condition on them
//! takes its strict case.

use tern_base::{AccountId, Timestamp};
use tern_mailbox::Connection;
use tern_policy::Authentication;

use crate::{RecallError, Recalls, Requester};

impl Recalls {
    /// An account, as it asks by the connection that it is on.
    pub fn connected(
        &self,
        account: AccountId,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Requester, RecallError> {
        Ok(Requester {
            account: Some(account),
            name: self.address(account)?,
            authentication: self.authentication(
                account,
                &connection.protocol,
                Some(connection),
                now,
            )?,
        })
    }

    /// How an account had proved who it is when it asked for something by `protocol`.
    pub(crate) fn authentication(
        &self,
        account: AccountId,
        protocol: &str,
        connection: Option<&Connection>,
        now: Timestamp,
    ) -> Result<Authentication, RecallError> {
        let Some(connection) = connection else {
            return Ok(Authentication {
                protocol: protocol.to_owned(),
                ..Authentication::default()
            });
        };
        let factor = match connection.app_password {
            true => "app-password",
            false => "password",
        };
        Ok(Authentication {
            mechanism: connection.mechanism.clone(),
            factors: vec![factor.to_owned()],
            // No protocol of a mail client asks for a second factor.
            step_up_age_ms: None,
            peer: Some(connection.address.clone()),
            protocol: connection.protocol.clone(),
            tls: Some(connection.tls),
            device: self.device_facts(account, connection.device, now)?,
        })
    }
}
