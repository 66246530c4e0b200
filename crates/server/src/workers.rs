//! What runs besides the sessions: the watch over recall mailboxes, late copies, and the chores of
//! every minute.
//!
//! Invariant: each worker is one thread, ends when the server stops, and survives every error and every panic
//! of the work it does: what one round could not do the next one tries, and the other chores are done.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tern_base::{AccountId, EmailAddress, Timestamp};
use tern_delivery::{Delivery, Removals, is_request_address};
use tern_mailbox::{SealTag, Upkeep};
use tern_policy::PolicySet;
use tern_queue::Schedule;
use tern_recall::mail::REQUEST_LOCAL_PART;
use tern_recall::{RecallError, RecallId, Recalls, Requested};
use tern_store::{Engine, Read, StoreError};
use tern_store_rocksdb::{Reclaimed, RocksEngine};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::audit_chores::AuditChores;
use crate::clock::{self, OsEntropy};
use crate::group_removal;
use crate::hub::{Changes, Hub};
use crate::outbox::{self, Departures};
use crate::parts::Parts;
use crate::policies::{Look, Policies, PoliciesError};
use crate::recall_queue::{RecallQueue, SMALL};
use crate::tls::Certificates;

/// How often the chores are done.
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// Blocks of messages whose words are made durable in one go, each second.
const WORDS: usize = 32;
/// How long after a change of policies was found it is looked at again.
const SETTLE: Duration = Duration::from_secs(5);
/// How often the store is asked whether it has met an error.
const HEALTH: Duration = MINUTE;
/// After how many rounds of [`HEALTH`] the store is asked how much of it is garbage.
const RECLAIM_ROUNDS: u32 = 10;

/// The threads.
pub(crate) struct Workers {
    hub: Arc<Hub>,
    ending: Arc<Ending>,
    threads: Vec<JoinHandle<()>>,
}

/// Told once: the server stops.
#[derive(Default)]
struct Ending {
    told: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Ending {
    fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    /// Waits; true when the server stops.
    fn wait(&self, time: Duration) -> bool {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self
            .changed
            .wait_timeout_while(lock, time, |()| !self.is_told());
        drop(wait);
        self.is_told()
    }

    fn tell(&self) {
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.told.store(true, Ordering::Release);
        self.changed.notify_all();
    }
}

impl Workers {
    /// Starts every worker.
    pub(crate) fn start(
        parts: &Parts,
        hub: &Arc<Hub>,
        late_tags: Receiver<SealTag>,
        audit: AuditChores,
        departures: Departures,
    ) -> io::Result<Self> {
        let mut workers = Self {
            hub: Arc::clone(hub),
            ending: Arc::default(),
            threads: Vec::new(),
        };
        let to_run: Arc<RecallQueue> = Arc::default();
        for (name, most) in [("recall-run", u64::MAX), ("recall-small", SMALL)] {
            let (queue, recalls) = (Arc::clone(&to_run), Arc::clone(&parts.recalls));
            workers.spawn(name, move |ending| {
                run_recalls(ending, (&queue, most), &recalls);
            })?;
        }
        let changes = hub.watch();
        let looks = Looks {
            recalls: Arc::clone(&parts.recalls),
            to_run,
            unread: Arc::default(),
        };
        let (unread, at_start) = (Arc::clone(&looks.unread), looks.clone());
        workers.spawn("recall-triggers", move |_| looks.at_changes(&changes))?;
        let recalls = Arc::clone(&parts.recalls);
        workers.spawn("recall-late", move |ending| {
            late_copies(ending, &late_tags, &recalls)
        })?;
        let rocks = Arc::clone(&parts.rocks);
        workers.spawn("reclaim", move |ending| reclaim(ending, &rocks))?;
        let engine = Arc::clone(&parts.engine);
        workers.spawn("recall-start", move |ending| {
            at_start.at_all(ending, &*engine);
        })?;
        let upkeep = parts.upkeep.clone();
        workers.spawn("words", move |ending| {
            while !ending.wait(SECOND) {
                if let Err(error) = upkeep.make_words(WORDS) {
                    tracing::error!(%error, "words for searches could not be kept");
                }
            }
        })?;
        let (delivery, sent) = (Arc::clone(&parts.delivery), departures.clone());
        workers.spawn("outbox", move |ending| {
            while !ending.wait(outbox::SECOND) {
                outbox::send_due(&delivery, &sent);
            }
        })?;
        let chores = Chores {
            engine: Arc::clone(&parts.engine),
            upkeep: parts.upkeep.clone(),
            delivery: Arc::clone(&parts.delivery),
            recalls: Arc::clone(&parts.recalls),
            schedule: parts.schedule.clone(),
            departures,
            hub: Arc::clone(hub),
            unread,
            audit,
        };
        workers.spawn("chores", move |ending| chores.run(ending))?;
        Ok(workers)
    }

