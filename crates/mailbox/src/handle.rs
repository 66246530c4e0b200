//! The handle through which the floors above reach the mailboxes of every account.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tern_base::{AccountId, BlobId, MailboxId, MessageId};
use tern_mime::Structure;
use tern_store::{Engine, Transaction, Verdict, transact};

use crate::device::Noted;
use crate::exposed::Exposed;
use crate::room::BroughtLately;
use crate::sealed::SealSet;
use crate::wide::Wide;
use crate::words::{Wanted, Weighed};
use crate::{AccountView, Hooks, MailboxError, Outline, View, limits};

/// Told after each commit which accounts changed, so that sessions can be woken.
pub trait Listener: Send + Sync {
    /// These accounts changed: their change logs say how.
    fn changed(&self, accounts: &[AccountId]);

    /// The same, when no owner asked for it: mail arrived in an inbox, or messages went. Nothing
    /// was put into any other mailbox.
    fn changed_unasked(&self, accounts: &[AccountId]) {
        self.changed(accounts);
    }
}

/// A listener for whom nobody waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoListener;

impl Listener for NoListener {
    fn changed(&self, _accounts: &[AccountId]) {}
}

/// Mailboxes and messages of every account.
pub struct Mailboxes {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) content_key: [u8; 32],
    pub(crate) seals: SealSet,
    pub(crate) views: Cache<(AccountId, MailboxId), Arc<View>, ViewWeighter>,
    pub(crate) account_views: Cache<AccountId, Arc<AccountView>, AccountViewWeighter>,
    pub(crate) structures: Cache<BlobId, Arc<Structure>, StructureWeighter>,
    pub(crate) outlines: Cache<(AccountId, MessageId), Arc<Outline>, OutlineWeighter>,
    pub(crate) words: Cache<AccountId, Weighed, WordsWeighter>,
    pub(crate) wanted: Wanted,
    pub(crate) exposed: Exposed,
    pub(crate) wide: Wide,
    pub(crate) noted: Noted,
    pub(crate) brought_lately: BroughtLately,
    /// Ids of top-level mailboxes by their paths, as they were found last.
    pub(crate) folder_ids: Cache<(AccountId, Box<str>), MailboxId>,
    pub(crate) hooks: Hooks,
    /// How many changes of an account are remembered.
    pub(crate) logged_changes: u64,
    /// The account whose change log is looked at next.
    pub(crate) trim_from: AtomicU32,
    /// The references that are looked at next.
    pub(crate) references_from: Mutex<Option<tern_store::Range>>,
    listener: Arc<dyn Listener>,
    lanes: Option<Lanes>,
}

/// For whoever takes letters back: to seal them, to take copies into the vault and put them
/// back, and to ask what was served.
#[derive(Clone, Debug)]
pub struct Sealing(pub(crate) Arc<Mailboxes>);

/// What the server's chores are given: to look after accounts that are nobody's at that moment.
#[derive(Clone, Debug)]
pub struct Upkeep(pub(crate) Arc<Mailboxes>);

/// The mailboxes of a store, each kind of verb by itself: whoever is given one of them reaches no other.
#[derive(Clone, Debug)]
pub struct Opened {
    /// For sessions, deliveries and everybody else.
    pub mailboxes: Arc<Mailboxes>,
    /// For whoever takes letters back, alone.
    pub sealing: Sealing,
    /// For chores and the operator.
    pub upkeep: Upkeep,
}

impl std::fmt::Debug for Mailboxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailboxes")
    }
}

