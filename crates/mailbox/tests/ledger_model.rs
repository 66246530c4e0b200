//! What is on record as served, kept in rows by block, says of every copy what a plain list by copy says:
//! on random histories of servings, copies and removals.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::BTreeMap;

use house::{ALICE, House, letter};
use proptest::prelude::*;
use tern_base::{MessageId, OriginId, Timestamp};
use tern_mailbox::{
    Access, DeviceId, ExposureLevel, Flags, INBOX, Landing, Lineage, MailboxError, Moment, Served,
    Share, Transfer, Viewer, limits,
};

/// One thing that happens to copies, which are named by their number modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    /// A client fetches some at once; milliseconds have passed.
    Serve(Vec<usize>, u8, ExposureLevel, u8, u64),
    Copy(usize),
    Expunge(usize),
    Withdraw,
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    let level = prop::sample::select(ExposureLevel::ALL.to_vec());
    let wait = prop_oneof![3 => 1..1_000u64, 1 => 1..limits::LAST_SERVED_MS * 2];
    let which = prop::collection::vec(0..100usize, 1..8);
    prop_oneof![
        12 => (which, 0..4u8, level, any::<u8>(), wait)
            .prop_map(|(which, client, level, share, wait)| {
                Step::Serve(which, client, level, share, wait)
            }),
        2 => (0..100usize).prop_map(Step::Copy),
        2 => (0..100usize).prop_map(Step::Expunge),
        1 => Just(Step::Withdraw),
        1 => Just(Step::Restore),
    ]
}

fn viewer(n: u8) -> Viewer {
    Viewer {
        protocol: "imap",
        client: format!("Client {n}"),
        address: format!("192.0.2.{n}"),
        device: DeviceId([n; 8]),
    }
}

/// The plain list: by copy all clients in the order in which they came, and the most with its client.
#[derive(Clone, Debug, Default, PartialEq)]
struct Plain {
    by_client: Vec<(u8, u8, Vec<Moment>)>,
    most: Option<(ExposureLevel, u64, u8)>,
}

impl Plain {
    fn serve(&mut self, client: u8, level: ExposureLevel, share: u8, now: u64) {
        if self.most.is_none_or(|(most, ..)| most < level) {
            self.most = Some((level, now, client));
        }
        let known = self.by_client.iter().position(|one| one.0 == client);
        let known = known.unwrap_or_else(|| {
            self.by_client.push((client, 0, Vec::new()));
            self.by_client.len() - 1
        });
        let (_, shared, moments) = &mut self.by_client[known];
        let span = |at: u64| at / limits::LAST_SERVED_MS;
        let lately = |one: &Moment| one.level >= level && span(one.last.0) >= span(now);
        if share & !*shared == 0 && moments.iter().any(lately) {
            return;
        }
        *shared |= share;
        let now = Timestamp(now);
        if let Some(moment) = moments.iter_mut().find(|one| one.level == level) {
            moment.last = now;
            return;
        }
        let higher = moments.iter().filter(|one| one.level > level);
        let first = higher.map(|one| one.first).min().unwrap_or(now);
        moments.push(Moment {
            level,
            first,
            last: now,
        });
        moments.sort_by_key(|one| one.level);
    }
}

/// The server, and the plain list of what should be on record.
struct Both {
    house: House,
    digest: tern_base::ContentDigest,
    now: u64,
    /// In a mailbox, or not any more.
    copies: BTreeMap<MessageId, (bool, Plain)>,
}

impl Both {
    /// Copies of one letter on both sides of the border between two blocks of ids.
    fn new() -> Self {
        let house = House::new();
        let mut ids = Vec::new();
        for n in 0..66 {
            let text = if (61..65).contains(&n) { 0 } else { n + 1 };
            ids.push(house.deliver(ALICE, &letter(text)).message);
        }
        assert_ne!(ids[61].0 / 64, ids[64].0 / 64);
        Self::of(house, &ids[61..65])
    }

    /// So many copies, brought at once, that what is served of them is kept by letter as well.
    fn wide() -> Self {
        let house = House::new();
        let prepared = house.mailboxes.prepare(letter(0), house.now).unwrap();
        let landing = Landing {
            account: ALICE,
            mailbox: INBOX,
            flags: Flags::empty(),
            received: house.now,
            prefix: Vec::new(),
            origin: OriginId([0; 16]),
            lineage: Lineage::Delivered,
            brought_by: None,
        };
        let landings = vec![landing; limits::WIDE_LANDINGS];
        let placed = house.mailboxes.land(&prepared, &landings, house.now);
        let placed = placed.unwrap().into_iter().map(Result::unwrap);
        let ids: Vec<MessageId> = placed.map(|placed| placed.message).collect();
        Self::of(house, &ids)
    }

    fn of(house: House, ids: &[MessageId]) -> Self {
        let digest = house.mailboxes.message(ALICE, ids[0]).unwrap().digest;
        let copies = ids.iter().map(|id| (*id, (true, Plain::default())));
        let copies = copies.collect();
        Self {
            digest,
            now: house.now.0,
            house,
            copies,
        }
    }

