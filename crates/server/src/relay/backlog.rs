//! What is due and could not begin, by where it goes: so that a look at the queue reads what may begin, and
//! not all that is due.
//!
//! Invariant: what is remembered is a hint. Each item is read again before it is let begin, and all that is due
//! is looked at again, in its order, every few seconds and where more waits than is remembered: what was not
//! seen is found then, such as a row whose commit took longer than those behind it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use tern_base::Timestamp;
use tern_delivery::{Delivery, DeliveryError};
use tern_queue::{DuePlace, Item, QueueId};
use tokio::time::Instant;

use super::look::{LOOK_AHEAD, Look};
use super::route::Destination;

/// How often all that is due is looked at again.
const ALL: Duration = Duration::from_secs(5);
/// How many times as long as such a look took the next one waits at least.
const RESTS: u32 = 4;
/// How much longer than it was due a row may be on its way into the store, in milliseconds, without having
/// to wait for the next look at all.
const LATE_MS: u64 = 10_000;

/// How many items are looked at for those that go with what begins, once nothing else may begin that goes
/// there: the recipients of one message stand beside each other.
const BESIDE: usize = 4;
/// So many one after the other that may not begin, for whatever reason, end the look at a destination: those of one
/// account, say, that has as many attempts as it may.
const FRUITLESS: usize = 16;

/// Most items that are remembered of one destination, and of all together.
#[derive(Clone, Copy)]
pub(super) struct Most {
    each: usize,
    all: usize,
}

impl Most {
    /// About 5 MB.
    pub(super) const REMEMBERED: Self = Self {
        each: 20_000,
        all: 100_000,
    };
}

/// The queue, as it is looked at.
pub(super) trait Due {
    /// The time of this look.
    fn now(&self) -> Timestamp;

    /// Shows what is due from a place on, but what is known.
    fn each(
        &self,
        from: Option<DuePlace>,
        is_known: &dyn Fn(QueueId) -> bool,
        visit: &mut dyn FnMut(DuePlace, Item) -> ControlFlow<()>,
    ) -> Result<(), DeliveryError>;

    /// One item, if it is due.
    fn item(&self, id: QueueId) -> Result<Option<Item>, DeliveryError>;

    /// Whether an attempt has something to tell its sender, even where nobody can be asked.
    fn owes_word(&self, item: &Item) -> bool;
}

/// The queue at a time.
pub(super) struct DueAt<'a>(pub(super) &'a Delivery, pub(super) Timestamp);

impl Due for DueAt<'_> {
    fn now(&self) -> Timestamp {
        self.1
    }

    fn each(
        &self,
        from: Option<DuePlace>,
        is_known: &dyn Fn(QueueId) -> bool,
        visit: &mut dyn FnMut(DuePlace, Item) -> ControlFlow<()>,
    ) -> Result<(), DeliveryError> {
        self.0.each_due_from(from, self.1, is_known, visit)
    }

    fn item(&self, id: QueueId) -> Result<Option<Item>, DeliveryError> {
        self.0.due_item(id, self.1)
    }

    fn owes_word(&self, item: &Item) -> bool {
        self.0.owes_word(item, self.1)
    }
}

/// What is remembered.
pub(super) struct Backlog {
    most: Most,
    lists: HashMap<String, List>,
    /// Whatever is in a list.
    known: HashSet<QueueId>,
    /// What is due behind this was not seen yet, or may have come since.
    reached: Option<DuePlace>,
    /// More waits than is remembered of all destinations together.
    is_cut: bool,
    /// When all is looked at again, and when it may be at the earliest.
    again: Option<Instant>,
    rested: Option<Instant>,
    /// Where the next look goes on, where the last one read as much as it may.
    from: Option<DuePlace>,
}

/// What waits for one destination, the longest first.
struct List {
    to: Destination,
    waiting: VecDeque<DuePlace>,
    /// More waits than is remembered.
    is_cut: bool,
}

impl Backlog {
    pub(super) fn new(most: Most) -> Self {
        Self {
            most,
            lists: HashMap::new(),
            known: HashSet::new(),
            reached: None,
            is_cut: false,
            again: None,
            rested: None,
            from: None,
        }
    }

