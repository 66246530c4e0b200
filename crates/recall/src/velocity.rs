//! The brake on an account that takes back far more than it usually may, as a stolen one would to wipe
//! its tracks: it is *frozen*. Policies are told so (`context.frozen`), and the default one asks for a
//! second person from then on; administrators are told by mail.
//!
//! An account is frozen by requests beyond its rate within some minutes, or by recalls that cover very
//! many recipients within an hour. Somebody who approves a recall of it, or an operator, ends it.
//!
//! Invariants: freezing and unfreezing are on record, in the transaction that does it; what was granted
//! before stays as it is, its copies in the vault, from which they do not go before somebody has looked.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tern_audit::Draft;
use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, EmailAddress, Timestamp};
use tern_directory::{About, Role};
use tern_mailbox::{Cover, INBOX};
use tern_store::{Transaction, Verdict};

use crate::asked::{Asked, asked_in};
use crate::audit::audit_entry;
use crate::audit::by_requester;
use crate::chosen::is_chosen;
use crate::grant::NotSealed;
use crate::report::landing;
use crate::status::each_row;
use crate::tell::Letter;
use crate::{
    Destination, Recall, RecallError, RecallId, Recalls, Refusal, Request, Requester, Settings,
    State, Submission, limits, submission, tables,
};

const VERSION: u8 = 1;

/// An account that is frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Since when.
    pub since: Timestamp,
    /// Why, as a sentence.
    pub why: String,
    /// The request that did it.
    pub recall: RecallId,
    /// Administrators have been written to.
    told: bool,
}

impl Frozen {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        w.number(self.since.0).text(&self.why).array(&self.recall.0);
        w.byte(self.told.into()).finish()
    }

    /// Whether whoever did something at this time could know of it. From a time that lies ahead, by a clock that was
    /// wrong, nothing follows.
    pub(crate) fn was_known(&self, at: Timestamp, now: Timestamp) -> bool {
        at >= self.since || self.since > now.plus_millis(limits::CLOCK_SLACK_MS)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        Ok(Self {
            since: Timestamp(r.number()?),
            why: r.text()?,
            recall: RecallId(r.array()?),
            told: r.byte()? != 0,
        })
    }
}

/// Why a request that covers so many recipients freezes its account, if it does.
fn too_wide(asked: &Asked, covers: u32, settings: &Settings, now: Timestamp) -> Option<String> {
    let all = asked.recipients_before(now).saturating_add(covers.into());
    let most = settings.freeze_recipients;
    (most > 0 && all > most).then(|| format!("Its recalls cover {all} recipients within an hour."))
}

/// Why an account is frozen that goes on asking beyond its rate, if it is.
fn too_fast(asked: &Asked, settings: &Settings, now: Timestamp) -> Option<String> {
    let (most, minutes) = (settings.freeze_requests, settings.freeze_minutes);
    let beyond = asked.limited_within(settings.freeze_ms(), now);
    (most > 0 && beyond >= most)
        .then(|| format!("It made {beyond} requests beyond its rate within {minutes} minutes."))
}

impl Recalls {
    /// Whether an account is frozen, and why.
    pub fn frozen(&self, account: AccountId) -> Result<Option<Frozen>, RecallError> {
        let row = self.engine.get(&tables::frozen(account))?;
        Ok(row.map(|row| Frozen::decode(&row)).transpose()?)
    }

