//! The link in the mail to somebody who may approve a waiting recall: the page behind it shows what is
//! asked, and takes their yes or no with their second factor.
//!
//! A link is a proof, keyed by a secret of the server, of the recall, the account, the very waiting that
//! it is for and when it ends; nothing of it is stored. It opens nothing once that time or that waiting
//! is over, once the account has approved, or where it may not approve (any more): so never for what is
//! the account's own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tern_base::{AccountId, Timestamp};
use tern_policy::Authentication;

use crate::link::{Links, is_same};
use crate::wait::Held;
use crate::{RecallError, RecallId, Recalls, Requester, State, limits};

/// The path under which these links lie, before the token.
pub const APPROVAL_PATH: &str = "/recall/approve/";

/// What a token holds before its proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    recall: RecallId,
    account: AccountId,
    ends: Timestamp,
}

impl Claim {
    fn encode(self) -> Vec<u8> {
        let (account, ends) = (self.account.0.to_be_bytes(), self.ends.0.to_be_bytes());
        [&self.recall.0[..], &account, &ends].concat()
    }

    /// The claim of a token, with what is to prove it.
    fn read(token: &[u8]) -> Option<(Self, &[u8])> {
        let (recall, rest) = token.split_first_chunk::<16>()?;
        let (account, rest) = rest.split_first_chunk::<4>()?;
        let (ends, proof) = rest.split_first_chunk::<8>()?;
        let claim = Self {
            recall: RecallId(*recall),
            account: AccountId(u32::from_be_bytes(*account)),
            ends: Timestamp(u64::from_be_bytes(*ends)),
        };
        Some((claim, proof))
    }

    fn proof(self, links: &Links, held: &Held) -> [u8; 32] {
        let until = held.wait.awaited.until().0.to_be_bytes();
        links.keyed(&[b"approval-link", &self.encode(), &until])
    }
}

impl Recalls {
    /// The recall and the account that a link's token is for, while that account may approve it and has
    /// not. Looking does not use it up.
    pub fn approval_link_of(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<(RecallId, AccountId)>, RecallError> {
        let (Some(links), Ok(bytes)) = (&self.links, URL_SAFE_NO_PAD.decode(token)) else {
            return Ok(None);
        };
        let Some((claim, proof)) = Claim::read(&bytes) else {
            return Ok(None);
        };
        let held = match self.held(claim.recall) {
            Err(RecallError::NoRecall) => return Ok(None),
            held => held?,
        };
        let waits = held.recall.state == State::AwaitingApproval && !self.is_expired(&held, now);
        let genuine = is_same(proof, &claim.proof(links, &held));
        if !waits || !genuine || claim.ends <= now {
            return Ok(None);
        }
        let account = claim.account;
        let by = Requester {
            account: Some(account),
            name: self.address(account)?,
            authentication: Authentication::default(),
        };
        if held.wait.counted().any(|one| one.is_by(&by)) {
            return Ok(None);
        }
        match self.may_approve(&held, &by, now) {
            Err(RecallError::NotAllowed(_)) => Ok(None),
            may => may.map(|()| Some((claim.recall, account))),
        }
    }

    /// The link by which an account may approve a waiting recall, where the server has an address for
    /// it.
    pub(crate) fn approval_link(
        &self,
        held: &Held,
        account: AccountId,
        now: Timestamp,
    ) -> Option<String> {
        let links = self.links.as_ref()?;
        let base = links.base.as_ref()?;
        let latest = now.plus_millis(limits::APPROVAL_LINK_MS);
        let claim = Claim {
            recall: held.recall.id,
            account,
            ends: held.wait.awaited.until().min(latest),
        };
        let token = [claim.encode(), claim.proof(links, held).to_vec()].concat();
        let token = URL_SAFE_NO_PAD.encode(token);
        Some(format!("{base}{APPROVAL_PATH}{token}"))
    }
}