    fn spawn(
        &mut self,
        name: &'static str,
        work: impl Fn(&Ending) + Send + 'static,
    ) -> io::Result<()> {
        let ending = Arc::clone(&self.ending);
        let builder = std::thread::Builder::new().name(name.to_owned());
        let keep_at_it = move || keep_at_it(name, &ending, SECOND, &work);
        self.threads.push(builder.spawn(keep_at_it)?);
        Ok(())
    }

    /// Ends every worker and waits for it.
    pub(crate) fn stop(self) {
        self.hub.unwatch();
        self.ending.tell();
        for thread in self.threads {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(name, "a worker had panicked");
            }
        }
    }
}

/// Does a worker's work until it is done; where it panics it begins again after a pause. What it works on is
/// durable, and whole at every moment.
fn keep_at_it(name: &str, ending: &Ending, pause: Duration, work: &impl Fn(&Ending)) {
    while !guarded(name, || work(ending)) {
        if ending.wait(pause) {
            return;
        }
    }
}

/// Does a piece of work; whether it did not panic.
fn guarded(name: &str, work: impl FnOnce()) -> bool {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok();
    if !done {
        tracing::error!(
            name,
            "a defect stopped this; it is tried again, and what else there is goes on"
        );
    }
    done
}

/// Accounts whose recall mailbox could not be looked at, to be tried again.
type Unread = Arc<Mutex<BTreeSet<AccountId>>>;

fn lock(unread: &Unread) -> MutexGuard<'_, BTreeSet<AccountId>> {
    unread.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The looks at recall mailboxes.
///
/// Only the seal is set here, so that nobody's waits for another's withdrawal. A look that fails,
/// as on a full disk, is repeated with the chores.
#[derive(Clone)]
struct Looks {
    recalls: Arc<Recalls>,
    to_run: Arc<RecallQueue>,
    unread: Unread,
}

impl Looks {
    /// Looks at every account that changes, at once.
    fn at_changes(&self, changes: &Changes) {
        while let Some(account) = changes.next() {
            if !guarded("recall-triggers", || self.at(account)) {
                lock(&self.unread).insert(account);
            }
        }
    }

    /// Looks at every account once: what was put into a recall mailbox before a crash.
    fn at_all(&self, ending: &Ending, reader: &dyn Engine) {
        let reader: &dyn Read = reader;
        if let Err(error) = tell_taken_addresses(reader) {
            tracing::error!(%error, "the domains could not be read");
        }
        let mut from = Some(AccountId(0));
        while let Some(next) = from {
            let page = match tern_directory::list_accounts(reader, next, 500) {
                Ok(page) => page,
                Err(error) => return tracing::error!(%error, "the accounts could not be listed"),
            };
            for account in &page.accounts {
                if ending.is_told() {
                    return;
                }
                if !guarded("recall-start", || self.at(account.id)) {
                    lock(&self.unread).insert(account.id);
                }
            }
            from = page.next;
        }
    }

    /// Leaves it to others to carry out what was answered.
    fn let_run(&self, id: RecallId) {
        match self.recalls.width(id) {
            Ok(width) => self.to_run.put(id, width),
            // It stays on the list of open ones, which the chores look at.
            Err(error) => tracing::warn!(%id, %error, "a recall is left to the chores"),
        }
    }

    fn at(&self, account: AccountId) {
        let answers = match self.recalls.triggers(account, clock::now()) {
            Ok(answers) => answers,
            Err(error) => {
                lock(&self.unread).insert(account);
                return tracing::error!(%account, %error, "a recall mailbox could not be read");
            }
        };
        for answer in answers {
            self.let_run(answer.id());
            match answer {
                Requested::Sealed(id) => tracing::info!(%account, %id, "recall sealed"),
                Requested::Joined(id) => tracing::info!(%account, %id, "recall joined"),
                Requested::Waiting(id, awaited) => {
                    tracing::info!(%account, %id, ?awaited, "recall waits");
                }
                Requested::Refused(id, refusal) => {
                    tracing::info!(%account, %id, ?refusal, "recall refused");
                }
            }
        }
    }
}

