//! The link by which a requester whose client can't ask for a second factor frees a waiting recall.
//!
//! A link is a proof, keyed by a secret of the server, of the recall, the account and the very
//! waiting that it is for: nothing of it is stored, it is worth nothing once that waiting is over,
//! and it opens nothing for anybody who does not show the account's second factor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tern_base::{AccountId, Timestamp};

use crate::wait::Held;
use crate::{RecallError, RecallId, Recalls, State};

/// The path under which links lie, before the token.
pub const LINK_PATH: &str = "/recall/confirm/";

/// What links are made of.
#[derive(Clone)]
pub(crate) struct Links {
    /// The server's secret.
    pub(crate) key: [u8; 32],
    /// What comes before the path: scheme, host and port. Without it there are no links, and
    /// requesters are told the command.
    pub(crate) base: Option<String>,
}

impl Recalls {
    /// Makes links to this address, which ends before the path, keyed by a secret of the server.
    #[must_use]
    pub fn with_links(mut self, key: [u8; 32], base: Option<String>) -> Self {
        let base = base.map(|base| base.trim_end_matches('/').to_owned());
        self.links = Some(Links { key, base });
        self
    }

    /// The recall and the account that a link's token is for, while that recall waits for the
    /// account's second factor. Looking does not use it up.
    pub fn link_of(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<(RecallId, AccountId)>, RecallError> {
        let (Some(links), Ok(bytes)) = (&self.links, URL_SAFE_NO_PAD.decode(token)) else {
            return Ok(None);
        };
        let Some((id, proof)) = bytes.split_first_chunk::<16>() else {
            return Ok(None);
        };
        let held = match self.held(RecallId(*id)) {
            Err(RecallError::NoRecall) => return Ok(None),
            held => held?,
        };
        let waits = held.recall.state == State::AwaitingStepUp && !self.is_expired(&held, now);
        let Some(account) = held.wait.requester.account.filter(|_| waits) else {
            return Ok(None);
        };
        let genuine = is_same(proof, &links.proof(&held, account));
        Ok(genuine.then_some((held.recall.id, account)))
    }

    /// The token of a waiting recall's link.
    pub(crate) fn link_token(&self, held: &Held) -> Option<String> {
        let (links, account) = (self.links.as_ref()?, held.wait.requester.account?);
        let proof = links.proof(held, account);
        Some(URL_SAFE_NO_PAD.encode([&held.recall.id.0[..], &proof].concat()))
    }

    /// The link of a waiting recall, where the server has an address for it.
    pub(crate) fn link(&self, held: &Held) -> Option<String> {
        let base = self.links.as_ref()?.base.as_ref()?;
        Some(format!("{base}{LINK_PATH}{}", self.link_token(held)?))
    }
}

impl Links {
    fn proof(&self, held: &Held, account: AccountId) -> [u8; 32] {
        let until = held.wait.awaited.until().0.to_be_bytes();
        let parts: [&[u8]; 4] = [
            b"recall-link",
            &held.recall.id.0,
            &account.0.to_be_bytes(),
            &until,
        ];
        self.keyed(&parts)
    }

    /// What only this server can make of these parts, each but the last of a length that never
    /// changes.
    pub(crate) fn keyed(&self, parts: &[&[u8]]) -> [u8; 32] {
        tern_mime::blob_id(&self.key, &parts.concat()).0
    }
}

/// Looks at every octet, so that the time tells nothing of where they differ.
pub(crate) fn is_same(given: &[u8], proof: &[u8; 32]) -> bool {
    let differing = given.iter().zip(proof).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == proof.len() && differing == 0
}