impl Mailboxes {
    /// Opens the mailboxes of a store. `content_key` keys every digest of the server and must be
    /// the same at each start; `hooks` are what the floors above have a part in.
    pub fn open(
        engine: Arc<dyn Engine>,
        content_key: [u8; 32],
        listener: Arc<dyn Listener>,
        hooks: Hooks,
    ) -> Result<Self, MailboxError> {
        let seals = SealSet::load(&*engine)?;
        let wide = Wide::load(&*engine)?;
        let views = in_one_piece(limits::VIEW_CACHE_BYTES, ViewWeighter);
        let account_views = in_one_piece(limits::ACCOUNT_VIEW_CACHE_BYTES, AccountViewWeighter);
        let structures = Cache::with_weighter(
            limits::STRUCTURE_CACHE_ITEMS,
            limits::STRUCTURE_CACHE_BYTES,
            StructureWeighter,
        );
        let outlines = Cache::with_weighter(
            limits::OUTLINE_CACHE_ITEMS,
            limits::OUTLINE_CACHE_BYTES,
            OutlineWeighter,
        );
        let words = Cache::with_weighter(
            limits::WORDS_CACHE_ITEMS,
            limits::WORDS_CACHE_BYTES,
            WordsWeighter,
        );
        let folder_ids = Cache::new(limits::FOLDER_IDS_CACHE_ITEMS);
        let lanes = Some(Lanes::default());
        Ok(Self {
            engine,
            content_key,
            seals,
            views,
            account_views,
            structures,
            outlines,
            words,
            wanted: Wanted::default(),
            exposed: Exposed::default(),
            wide,
            noted: Noted::default(),
            brought_lately: BroughtLately::default(),
            folder_ids,
            hooks,
            logged_changes: limits::LOGGED_CHANGES,
            trim_from: AtomicU32::new(0),
            references_from: Mutex::default(),
            listener,
            lanes,
        })
    }

    /// These mailboxes without lanes: writers of one account no longer wait for each other, and their
    /// conflicts are retried. For the simulation, which runs one writer inside another's commit on
    /// a single thread.
    #[must_use]
    pub fn without_lanes(mut self) -> Self {
        self.lanes = None;
        self
    }

    /// These mailboxes, ready to be handed out. From here on nobody can come by more than they are given.
    pub fn into_opened(self) -> Opened {
        let mailboxes = Arc::new(self);
        Opened {
            sealing: Sealing(Arc::clone(&mailboxes)),
            upkeep: Upkeep(Arc::clone(&mailboxes)),
            mailboxes,
        }
    }

    /// Has an account looked at again, though no commit of its mailboxes says so.
    pub fn wake(&self, account: AccountId) {
        self.listener.changed(&[account]);
    }

    /// The key of every content digest.
    pub const fn content_key(&self) -> &[u8; 32] {
        &self.content_key
    }

    /// Runs a transaction over some accounts and wakes their sessions when it is committed, or may
    /// be: what is refused, and what changes nothing, wakes nobody.
    ///
    /// The accounts' lanes are held meanwhile: correctness rests on the commit's expectations
    /// alone, the lanes only spare writers of one account the conflicts with each other.
    pub fn transact<T, E: From<tern_store::StoreError>>(
        &self,
        accounts: &[AccountId],
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<Verdict<T>, E>,
    ) -> Result<T, E> {
        let mut commits = false;
        let outcome = self.in_lanes(accounts, |txn| {
            let verdict = work(txn);
            let is_commit = matches!(verdict, Ok(Verdict::Commit(_)));
            commits |= is_commit && !txn.writes_nothing();
            verdict
        });
        // After an error too: a commit whose answer was lost may be done.
        if commits {
            self.listener.changed(accounts);
        }
        outcome
    }