/// Carries out what was sealed and speaks of no more accounts than this.
fn run_recalls(ending: &Ending, (queue, most): (&RecallQueue, u64), recalls: &Recalls) {
    while !ending.is_told() {
        let Some(id) = queue.take(most, Duration::from_millis(500)) else {
            continue;
        };
        guarded("recall-run", || {
            if let Err(error) = carry_out(recalls, id, clock::now()) {
                // It stays on the list of open ones, which the chores look at.
                tracing::warn!(%id, %error, "a recall could not go on");
            }
        });
    }
}

/// Copies from which on two threads withdraw. Fewer are soon done by one, which leaves a processor to
/// everybody else; what is sealed is served to nobody meanwhile.
const ASSISTED: usize = 20_000;

/// Does what is left to do of a recall: on two threads, as long as there is much to withdraw.
pub(crate) fn carry_out(
    recalls: &Recalls,
    id: RecallId,
    now: Timestamp,
) -> Result<(), RecallError> {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Err(error) = recalls.assist(id, ASSISTED, now) {
                tracing::debug!(%id, %error, "a recall goes on without help");
            }
        });
        recalls.run(id, now)
    })
}

/// Gives back the room of what was deleted, whenever that is worth it, and says when the store itself has met
/// an error: as a rule it takes no further write then, until it is opened anew.
fn reclaim(ending: &Ending, rocks: &RocksEngine) {
    let mut told = 0;
    for round in 1_u32.. {
        if ending.wait(HEALTH) {
            return;
        }
        let errors = rocks.statistics().background_errors;
        if errors > told {
            let store = rocks.statistics();
            tracing::error!(
                ?store,
                "the store met an error of the disk or of a file: if commits fail from now on, look at \
                 the disk, then start the server anew"
            );
            told = errors;
        }
        if round % RECLAIM_ROUNDS == 0 {
            reclaim_all(ending, rocks);
        }
    }
}

fn reclaim_all(ending: &Ending, rocks: &RocksEngine) {
    loop {
        match rocks.reclaim(|| !ending.is_told()) {
            Ok(Reclaimed::Some(bytes)) => tracing::info!(
                bytes,
                store = ?rocks.statistics(),
                "room of deleted content was given back"
            ),
            Ok(Reclaimed::Nothing | Reclaimed::Stopped) => return,
            Err(error) => {
                return tracing::error!(%error, "the room of deleted content could not be given back");
            }
        }
    }
}

/// Says where the address by which recalls are asked for is somebody's own.
fn tell_taken_addresses(reader: &dyn Read) -> Result<(), StoreError> {
    for domain in tern_directory::list_domains(reader)? {
        let text = format!("{REQUEST_LOCAL_PART}@{}", domain.domain);
        let Ok(address) = EmailAddress::parse(&text) else {
            continue;
        };
        if !is_request_address(reader, &address)? {
            tracing::warn!(%address, "is somebody's own: recalls are not asked for by mail to it");
        }
    }
    Ok(())
}