    /// Lets begin what may. Whether all that is due was looked at for that.
    pub(super) fn look(
        &mut self,
        due: &dyn Due,
        look: &mut Look<'_>,
    ) -> Result<bool, DeliveryError> {
        let is_time = self.again.is_none_or(|again| again <= Instant::now());
        let looked = match is_time {
            true => self.look_at_all(due, look),
            false => self.look_on(due, look),
        };
        if looked.is_err() {
            *self = Self::new(self.most);
        }
        looked.map(|()| is_time)
    }

    fn look_at_all(&mut self, due: &dyn Due, look: &mut Look<'_>) -> Result<(), DeliveryError> {
        let since = Instant::now();
        *self = Self::new(self.most);
        self.scan(due, look)?;
        let rest = since.elapsed() * RESTS;
        self.again = Some(Instant::now() + ALL.max(rest));
        self.rested = Some(Instant::now() + rest);
        Ok(())
    }

    /// What is remembered first: it is due for longer than what was not seen yet.
    fn look_on(&mut self, due: &dyn Due, look: &mut Look<'_>) -> Result<(), DeliveryError> {
        self.serve(due, look)?;
        match look.goes_on() {
            true => self.scan(due, look),
            false => Ok(()),
        }
    }

    /// Looks at what was not seen yet, and remembers what can't begin.
    fn scan(&mut self, due: &dyn Due, look: &mut Look<'_>) -> Result<(), DeliveryError> {
        let (known, lists, most) = (&self.known, &mut self.lists, self.most);
        let (mut new, mut last, mut is_cut) = (Vec::new(), None, false);
        due.each(
            self.reached,
            &|id| known.contains(&id),
            &mut |place, item| {
                let to = look.destination(&item);
                let owes_word = due.owes_word(&item);
                let waits = !look.see(item, &to, owes_word);
                let has_room = known.len() + new.len() < most.all;
                is_cut |= waits && !has_room;
                if waits && has_room && remember(lists, to, place, most.each) {
                    new.push(place.id);
                }
                match look.goes_on() {
                    true => ControlFlow::Continue(()),
                    false => {
                        last = Some(place);
                        ControlFlow::Break(())
                    }
                }
            },
        )?;
        self.known.extend(new);
        self.is_cut |= is_cut;
        let settled = DuePlace {
            time: Timestamp(due.now().0.saturating_sub(LATE_MS)),
            id: QueueId([0; 16]),
        };
        self.reached = Some(last.map_or(settled, |last: DuePlace| last.min(settled)));
        Ok(())
    }

    /// Lets begin what is remembered, the longest waiting first of those that may.
    fn serve(&mut self, due: &dyn Due, look: &mut Look<'_>) -> Result<(), DeliveryError> {
        let lists = self.lists.iter();
        let open = lists.filter(|(_, list)| look.goes_on_to(&list.to));
        let first = |(name, list): (&String, &List)| Some((*list.waiting.front()?, name.clone()));
        let mut open: Vec<(DuePlace, String)> = open.filter_map(first).collect();
        open.sort_unstable();
        let at = self.from.take().map_or(0, |from| {
            open.partition_point(|(first, _)| *first < from) % open.len().max(1)
        });
        open.rotate_left(at);
        let mut passed = 0;
        for (first, name) in open {
            if passed >= LOOK_AHEAD {
                self.from = Some(first);
                break;
            }
            let Some(list) = self.lists.get_mut(&name) else {
                continue;
            };
            let (mut kept, mut beside, mut fruitless) = (Vec::new(), 0, 0);
            while passed < LOOK_AHEAD
                && beside < BESIDE
                && fruitless < FRUITLESS
                && look.goes_on_to(&list.to)
            {
                let Some(place) = list.waiting.pop_front() else {
                    break;
                };
                let leaves = match due.item(place.id)? {
                    Some(item) => {
                        let owes_word = due.owes_word(&item);
                        look.see(item, &list.to, owes_word)
                    }
                    // Gone, or due at another time.
                    None => true,
                };
                if leaves {
                    self.known.remove(&place.id);
                    (beside, fruitless) = (0, 0);
                } else {
                    passed += 1;
                    fruitless += 1;
                    beside += usize::from(!look.begins_to(&list.to));
                    kept.push(place);
                }
            }
            for place in kept.into_iter().rev() {
                list.waiting.push_front(place);
            }
            let is_over = list.waiting.is_empty();
            if is_over && list.is_cut || self.is_cut && self.known.len() < self.most.all / 2 {
                self.again = self.again.min(self.rested);
            }
            if is_over {
                self.lists.remove(&name);
            }
        }
        Ok(())
    }
}

