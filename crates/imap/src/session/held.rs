//! Memory for what a command gathers of many messages before it can answer: what SORT and THREAD compare.
//!
//! Invariant: what is gathered beyond [`GATHERED_UNRESERVED`] is a part of the memory that all sessions share,
//! in the share of whoever asks, until the answer is written. Refuses to say how much something takes.

use tern_session::Reservation;

use super::answer::{Answer, Failure};
use super::{Context, Session};
use crate::event::{Event, Limit};
use crate::limits::{GATHERED_PIECE, GATHERED_UNRESERVED};
use crate::respond::status::CodeName;

/// What was set aside.
#[derive(Default)]
pub(super) struct Held {
    octets: u64,
    reservations: Vec<Reservation>,
}

impl Held {
    /// Sets aside what is lacking for so many octets.
    pub(super) fn grow_to(
        &mut self,
        octets: u64,
        session: &mut Session,
        cx: &Context<'_>,
    ) -> Result<(), Failure> {
        let account = session.account()?;
        while octets > self.octets.saturating_add(GATHERED_UNRESERVED) {
            let Some(more) = cx.memory.reserve(Some(account), GATHERED_PIECE) else {
                session.event(Event::LimitHit(Limit::Memory));
                let text =
                    "Not enough memory to put so many messages in order now, try again later";
                return Err(Answer::no(CodeName::Unavailable, text).into());
            };
            self.reservations.push(more);
            self.octets += GATHERED_PIECE;
        }
        Ok(())
    }
}