/// Brings reports up to date when a seal stopped a copy.
fn late_copies(ending: &Ending, tags: &Receiver<SealTag>, recalls: &Recalls) {
    while !ending.is_told() {
        let tag = match tags.recv_timeout(Duration::from_millis(500)) {
            Ok(tag) => tag,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match recalls.refresh_late(tag, clock::now()) {
            Ok(new) => tracing::info!(new, "late copies of a recalled message were stopped"),
            Err(error) => tracing::error!(%error, "late copies could not be reported"),
        }
    }
}

/// The chores of every minute.
struct Chores {
    engine: Arc<dyn Engine>,
    upkeep: Upkeep,
    delivery: Arc<Delivery>,
    recalls: Arc<Recalls>,
    schedule: Schedule,
    departures: Departures,
    hub: Arc<Hub>,
    unread: Unread,
    audit: AuditChores,
}

/// Most contents that one round removes.
const COLLECT: usize = 10_000;

impl Chores {
    /// Waits a minute, or until a recall begins that was planned, or not at all where `more` are due.
    /// Answers whether the server ends.
    fn rest(&self, ending: &Ending, since: Timestamp, more: bool) -> bool {
        if more {
            return ending.is_told();
        }
        for _ in 0..MINUTE.as_secs() {
            if ending.wait(SECOND) {
                return true;
            }
            // One that was due before can't begin, and is tried again with the other chores.
            let next = self.recalls.next_due_after(since).ok().flatten();
            if next.is_some_and(|next| next <= clock::now()) {
                return false;
            }
        }
        false
    }

    fn run(&self, ending: &Ending) {
        guarded("removals", || self.resume_removals());
        loop {
            let since = clock::now();
            let more = self.round();
            if self.rest(ending, since, more) {
                // Nothing is noted after this that would be known to the next start.
                self.write_devices(Timestamp(u64::MAX));
                return;
            }
        }
    }

    fn write_devices(&self, noted_before: Timestamp) {
        if let Err(error) = self.upkeep.write_devices(noted_before) {
            tracing::error!(%error, "what is known of clients could not be written");
        }
    }

    /// Does each chore once, whatever becomes of another; answers whether more recalls are due than were begun.
    fn round(&self) -> bool {
        guarded("deletions", || self.finish_deletions());
        guarded("deliveries", || self.resume_deliveries());
        let unread = std::mem::take(&mut *lock(&self.unread));
        self.hub.report(&unread.into_iter().collect::<Vec<_>>());
        let mut more = false;
        guarded("planned recalls", || more = self.begin_due());
        guarded("open recalls", || self.run_open());
        guarded("the vault", || self.purge());
        guarded("the audit log", || self.audit.round(clock::now()));
        guarded("the queue", || self.prune());
        let age = tern_mailbox::limits::DEVICE_WRITE_AFTER_MS;
        guarded("clients", || {
            self.write_devices(Timestamp(clock::now().0.saturating_sub(age)));
        });
        guarded("contents", || self.collect());
        more
    }

    fn resume_removals(&self) {
        let removals = Removals {
            delivery: &self.delivery,
            upkeep: &self.upkeep,
            recalls: &self.recalls,
        };
        match removals.resume(clock::now()) {
            Ok(0) => {}
            Ok(accounts) => tracing::info!(accounts, "removals of accounts were finished"),
            Err(error) => tracing::error!(%error, "removals of accounts could not be finished"),
        }
    }

    fn finish_deletions(&self) {
        match group_removal::resume(&*self.engine, &self.upkeep) {
            Ok(0) => {}
            Ok(groups) => tracing::info!(groups, "removals of groups were finished"),
            Err(error) => tracing::error!(%error, "removals of groups could not be finished"),
        }
        if let Err(error) = self.upkeep.finish_deletions(clock::now()) {
            tracing::error!(%error, "deletions of mailboxes could not be finished");
        }
        if let Err(error) = self.upkeep.follow_words() {
            tracing::error!(%error, "words for searches could not be followed");
        }
        match self.upkeep.trim_logs() {
            Ok(0) => {}
            Ok(trimmed) => tracing::debug!(trimmed, "old changes of accounts were forgotten"),
            Err(error) => tracing::error!(%error, "change logs could not be trimmed"),
        }
    }

    fn resume_deliveries(&self) {
        match self.delivery.resume(clock::now(), &mut OsEntropy) {
            Ok(resumed) => {
                for accepted in &resumed.finished {
                    tracing::info!(origin = %accepted.origin, "a delivery was finished");
                    self.departures.follow(accepted);
                }
                for (origin, error) in &resumed.failed {
                    tracing::error!(%origin, %error, "a delivery could not be finished");
                }
            }
            Err(error) => tracing::error!(%error, "deliveries could not be finished"),
        }
    }

    fn run_open(&self) {
        match self.recalls.run_open(clock::now()) {
            Ok(0) => {}
            Ok(open) => tracing::debug!(open, "recalls were looked at"),
            Err(error) => tracing::error!(%error, "a recall could not be finished"),
        }
    }

    fn purge(&self) {
        match self.recalls.purge(clock::now()) {
            Ok(0) => {}
            Ok(purged) => tracing::info!(purged, "withdrawn copies were removed from the vault"),
            Err(error) => tracing::error!(%error, "the vault could not be purged"),
        }
        match self.recalls.forget_arrivals(clock::now()) {
            Ok(0) => {}
            Ok(forgotten) => tracing::debug!(forgotten, "arrivals were forgotten"),
            Err(error) => tracing::error!(%error, "arrivals could not be forgotten"),
        }
    }

    fn prune(&self) {
        if let Err(error) = self.delivery.forget_answered(clock::now()) {
            tracing::error!(%error, "what was answered could not be forgotten");
        }
        if let Err(error) = tern_queue::prune(&*self.engine, &self.schedule, clock::now()) {
            tracing::error!(%error, "the queue's history could not be pruned");
        }
    }

    fn collect(&self) {
        if let Err(error) = self.upkeep.expire_uploads(clock::now(), COLLECT) {
            tracing::error!(%error, "uploads could not be let go");
        }
        match self.upkeep.collect(clock::now(), COLLECT) {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "contents were removed"),
            Err(error) => tracing::error!(%error, "contents could not be removed"),
        }
    }

    fn begin_due(&self) -> bool {
        let failed =
            |error| tracing::error!(%error, "a recall that was due could not begin, or expire");
        match self.recalls.begin_due(clock::now()) {
            Ok(due) => {
                due.failure.map(failed);
                due.more
            }
            Err(error) => {
                failed(error);
                false
            }
        }
    }
}

