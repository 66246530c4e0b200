//! What a request is judged by may change before it is answered: then it is judged again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::{Arc, Mutex};

use house::{ALICE, BOB, House};
use tern_mailbox::INBOX;
use tern_policy::{Policy, Question, Verdict as PolicyVerdict};
use tern_recall::{Awaited, Refusal, Requested, Selector, State, Submission, submission};
use tern_store::{MemEngine, Verdict};

type Work = Box<dyn FnOnce() + Send>;

/// The default policy; something happens while it decides for the first time.
#[derive(Default)]
struct Meanwhile(Mutex<Option<Work>>);

impl Meanwhile {
    fn once(&self, work: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(work));
    }
}

impl Policy for Meanwhile {
    fn decide(&self, question: &Question) -> PolicyVerdict {
        let verdict = tern_policy::built_in().decide(question);
        let work = self.0.lock().unwrap().take();
        if let Some(work) = work {
            work();
        }
        verdict
    }
}

fn house() -> (House, Arc<Meanwhile>) {
    let policy = Arc::new(Meanwhile::default());
    let mut house = House::under(Arc::<Meanwhile>::clone(&policy));
    house.enrol(ALICE);
    (house, policy)
}

/// Puts on record that Alice sends a letter again, to very many.
fn sends_again(engine: &MemEngine, sent: &Submission) {
    let mut id = sent.id;
    id.0[15] ^= 1;
    let again = Submission {
        id,
        accounts: 1_000,
        ..sent.clone()
    };
    tern_store::transact(engine, |txn| -> Result<_, tern_store::StoreError> {
        submission::record_in(txn, &again)?;
        Ok(Verdict::Commit(()))
    })
    .unwrap();
}

/// She sends it again, to a thousand, while she is asked about the one: she needs a second person for these.
#[test]
fn what_is_sent_while_a_request_is_judged_is_judged_with_it() {
    let (mut house, policy) = house();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let (engine, first) = (house.engine.clone(), sent.clone());
    policy.once(move || sends_again(&engine, &first));
    let answer = house.recall(ALICE, &sent);
    assert!(
        matches!(answer, Requested::Waiting(_, Awaited::Approval { .. })),
        "{answer:?}"
    );
    assert_eq!(house.uids(BOB, INBOX), [1]);
}

/// The second time it is beyond the rate that the first time used up: it is answered as that was.
#[test]
fn the_same_request_twice_at_once_has_one_answer() {
    let (mut house, policy) = house();
    for n in 0..9 {
        let sent = house.submit(ALICE, &[BOB], &[], n);
        assert!(matches!(house.recall(ALICE, &sent), Requested::Sealed(_)));
    }
    let sent = house.submit(ALICE, &[BOB], &[], 9);
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let (beside, now) = (house.another(), house.now);
    let same = request.clone();
    policy.once(move || {
        let first = beside.request(&same, now).unwrap();
        assert_eq!(first, Requested::Sealed(same.id));
    });
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Joined(request.id));
    let state = house.recalls.recall(request.id).unwrap().state;
    assert_ne!(state, State::Refused(Refusal::RateLimited));
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    house.check();
}
