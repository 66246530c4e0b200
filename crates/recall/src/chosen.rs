//! Whose copies are asked for: everybody's but the sender's, or those of the recipients that are chosen.
//!
//! Invariant: whoever is chosen by an address to which any sending of the letter led that the recall
//! speaks for is asked for, whichever of them brought their copy: what comes in from outside is often sent
//! to each by itself, and a sender may have sent the letter twice. A recall has lines for the recipients
//! of the sending that it names; the others' copies are there, and have an outcome each.
//!
//! Of what comes in from outside, the accounts to which a chosen address leads are asked for, whether anything
//! has led there yet or not: the next of a wave may be a second away. What an account here sent is its own
//! to send again.
//!
//! Refuses to say who is behind an address of the sender's own message that they did not write to.

use std::collections::BTreeSet;

use roaring::RoaringBitmap;
use tern_base::{EmailAddress, OriginId};
use tern_directory::Resolution;
use tern_mailbox::{Cover, Origins, Outside};

use crate::{Destination, RecallError, Recalls, Submission, Target, limits, submission, tables};

/// Whether a target is among the chosen: a recipient that led to it, a step on the way from one, or its end.
pub(crate) fn is_chosen(target: &Target, chosen: &[String]) -> bool {
    let named = |address: &str| chosen.iter().any(|one| one.eq_ignore_ascii_case(address));
    let end = match &target.destination {
        Destination::Account(_) | Destination::Nowhere => false,
        Destination::Outside { address, .. } => named(address),
    };
    let mut paths = target.paths();
    chosen.is_empty()
        || end
        || paths.any(|path| named(&path.recipient) || path.via.iter().any(|via| named(via)))
}

impl Recalls {
    /// The accounts whose copies are asked for.
    pub(crate) fn named(
        &self,
        found: &Submission,
        origins: &Origins,
        chosen: &[String],
    ) -> Result<Cover, RecallError> {
        if chosen.is_empty() {
            return Ok(Cover::Except(RoaringBitmap::from([found.account.0])));
        }
        let engine = &*self.engine;
        let mut accounts = RoaringBitmap::new();
        for sending in self.sendings_of(found, origins)? {
            for target in submission::targets(engine, sending)? {
                if let Destination::Account(account) = target.destination
                    && account != found.account
                    && is_chosen(&target, chosen)
                {
                    accounts.insert(account.0);
                }
            }
        }
        // Of what comes in from outside more may be on its way: it is for whoever has the address now.
        if found.submitter().is_none() {
            for address in chosen
                .iter()
                .filter_map(|text| EmailAddress::parse(text).ok())
            {
                if let Resolution::Found(all) = tern_directory::resolve(engine, &address)? {
                    accounts.extend(all.accounts.iter().map(|one| one.account.0));
                }
            }
        }
        Ok(Cover::Only(accounts))
    }

    /// The copies that are kept from leaving: all, or those to the chosen recipients, of the sending that is named
    /// and of those that are taken back with it, the newest first.
    pub(crate) fn outside(
        &self,
        found: &Submission,
        also: &[OriginId],
        chosen: &[String],
    ) -> Result<Outside, RecallError> {
        if chosen.is_empty() {
            return Ok(Outside::All);
        }
        let engine = &*self.engine;
        let own = (found.outside > 0).then_some(found.id);
        let mut sent = Vec::new();
        for sending in own.into_iter().chain(also.iter().rev().copied()) {
            let targets = submission::targets(engine, sending)?;
            let number = |target: &Target| match target.destination {
                Destination::Outside { item, .. } if is_chosen(target, chosen) => {
                    item.number_in(sending)
                }
                _ => None,
            };
            sent.push((sending, targets.iter().filter_map(number).collect()));
        }
        Ok(Outside::only(sent, limits::MAX_OUTSIDE_BYTES))
    }

    /// Every sending of a letter that a recall of this one speaks for, itself among them.
    fn sendings_of(
        &self,
        found: &Submission,
        origins: &Origins,
    ) -> Result<BTreeSet<OriginId>, RecallError> {
        let engine = &*self.engine;
        let mut sendings = match (origins, found.submitter()) {
            (Origins::Only(these), _) => these.iter().copied().collect(),
            (Origins::AllBut { .. }, Some(account)) => {
                let own = tables::of_digest_by(found.digest, account);
                BTreeSet::from_iter(submission::ids(engine, own, limits::MAX_RIVALS)?)
            }
            // What came in has no row of its own for this: its copies lead to it.
            (Origins::AllBut { .. } | Origins::ForeignOrSince(_), _) => {
                let copies = self.mailboxes.copies(found.digest)?.into_iter();
                copies.map(|copy| copy.origin).collect()
            }
        };
        sendings.retain(|sending| origins.covers(*sending));
        sendings.insert(found.id);
        Ok(sendings)
    }
}