/// Remembers that an item waits, unless too many do.
fn remember(
    lists: &mut HashMap<String, List>,
    to: Destination,
    place: DuePlace,
    most: usize,
) -> bool {
    let list = lists.entry(to.name.clone()).or_insert_with(|| List {
        to,
        waiting: VecDeque::new(),
        is_cut: false,
    });
    let fits = list.waiting.len() < most;
    match fits {
        true => list.waiting.push_back(place),
        false => list.is_cut = true,
    }
    fits
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use tern_base::{AccountId, BlobId, EmailAddress, OriginId};
    use tern_queue::{Dsn, State};

    use super::super::route::Routes;
    use super::super::traffic::{Pass, Traffic};
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    /// A queue, and how many of its items were read.
    #[derive(Default)]
    struct Fake {
        items: RefCell<BTreeMap<DuePlace, Item>>,
        read: Cell<usize>,
    }

    impl Fake {
        /// A message of its own for this domain.
        fn add(&self, n: u32, time: Timestamp, domain: &str) {
            let mut id = QueueId([0; 16]);
            id.0[..4].copy_from_slice(&n.to_be_bytes());
            let item = Item {
                id,
                origin: OriginId(id.0),
                account: None,
                mail_from: EmailAddress::parse("alice@tern.test").ok(),
                recipient: EmailAddress::parse(&format!("bob@{domain}")).expect("an address"),
                named: None,
                dsn: Dsn::default(),
                smtputf8: false,
                blob: BlobId([0; 32]),
                prefix: Vec::new(),
                size: 1,
                created: time,
                expires: Timestamp(u64::MAX),
                state: State::Ready { next_attempt: time },
                attempts: 0,
                lost_attempts: 0,
                at_most: None,
                delay_told: false,
                last_reply: None,
            };
            let place = DuePlace::of(&item).expect("it is due");
            self.items.borrow_mut().insert(place, item);
        }

        /// All that was added and belongs to nobody yet is this account's.
        fn belongs_to(&self, account: u32) {
            for item in self.items.borrow_mut().values_mut() {
                item.account.get_or_insert(AccountId(account));
            }
        }

        fn with(many: u32, domain: &str) -> Self {
            let fake = Self::default();
            (0..many).for_each(|n| fake.add(n, Timestamp(n.into()), domain));
            fake
        }

        /// What these attempts were for has left.
        fn leave(&self, passes: &[Pass]) -> usize {
            let left = |id: &QueueId| passes.iter().any(|pass| pass.ids().contains(id));
            let before = self.items.borrow().len();
            self.items.borrow_mut().retain(|place, _| !left(&place.id));
            before - self.items.borrow().len()
        }

        fn read(&self, item: &Item) -> Item {
            self.read.set(self.read.get() + 1);
            item.clone()
        }
    }

    impl Due for Fake {
        fn now(&self) -> Timestamp {
            NOW
        }

        fn each(
            &self,
            from: Option<DuePlace>,
            is_known: &dyn Fn(QueueId) -> bool,
            visit: &mut dyn FnMut(DuePlace, Item) -> ControlFlow<()>,
        ) -> Result<(), DeliveryError> {
            let first = DuePlace {
                time: Timestamp(0),
                id: QueueId([0; 16]),
            };
            for (place, item) in self.items.borrow().range(from.unwrap_or(first)..) {
                if !is_known(place.id) && visit(*place, self.read(item)).is_break() {
                    break;
                }
            }
            Ok(())
        }

        fn item(&self, id: QueueId) -> Result<Option<Item>, DeliveryError> {
            let items = self.items.borrow();
            let found = items.iter().find(|(place, _)| place.id == id);
            Ok(found.map(|(_, item)| self.read(item)))
        }

        fn owes_word(&self, _: &Item) -> bool {
            false
        }
    }

    struct Relay {
        traffic: Arc<Traffic>,
        routes: Routes,
        backlog: Backlog,
    }

    impl Relay {
        fn new(most: Most) -> Self {
            Self {
                traffic: Arc::new(Traffic::new(20, 5, 0)),
                routes: Routes::new(BTreeMap::new(), None, "mx.tern.test"),
                backlog: Backlog::new(most),
            }
        }

        fn look(&mut self, fake: &Fake) -> Vec<Pass> {
            let mut look = Look::new(&self.traffic, &self.routes, 50);
            let looked = self.backlog.look(fake, &mut look);
            looked.expect("read");
            look.passes().collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_one_destination_is_not_all_read_for_each_attempt() {
        let (fake, mut relay) = (Fake::with(1_000, "far.test"), Relay::new(Most::REMEMBERED));
        let mut looks = 0;
        while !fake.items.borrow().is_empty() {
            let passes = relay.look(&fake);
            assert_eq!(fake.leave(&passes), 5, "as many as go there at once");
            looks += 1;
        }
        assert_eq!(looks, 200);
        assert!(fake.read.get() < 3_000, "{} reads", fake.read.get());
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_costs_the_mail_of_others_nothing() {
        let (fake, mut relay) = (Fake::with(1_000, "far.test"), Relay::new(Most::REMEMBERED));
        let _under_way = relay.look(&fake);
        let before = fake.read.get();
        // It comes with a time that is past, as what took a moment to be committed does.
        fake.add(5_000, Timestamp(NOW.0 - 100), "near.test");
        let passes = relay.look(&fake);
        assert_eq!(fake.leave(&passes), 1);
        assert!(fake.read.get() - before < 20);
        // What took longer is found by the next look at all.
        fake.add(5_001, Timestamp(NOW.0 - 2 * LATE_MS), "near.test");
        assert!(relay.look(&fake).is_empty());
        tokio::time::advance(ALL).await;
        assert_eq!(fake.leave(&relay.look(&fake)), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_account_has_no_attempts_for_keeps_no_other_from_theirs() {
        let (fake, mut relay) = (Fake::default(), Relay::new(Most::REMEMBERED));
        for n in 0..600 {
            fake.add(n, Timestamp(n.into()), &format!("far{}.test", n / 2));
        }
        fake.belongs_to(1);
        let under_way = relay.look(&fake);
        assert_eq!(fake.leave(&under_way), 15, "as many as one account has");
        for n in 0..20 {
            fake.add(
                1_000 + n,
                Timestamp(NOW.0 - 100),
                &format!("near{}.test", n % 5),
            );
        }
        fake.belongs_to(2);
        // What comes is seen at once, and then remembered behind all of the other's.
        for expected in [5, 10, 15] {
            let mut looks = 0;
            while fake.items.borrow().len() > 605 - expected {
                let passes = relay.look(&fake);
                fake.leave(&passes);
                looks += 1;
                assert!(looks < 8, "without the next look at all: {expected}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_more_than_is_remembered_leaves_as_well() {
        let most = Most { each: 10, all: 15 };
        let (fake, mut relay) = (Fake::with(100, "far.test"), Relay::new(most));
        for n in 0..100 {
            fake.add(1_000 + n, Timestamp(500), "near.test");
        }
        let mut looks = 0;
        while !fake.items.borrow().is_empty() {
            let passes = relay.look(&fake);
            fake.leave(&passes);
            assert!(relay.backlog.known.len() <= 15);
            looks += 1;
            assert!(looks < 100, "without waiting for the next look at all");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_gone_or_was_put_off_is_not_let_begin() {
        let (fake, mut relay) = (Fake::with(20, "far.test"), Relay::new(Most::REMEMBERED));
        let passes = relay.look(&fake);
        assert_eq!(fake.leave(&passes), 5);
        drop(passes);
        fake.items.borrow_mut().clear();
        assert!(relay.look(&fake).is_empty());
        assert!(relay.backlog.known.is_empty());
    }
}