    fn there(&self) -> Vec<MessageId> {
        let there = self.copies.iter().filter(|(_, (there, _))| *there);
        there.map(|(id, _)| *id).collect()
    }

    fn uid(&self, id: MessageId) -> tern_base::Uid {
        let view = self.house.mailboxes.view(ALICE, INBOX).unwrap();
        let entry = view.iter().find(|entry| entry.message == id);
        entry.unwrap().uid
    }

    fn serve(&mut self, which: &[usize], (client, level, share): (u8, ExposureLevel, u8)) {
        let there = self.there();
        let mut ids: Vec<MessageId> = which.iter().map(|n| there[n % there.len()]).collect();
        ids.sort_unstable();
        ids.dedup();
        let of = |id: &MessageId| {
            let row = self.house.mailboxes.message(ALICE, *id).unwrap();
            Served {
                account: ALICE,
                message: *id,
                digest: row.digest,
                origin: row.origin,
                carries: false,
                level,
                share: Share(share),
            }
        };
        let served: Vec<Served> = ids.iter().rev().map(of).collect();
        let mailboxes = &self.house.mailboxes;
        mailboxes
            .record_served(&served, &viewer(client), Timestamp(self.now))
            .unwrap();
        for id in ids {
            let (_, plain) = self.copies.get_mut(&id).unwrap();
            plain.serve(client, level, share, self.now);
        }
    }

    fn step(&mut self, step: Step) {
        let there = self.there();
        match step {
            Step::Restore => {
                let back = self.house.sealing.vaulted(house::TAG, None, 100).unwrap();
                self.house.restore_all();
                for copy in back {
                    self.copies.get_mut(&copy.message).unwrap().0 = true;
                }
            }
            _ if there.is_empty() => {}
            Step::Serve(which, client, level, share, wait) => {
                self.now += wait;
                self.serve(&which, (client, level, share));
            }
            Step::Copy(n) => {
                let from = there[n % there.len()];
                let uids = [self.uid(from)];
                let transfer = Transfer {
                    from: Access::owner(ALICE, INBOX),
                    uids: &uids,
                    to: INBOX,
                    by: None,
                };
                let now = self.house.now;
                let made = self.house.mailboxes.copy(&transfer, now).unwrap();
                let view = self.house.mailboxes.view(ALICE, INBOX).unwrap();
                let to = view.get(made[0].to).unwrap().message;
                let inherited = self.copies[&from].clone();
                self.copies.insert(to, inherited);
            }
            Step::Expunge(n) => {
                let id = there[n % there.len()];
                let (uid, now) = (self.uid(id), self.house.now);
                let work = |txn: &mut tern_store::Transaction<'_>| {
                    let mailboxes = &self.house.mailboxes;
                    let gone = mailboxes.expunge_in(txn, ALICE, INBOX, uid, now)?;
                    Ok::<_, MailboxError>(tern_store::Verdict::Commit(gone))
                };
                assert!(self.house.mailboxes.transact(&[ALICE], work).unwrap());
                self.copies.get_mut(&id).unwrap().0 = false;
            }
            Step::Withdraw => {
                assert_eq!(self.house.withdraw_all(self.digest), there.len());
                self.copies.values_mut().for_each(|copy| copy.0 = false);
            }
        }
    }

    fn compare(&self) {
        let sealing = &self.house.sealing;
        let exposures = sealing.exposures(self.digest).unwrap();
        let told: Vec<_> = exposures
            .iter()
            .map(|(_, id, most)| (*id, most.level, most.at.0, most.client.clone()))
            .collect();
        let expect: Vec<_> = self
            .copies
            .iter()
            .filter_map(|(id, (_, plain))| {
                let (level, at, client) = plain.most?;
                Some((*id, level, at, viewer(client).client))
            })
            .collect();
        assert_eq!(told, expect);
        for (id, (_, plain)) in &self.copies {
            let ledger = sealing.ledger(ALICE, *id).unwrap();
            assert_eq!(ledger.others, None);
            let told: Vec<_> = ledger
                .servings
                .iter()
                .map(|one| (one.device.0[0], one.share.0, one.moments.clone()))
                .collect();
            let mut expect = plain.by_client.clone();
            expect.sort_by_key(|(.., moments)| moments.iter().map(|one| one.first).min());
            assert_eq!(told, expect, "of {id}");
        }
        self.house.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_by_block_say_what_a_list_by_copy_says(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let mut both = Both::new();
        for step in steps {
            both.step(step);
        }
        both.compare();
    }

    #[test]
    fn what_many_were_sent_at_once_is_told_as_well(
        steps in prop::collection::vec(step(), 1..20)
    ) {
        let mut both = Both::wide();
        for step in steps {
            both.step(step);
        }
        both.compare();
        // As a start of the server finds it.
        both.house.reopen();
        both.compare();
    }
}