    /// The same for what no owner asks for, and that puts messages into inboxes only: delivery,
    /// withdrawal ([`Listener::changed_unasked`]).
    pub fn transact_unasked<T, E: From<tern_store::StoreError>>(
        &self,
        accounts: &[AccountId],
        work: impl FnMut(&mut Transaction<'_>) -> Result<Verdict<T>, E>,
    ) -> Result<T, E> {
        let outcome = self.in_lanes(accounts, work);
        self.listener.changed_unasked(accounts);
        outcome
    }

    pub(crate) fn in_lanes<T, E: From<tern_store::StoreError>>(
        &self,
        accounts: &[AccountId],
        work: impl FnMut(&mut Transaction<'_>) -> Result<Verdict<T>, E>,
    ) -> Result<T, E> {
        let _lanes = self.lanes.as_ref().map(|lanes| lanes.enter(accounts));
        transact(&*self.engine, work)
    }

    /// Waits for the one lane of what writers of different accounts have in common (the head of
    /// an audit log): to be entered within a transaction, as late as possible, and left after it.
    pub fn enter_common_lane(&self) -> Option<Lane<'_>> {
        let lanes = self.lanes.as_ref()?;
        Some(Lane(enter(&lanes.common)))
    }
}

/// About how many views are kept: so many that went are remembered, too.
const VIEWS: usize = 1_000;

/// A cache whose whole budget one thing may take. As a rule it is divided into shards, by the machine's
/// cores, and what is larger than a shard is never kept: then each step through a large mailbox would read
/// all of it.
fn in_one_piece<K, V, W>(bytes: u64, weighter: W) -> Cache<K, V, W>
where
    K: Eq + std::hash::Hash,
    V: Clone,
    W: Weighter<K, V> + Clone,
{
    let mut options = OptionsBuilder::new();
    let options = options.shards(1).estimated_items_capacity(VIEWS);
    let options = options.weight_capacity(bytes).build();
    // It fails where one of the two is not given.
    let options = options.expect("both capacities are given");
    Cache::with_options(
        options,
        weighter,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

/// How many lanes there are. More accounts than lanes share them.
const LANES: usize = 4_096;

/// A lane that its writer is in.
#[derive(Debug)]
pub struct Lane<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

/// One lock for each group of accounts, and one for what all have in common.
struct Lanes {
    accounts: Vec<Mutex<()>>,
    common: Mutex<()>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            accounts: (0..LANES).map(|_| Mutex::default()).collect(),
            common: Mutex::default(),
        }
    }
}

impl Lanes {
    /// Waits for the lanes of these accounts, always in the same order.
    fn enter(&self, accounts: &[AccountId]) -> Vec<Lane<'_>> {
        let mut wanted: Vec<usize> = accounts.iter().map(|a| a.0 as usize % LANES).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let lanes = wanted.into_iter().filter_map(|n| self.accounts.get(n));
        lanes.map(|lane| Lane(enter(lane))).collect()
    }
}

fn enter(lane: &Mutex<()>) -> MutexGuard<'_, ()> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Weighs a cached view by its entries and their keywords.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViewWeighter;

impl Weighter<(AccountId, MailboxId), Arc<View>> for ViewWeighter {
    fn weight(&self, _key: &(AccountId, MailboxId), view: &Arc<View>) -> u64 {
        view.weight()
    }
}

/// Weighs a cached view of an account by its messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountViewWeighter;

impl Weighter<AccountId, Arc<AccountView>> for AccountViewWeighter {
    fn weight(&self, _key: &AccountId, view: &Arc<AccountView>) -> u64 {
        view.weight()
    }
}

/// Weighs the words of an account's messages by what they take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordsWeighter;

impl Weighter<AccountId, Weighed> for WordsWeighter {
    fn weight(&self, _key: &AccountId, words: &Weighed) -> u64 {
        words.weight
    }
}

/// Weighs a cached outline by its texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutlineWeighter;

impl Weighter<(AccountId, MessageId), Arc<Outline>> for OutlineWeighter {
    fn weight(&self, _key: &(AccountId, MessageId), outline: &Arc<Outline>) -> u64 {
        outline.weight()
    }
}

/// Weighs a cached structure by its row and what holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StructureWeighter;

impl Weighter<BlobId, Arc<Structure>> for StructureWeighter {
    fn weight(&self, _key: &BlobId, structure: &Arc<Structure>) -> u64 {
        structure.row_len() as u64 + 128
    }
}

#[cfg(test)]
mod tests {
    use tern_store::MemEngine;

    use super::*;
    use crate::NoListener;

    #[test]
    fn a_view_may_be_nearly_as_large_as_the_budget_of_all_on_however_many_cores() {
        let engine = Arc::new(MemEngine::new());
        let opened = Mailboxes::open(engine, [1; 32], Arc::new(NoListener), Hooks::none());
        let mailboxes = opened.unwrap();
        assert_eq!(mailboxes.views.shard_capacity(), limits::VIEW_CACHE_BYTES);
        let capacity = mailboxes.account_views.shard_capacity();
        assert_eq!(capacity, limits::ACCOUNT_VIEW_CACHE_BYTES);
        assert!(mailboxes.words.shard_capacity() > limits::MAX_WORDS_BYTES as u64);
        let longest = tern_store::limits::MAX_VALUE as u64 + 128;
        assert!(mailboxes.structures.shard_capacity() > longest);
    }
}