/// What is read again while the server runs.
pub(crate) struct Files {
    certificates: Arc<Certificates>,
    policies: Arc<Policies>,
    engine: Arc<dyn Engine>,
}

impl Files {
    pub(crate) fn new(certificates: Arc<Certificates>, parts: &Parts) -> Self {
        Self {
            certificates,
            policies: Arc::clone(&parts.policies),
            engine: Arc::clone(&parts.engine),
        }
    }

    /// Puts on record which policies are in force, where they are files that may have changed since
    /// the server ran last.
    pub(crate) async fn record_policies(&self) {
        if !self.policies.are_files() {
            return;
        }
        let (policies, engine) = (Arc::clone(&self.policies), Arc::clone(&self.engine));
        let record = move || {
            let set = policies.current();
            Policies::record(&set, &*engine, clock::now(), &mut OsEntropy)
        };
        match tokio::task::spawn_blocking(record).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the policies could not be put on record"),
            Err(error) => tracing::error!(%error, "putting the policies on record failed"),
        }
    }

    /// Looks at the policies; whether they are to be looked at again soon.
    async fn reload_policies(&self, asked: bool) -> bool {
        match self.policies.look(asked) {
            Ok(Look::Changed(set)) => self.adopt(set).await,
            Ok(Look::Settling) => return true,
            Ok(Look::Unchanged) => {}
            Err(PoliciesError::Wrong(errors)) => {
                for error in errors {
                    tracing::error!(%error, "the policies stay as they were");
                }
            }
            Err(error) => tracing::error!(%error, "the policies stay as they were"),
        }
        false
    }

    /// Puts policies in force, on record first.
    async fn adopt(&self, set: Arc<PolicySet>) {
        let (new, engine) = (Arc::clone(&set), Arc::clone(&self.engine));
        let record = move || Policies::record(&new, &*engine, clock::now(), &mut OsEntropy);
        let recorded = tokio::task::spawn_blocking(record).await;
        let recorded = recorded.map_err(io::Error::other);
        match recorded.and_then(|recorded| recorded.map_err(io::Error::other)) {
            Ok(()) => {
                let (digest, policies) = (set.digest(), set.rules().count());
                tracing::info!(digest, policies, "the policies were read again");
                self.policies.adopt(set);
            }
            Err(error) => {
                self.policies.forget_look();
                tracing::error!(%error, "the policies stay as they were: new ones could not be put on record");
            }
        }
    }
}

/// Reads the certificate and the policies again on SIGHUP, and where their files changed.
pub(crate) async fn reload(files: Files, mut stopped: watch::Receiver<bool>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return tracing::warn!("SIGHUP can't be waited for");
    };
    let mut rest = MINUTE;
    loop {
        let asked = tokio::select! {
            _ = stopped.changed() => return,
            _ = hangup.recv() => true,
            () = tokio::time::sleep(rest) => false,
        };
        rest = match files.reload_policies(asked).await {
            true => SETTLE,
            false => MINUTE,
        };
        match files.certificates.reload(asked) {
            Ok(true) => tracing::info!("the certificate was read again"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the certificate stays as it was"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn a_worker_that_panics_goes_on() {
        let (ending, rounds) = (Ending::default(), AtomicU32::new(0));
        let work = |_: &Ending| {
            let round = rounds.fetch_add(1, Ordering::Relaxed);
            assert!(round >= 3, "a defect");
        };
        keep_at_it("a test", &ending, Duration::ZERO, &work);
        assert_eq!(rounds.load(Ordering::Relaxed), 4);
        // Not when the server stops.
        ending.tell();
        keep_at_it("a test", &ending, Duration::ZERO, &|_| panic!("a defect"));
    }
}
