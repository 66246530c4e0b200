//! What is on its way out: octets that wait for their client within the memory for content.
//!
//! Invariants: what a client does not take is held by its account's share, until it is written or the
//! connection ends; and nothing more of it is written once the login by which it was asked for is revoked.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tern_base::AccountId;
use tern_jmap::Held as Made;
use tern_session::{ContentMemory, Reservation};

use crate::https::answer::Body;
use crate::https::limits::{ANSWER_FREE, ANSWER_PIECE};

/// Sets memory aside for so many octets, beside those that every answer may have. `None` where there is
/// none.
pub(super) fn reserve(
    octets: u64,
    account: AccountId,
    memory: &dyn ContentMemory,
) -> Option<Reservation> {
    match octets.saturating_sub(ANSWER_FREE) {
        0 => Some(Box::new(())),
        more => memory.reserve(Some(account), more),
    }
}

/// Memory for an answer of so many octets, of what was set aside while it was made; the rest is given
/// back. `None` where there was not enough, and none is left.
pub(super) fn keep(
    octets: u64,
    mut made_in: Made,
    account: AccountId,
    memory: &dyn ContentMemory,
) -> Option<(Made, Reservation)> {
    made_in.shrink_to(octets);
    let more = octets.saturating_sub(made_in.octets());
    let more = reserve(more, account, memory)?;
    Some((made_in, more))
}

/// A body of these octets, for as long as it `may_go_on`. `None` where no memory is left for it.
pub(super) fn body(
    octets: String,
    made_in: Made,
    account: AccountId,
    memory: &dyn ContentMemory,
    may_go_on: impl Fn() -> bool + Send + Unpin + 'static,
) -> Option<Body> {
    let memory = keep(octets.len() as u64, made_in, account, memory)?;
    let held = Held {
        rest: octets.into(),
        may_go_on,
        _memory: memory,
    };
    Some(held.boxed_unsync())
}

/// Octets in pieces: whoever writes them takes no more at once, and copies no more.
struct Held<F> {
    rest: Bytes,
    may_go_on: F,
    _memory: (Made, Reservation),
}

impl<F: Fn() -> bool + Unpin> HttpBody for Held<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if !(self.may_go_on)() {
            let why = io::Error::other("the login is good no more");
            return Poll::Ready(Some(Err(why)));
        }
        let next = self.rest.len().min(ANSWER_PIECE);
        let piece = self.rest.split_to(next);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::memory::{Budget, Memory};

    #[tokio::test]
    async fn an_answer_holds_memory_until_it_is_taken() {
        let share = ANSWER_PIECE as u64;
        let memory = Memory::new(Budget {
            total: 2 * share,
            strangers: share,
            share,
        });
        let memory = memory.of("192.0.2.1".parse().expect("an address"));
        let account = AccountId(1);
        let text = "x".repeat(ANSWER_FREE as usize + ANSWER_PIECE);
        let mut first =
            body(text.clone(), Made::default(), account, &memory, || true).expect("memory");
        assert!(
            body(text.clone(), Made::default(), account, &memory, || true).is_none(),
            "all is held"
        );
        assert!(
            body("{}".to_owned(), Made::default(), account, &memory, || true).is_some(),
            "a short one"
        );
        let mut taken = 0;
        while let Some(frame) = first.frame().await {
            assert!(
                body(text.clone(), Made::default(), account, &memory, || true).is_none(),
                "still held"
            );
            let piece = frame.expect("a frame").into_data().expect("octets");
            assert!(piece.len() <= ANSWER_PIECE);
            taken += piece.len();
        }
        assert_eq!(taken, text.len());
        drop(first);
        assert!(
            body(text, Made::default(), account, &memory, || true).is_some(),
            "given back"
        );
    }

    #[tokio::test]
    async fn an_answer_ends_with_the_login_that_asked_for_it() {
        let is_good = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&is_good);
        let may_go_on = move || asked.load(Ordering::Relaxed);
        let text = "x".repeat(3 * ANSWER_PIECE);
        let (account, memory) = (AccountId(1), tern_session::Unlimited);
        let mut answer = body(text, Made::default(), account, &memory, may_go_on).expect("memory");
        assert!(answer.frame().await.is_some_and(|frame| frame.is_ok()));
        is_good.store(false, Ordering::Relaxed);
        assert!(answer.frame().await.is_some_and(|frame| frame.is_err()));
    }
}
