//! Whom somebody chose and nobody had written to: a typing mistake, as a rule, by which a message stays where
//! it should not. It is told before a search is carried out, and wherever a recall is.
//!
//! Refuses to say it of what came in from outside where the address is one of this server: there each recipient
//! is often sent a message of their own, and more may come.

use tern_base::{EmailAddress, OriginId};
use tern_directory::Resolution;

use crate::chosen::is_chosen;
use crate::{Recall, RecallError, Recalls, Submission, limits, submission, tables};

impl Recalls {
    /// The chosen addresses by which none of these messages was sent to anybody, nor what their senders sent
    /// of the same letters besides.
    pub(crate) fn unmet(
        &self,
        chosen: &[String],
        found: &[Submission],
    ) -> Result<Vec<String>, RecallError> {
        let mut unmet: Vec<&String> = chosen.iter().collect();
        for one in found {
            for sending in self.sent_alike(one)? {
                if unmet.is_empty() {
                    return Ok(Vec::new());
                }
                let targets = submission::targets(&*self.engine, sending)?;
                let met = |address: &&String| {
                    let address = std::slice::from_ref(*address);
                    targets.iter().any(|target| is_chosen(target, address))
                };
                unmet.retain(|address| !met(address));
            }
        }
        let mut left = Vec::new();
        let came_in = found.iter().any(|one| one.submitter().is_none());
        for address in unmet {
            if !came_in || !self.leads_here(address)? {
                left.push(address.clone());
            }
        }
        Ok(left)
    }

    /// Those of a recall. One of a batch is of whoever is chosen of any of its messages, which was looked at
    /// before.
    pub(crate) fn unmet_of(
        &self,
        recall: &Recall,
        found: Option<&Submission>,
    ) -> Result<Vec<String>, RecallError> {
        match found.filter(|_| recall.batch.is_none()) {
            Some(found) => self.unmet(&recall.chosen, std::slice::from_ref(found)),
            None => Ok(Vec::new()),
        }
    }

    /// A sending, then the others of its letter by the same account.
    fn sent_alike(&self, found: &Submission) -> Result<Vec<OriginId>, RecallError> {
        let mut sendings = vec![found.id];
        if let Some(account) = found.submitter() {
            let own = tables::of_digest_by(found.digest, account);
            let own = submission::ids(&*self.engine, own, limits::MAX_ALSO)?;
            sendings.extend(own.into_iter().filter(|id| *id != found.id));
        }
        Ok(sendings)
    }

    /// Whether an address leads to anybody of this server.
    fn leads_here(&self, address: &str) -> Result<bool, RecallError> {
        let Ok(address) = EmailAddress::parse(address) else {
            return Ok(false);
        };
        let found = tern_directory::resolve(&*self.engine, &address)?;
        Ok(matches!(found, Resolution::Found(_)))
    }
}