    /// The same in a transaction, which then depends on it.
    pub(crate) fn frozen_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
    ) -> Result<Option<Frozen>, RecallError> {
        let row = txn.get(&tables::frozen(account))?;
        Ok(row.map(|row| Frozen::decode(&row)).transpose()?)
    }

    /// Whether a recall is of a message of a frozen account, or was asked for by one.
    pub(crate) fn is_of_a_frozen_account(&self, recall: &Recall) -> Result<bool, RecallError> {
        let requester = match EmailAddress::parse(&recall.requester) {
            Ok(address) => tern_directory::account_by_address(&*self.engine, &address)?,
            // An operator at the server.
            Err(_) => None,
        };
        let requester = requester.map(|account| account.id);
        for account in recall.owner.into_iter().chain(requester) {
            if self.frozen(account)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every account that is frozen.
    pub fn all_frozen(&self) -> Result<Vec<(AccountId, Frozen)>, RecallError> {
        let mut all = Vec::new();
        each_row(&*self.engine, tables::whole(tables::FROZEN), |key, row| {
            all.push((tables::read_frozen(key)?, Frozen::decode(row)?));
            Ok(())
        })?;
        Ok(all)
    }

    /// Whether a request is one of a frozen account, or would freeze it.
    pub(crate) fn would_freeze(
        &self,
        request: &Request,
        found: &Submission,
        asked: &Asked,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        let Some(account) = request.requester.account else {
            return Ok(false);
        };
        // What was planned when it was sent is no haste.
        let covers = match request.is_set_when_sent(found) {
            true => 0,
            false => self.recipients_of(request, found)?,
        };
        let too_wide = too_wide(asked, covers, &self.settings, now);
        Ok(too_wide.is_some() || self.frozen(account)?.is_some())
    }

    /// How many recipients a request covers: of an address that was chosen, all whom it leads to.
    pub(crate) fn recipients_of(
        &self,
        request: &Request,
        found: &Submission,
    ) -> Result<u32, RecallError> {
        if request.chosen.is_empty() {
            let judged = self.judged(request, found)?;
            return Ok(judged.accounts.saturating_add(judged.outside));
        }
        let targets = submission::targets(&*self.engine, found.id)?.into_iter();
        let chosen = targets.filter(|target| is_chosen(target, &request.chosen));
        let origins = self.origins(found, request.is_set_when_sent(found))?;
        let mut named = match self.named(found, &origins, &request.chosen)? {
            Cover::Only(accounts) | Cover::Except(accounts) => accounts,
        };
        let mut covers = 0;
        for target in chosen {
            covers += 1;
            if let Destination::Account(account) = target.destination {
                named.remove(account.0);
            }
        }
        // With those to whom another sending of the letter led.
        Ok(u32::try_from(covers + named.len()).unwrap_or(u32::MAX))
    }

    /// Counts a request that is granted or waits, unless its account has asked for something since
    /// it was looked. One that goes too far freezes the account.
    pub(crate) fn grant_in(
        &self,
        txn: &mut Transaction<'_>,
        (request, found): (&Request, &Submission),
        asked: &Asked,
        recall: &Recall,
        now: Timestamp,
    ) -> Result<(), NotSealed> {
        // What was planned when it was sent is no haste.
        let planned = request.is_set_when_sent(found);
        let Some(account) = request.requester.account.filter(|_| !planned) else {
            return Ok(());
        };
        if asked_in(txn, account)? != *asked {
            return Err(NotSealed::Meanwhile);
        }
        let covers = self.recipients_of(request, found)?;
        if let Some(why) = too_wide(asked, covers, &self.settings, now) {
            self.freeze_in(txn, account, &why, recall, now)?;
        }
        let mut asked = asked.clone();
        asked.grant(covers, now);
        asked.put_in(txn, account);
        Ok(())
    }

    /// Counts a request that is refused, where it is because there are too many. An account that
    /// goes on asking is frozen.
    pub(crate) fn limit_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        asked: &mut Asked,
        recall: &Recall,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        if recall.state != State::Refused(Refusal::RateLimited) {
            return Ok(());
        }
        asked.limit(now);
        match too_fast(asked, &self.settings, now) {
            Some(why) => self.freeze_in(txn, account, &why, recall, now),
            None => Ok(()),
        }
    }

    /// Freezes an account, unless it is.
    fn freeze_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        why: &str,
        recall: &Recall,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let key = tables::frozen(account);
        if txn.get(&key)?.is_some() {
            return Ok(());
        }
        let frozen = Frozen {
            since: now,
            why: why.to_owned(),
            recall: recall.id,
            told: false,
        };
        txn.put(key, frozen.encode());
        let entry = self.entry(account, recall, "recall.freeze", now)?;
        tern_audit::append_in(txn, entry.detail("why", why))?;
        Ok(())
    }

    /// Ends the freezing of an account; false where it was not frozen. What it has asked for until
    /// now is not held against it again.
    pub fn unfreeze(
        &self,
        account: AccountId,
        by: &Requester,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            let done = self.unfreeze_in(txn, account, by, now)?;
            Ok(match done {
                true => Verdict::Commit(true),
                false => Verdict::Abandon(false),
            })
        })
    }

    pub(crate) fn unfreeze_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        by: &Requester,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        let Some(frozen) = self.frozen_in(txn, account)? else {
            return Ok(false);
        };
        txn.delete(tables::frozen(account));
        let mut asked = asked_in(txn, account)?;
        asked.looked_into();
        asked.put_in(txn, account);
        let recall = self.recall_in(txn, frozen.recall)?;
        let mut entry = self.entry(account, &recall, "recall.unfreeze", now)?;
        by_requester(&mut entry, by);
        tern_audit::append_in(txn, entry)?;
        Ok(true)
    }

    fn entry(
        &self,
        account: AccountId,
        recall: &Recall,
        action: &str,
        now: Timestamp,
    ) -> Result<Draft, RecallError> {
        let step = format!("{action} {account} {}", now.as_millis());
        let target = format!("account {}", self.address(account)?);
        let entry = audit_entry(recall, &step, action, now);
        Ok(entry.target(target).detail("recall", recall.id.to_string()))
    }

    /// Writes to the administrators of accounts that were frozen. To be called now and then.
    pub(crate) fn alert(&self, now: Timestamp) -> Result<(), RecallError> {
        for (account, frozen) in self.all_frozen()? {
            if !frozen.told {
                self.alert_of(account, &frozen, now)?;
            }
        }
        Ok(())
    }

    fn alert_of(
        &self,
        account: AccountId,
        frozen: &Frozen,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let recall = self.recall(frozen.recall)?;
        let address = self.address(account)?;
        let mut text = String::new();
        let _ = write!(
            text,
            "The recalls of {address} are frozen since {}.\n\n{}\n\nThis is what a stolen account \
             looks like that wipes its tracks. By the default policy each further recall of it that is within \
             its rate waits for a second person, and those beyond are refused; what was taken back before is kept and can be restored.\n\nLook at \
             its recalls, and unfreeze it if all is well:\n\n    tern recall list --by {address}\n    \
             tern recall unfreeze {address}\n",
            frozen.since.rfc5322(),
            frozen.why
        );
        let mut prepared = Vec::new();
        for to in self.administrators_of(account)? {
            let letter = Letter {
                to,
                name: format!("frozen-{account}-{}", frozen.since.as_millis()),
                subject: format!("Recalls of {address} are frozen"),
                text: text.clone(),
            };
            let content = self.compose(&letter, now)?;
            let content = self.mailboxes().prepare(content, now)?;
            prepared.push((content, landing(&recall, to, INBOX, now)));
        }
        let accounts: Vec<AccountId> = prepared.iter().map(|(_, at)| at.account).collect();
        self.mailboxes().transact(&accounts, |txn| {
            let key = tables::frozen(account);
            if txn.get(&key)?.as_deref() != Some(&frozen.encode()) {
                return Ok(Verdict::Abandon(()));
            }
            for (content, landing) in &prepared {
                self.land_report_in(txn, content, landing, now)?;
            }
            let told = Frozen {
                told: true,
                ..frozen.clone()
            };
            txn.put(key, told.encode());
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// Other accounts that are administrator over an account; not more than are written to.
    fn administrators_of(&self, account: AccountId) -> Result<Vec<AccountId>, RecallError> {
        let engine = &*self.engine;
        let mut holders = BTreeSet::new();
        for (grant, _) in tern_directory::list_grants(engine)? {
            if grant.role == Role::Administrator && grant.account != account {
                holders.insert(grant.account);
            }
        }
        let mut found = Vec::new();
        for holder in holders {
            let roles = tern_directory::roles_over(engine, holder, About::Account(account))?;
            if roles.contains(&Role::Administrator) && found.len() < limits::MAX_APPROVERS_TOLD {
                found.push(holder);
            }
        }
        Ok(found)
    }
}
