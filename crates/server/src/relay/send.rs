//! A message on its way to the hosts of its destination, by as many transactions and sessions as it takes.
//!
//! Invariant: what is about a session, or about how many recipients there are, is no recipient's
//! refusal. Each transaction settles somebody, or the session is over; a session that has settled
//! somebody for good leaves those who are left due at once, since that comes to an end; one that has
//! settled nobody is followed by the next host (RFC 5321 5.1), and behind the last by the schedule, with
//! fewer recipients. Nobody is named behind a seal, a cancel or a hold.

use std::net::SocketAddr;
use std::sync::Arc;

use tern_delivery::Outgoing;
use tern_queue::{Item, Outcome, QueueId};
use tern_smtp::client;

use super::connect::Way;
use super::dialogue::{Dialogue, Unsent};
use super::patience::{Over, Patience};
use super::reach::{call, cut_off, hosts, of_unsent};
use super::record::{Ended, Record};
use super::traffic::Pass;
use super::words::{Came, came, envelope, unsaid, weigh};
use crate::clock;
use crate::config::HostPort;

/// A message under way.
pub(super) struct Sending<'a> {
    record: &'a Record,
    outgoing: Arc<Outgoing>,
    content: Arc<Vec<u8>>,
    /// Who has no outcome yet.
    left: Vec<Item>,
}

/// What the hosts came to that were asked so far.
#[derive(Default)]
struct Asked {
    outcome: Option<Outcome>,
    /// That one of them could not be connected to now.
    waits: Option<Outcome>,
    /// Where.
    addresses: Vec<SocketAddr>,
}

impl<'a> Sending<'a> {
    pub(super) fn new(record: &'a Record, mut outgoing: Outgoing) -> Self {
        let left = std::mem::take(&mut outgoing.items);
        let content = Arc::new(std::mem::take(&mut outgoing.content));
        Self {
            record,
            outgoing: Arc::new(outgoing),
            content,
            left,
        }
    }

    /// Sends it, and records what came of it.
    pub(super) async fn send(mut self, pass: &mut Pass, mut patience: Patience) {
        let Some(first) = self.left.first() else {
            return;
        };
        let domain = first.recipient.domain().as_str().to_owned();
        let hosts = hosts(&self.record.shared, &domain, &mut patience).await;
        let outcome = match hosts {
            Ok((hosts, way)) => {
                self.ask_each(&domain, hosts, way, pass, &mut patience)
                    .await
            }
            Err(outcome) => outcome,
        };
        self.record.same(self.left, &outcome).await;
    }

    /// Asks one host after the other. What is to be said of those who are left.
    async fn ask_each(
        &mut self,
        domain: &str,
        hosts: Vec<HostPort>,
        way: Way,
        pass: &mut Pass,
        patience: &mut Patience,
    ) -> Outcome {
        let shared = Arc::clone(&self.record.shared);
        let mut asked = Asked::default();
        pass.leave_place();
        for host in hosts {
            if let Some(over) = patience.over() {
                // Of those that were not asked nothing is known.
                asked.note(cut_off(over, Some(host.host)));
                break;
            }
            match call(&shared, &host, way, patience).await {
                Ok(dialogue) => match self.by(dialogue, &host, patience).await {
                    Next::Host(outcome) => asked.note(outcome),
                    Next::None(outcome) => return outcome,
                },
                Err(unsent) => {
                    if let Unsent::Waits(addresses, _) = &unsent {
                        asked.addresses.extend(addresses);
                    }
                    asked.note(of_unsent(unsent, &host));
                }
            }
        }
        if !asked.addresses.is_empty() {
            let destination = shared.routes.destination(domain).name;
            let addresses = std::mem::take(&mut asked.addresses);
            let traffic = &shared.traffic;
            traffic.wait_for(&destination, addresses, way.bound);
        }
        let none = || Outcome::Temporary(unsaid(format!("no host for {domain}"), None));
        asked.all().unwrap_or_else(none)
    }

    /// By one session with one host.
    async fn by(
        &mut self,
        mut dialogue: Dialogue,
        host: &HostPort,
        patience: &mut Patience,
    ) -> Next {
        let mut has_settled = false;
        loop {
            let message = client::Outgoing {
                envelope: envelope(&self.left, self.outgoing.body),
                content: Arc::clone(&self.content),
            };
            let sent = dialogue.send(message, patience).await;
            patience.is_answered();
            let (ended, end) = match sent {
                Ok(outcomes) => self.settle(outcomes, host),
                Err(unsent) => (Vec::new(), Some(of_unsent(unsent, host))),
            };
            let for_good =
                |(_, it): &Ended| matches!(it, Outcome::Delivered(_) | Outcome::Permanent(_));
            has_settled |= ended.iter().any(for_good);
            let dsn = dialogue.takes_dsn();
            let goes_on = end.is_none() && !self.left.is_empty() && dialogue.takes_more().await;
            if !goes_on {
                // What came of it is recorded while the other server is still asked to hang up.
                tokio::spawn(dialogue.end(patience.clone()));
                self.record.each(ended, dsn).await;
                return after(end, has_settled, patience);
            }
            self.record.each(ended, dsn).await;
            let time = self.record.shared.transaction_time();
            if !patience.has(time) || !self.drop_stopped().await {
                tokio::spawn(dialogue.end(patience.clone()));
                return Next::None(Outcome::GivenBack);
            }
        }
    }

    /// What came of each in one transaction; those are left of whom nothing is known. What ended it for
    /// them, where it did.
    fn settle(
        &mut self,
        outcomes: Vec<client::Outcome>,
        host: &HostPort,
    ) -> (Vec<Ended>, Option<Outcome>) {
        let is_named = |it: &&client::Outcome| **it != client::Outcome::Surplus;
        let named = outcomes.iter().filter(is_named).count();
        let together = u32::try_from(named).unwrap_or(u32::MAX);
        let (mut ended, mut left, mut end) = (Vec::new(), Vec::new(), None);
        for (item, outcome) in std::mem::take(&mut self.left).into_iter().zip(outcomes) {
            match came(outcome, Some(host.host.clone()), together) {
                Came::To(outcome) => ended.push((item, outcome)),
                Came::ToNothing => left.push(item),
                Came::ToAnEnd(outcome) => {
                    left.push(item);
                    end = Some(outcome);
                }
            }
        }
        self.left = left;
        (ended, end)
    }

    /// Lets those go that are not to be sent any more: a recall, a cancel or a hold came while others
    /// were sent to. Whether anybody is left, and it is known.
    async fn drop_stopped(&mut self) -> bool {
        let (shared, lease) = (&self.record.shared, self.record.lease);
        let (delivery, outgoing) = (Arc::clone(&shared.delivery), Arc::clone(&self.outgoing));
        let ids: Vec<QueueId> = self.left.iter().map(|item| item.id).collect();
        let ask = move || delivery.still(&outgoing, &ids, lease, clock::now());
        let still = match tokio::task::spawn_blocking(ask).await {
            Ok(Ok(still)) => still,
            Ok(Err(error)) => {
                tracing::warn!(%error, "it is not known who is still to be sent to");
                return false;
            }
            Err(error) => {
                tracing::error!(%error, "asking who is still to be sent to broke off");
                return false;
            }
        };
        let all = std::mem::take(&mut self.left).into_iter();
        let (left, stopped) = all.partition(|item| still.contains(&item.id));
        self.left = left;
        self.record.same(stopped, &Outcome::GivenBack).await;
        !self.left.is_empty()
    }
}

/// Who is asked next.
enum Next {
    /// The next host; if there is none, this is what came of it.
    Host(Outcome),
    /// Nobody.
    None(Outcome),
}

/// What a session that is over leaves those with who are left.
fn after(end: Option<Outcome>, has_settled: bool, patience: &Patience) -> Next {
    match end {
        // This side broke it off.
        Some(_) if patience.over() == Some(Over::Stopped) => Next::None(Outcome::GivenBack),
        // It took the message for others: its end is about the session. None: it takes no more in it.
        Some(_) if has_settled => Next::None(Outcome::GivenBack),
        None => Next::None(Outcome::GivenBack),
        Some(outcome @ Outcome::Permanent(_)) => Next::None(outcome),
        Some(outcome) => Next::Host(outcome),
    }
}

impl Asked {
    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Waits { .. } => self.waits = Some(outcome),
            outcome => self.outcome = Some(weigh(self.outcome.take(), outcome)),
        }
    }

    /// What is to be said of all of them.
    fn all(self) -> Option<Outcome> {
        match (self.outcome, self.waits) {
            // A session was had: the next one is for the schedule.
            (Some(outcome @ (Outcome::Together { .. } | Outcome::GivenBack)), _) => Some(outcome),
            // One of the hosts may take it as soon as it is done with others.
            (_, Some(waits)) => Some(waits),
            (outcome, None) => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use tern_queue::Reply;

    use super::*;
    use crate::clock::now;

    fn reply() -> Reply {
        unsaid("so", None)
    }

    fn all(outcomes: &[Outcome]) -> Option<Outcome> {
        let mut asked = Asked::default();
        outcomes.iter().cloned().for_each(|it| asked.note(it));
        asked.all()
    }

    #[test]
    fn whoever_is_left_goes_on_by_what_the_session_has_shown() {
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let mut patience = Patience::new(std::time::Duration::from_secs(60), stopped);
        let next = |end: &Outcome, has_settled, patience: &Patience| match after(
            Some(end.clone()),
            has_settled,
            patience,
        ) {
            Next::Host(outcome) => ("the next host", outcome),
            Next::None(outcome) => ("nobody", outcome),
        };
        let (for_now, for_good) = (Outcome::Temporary(reply()), Outcome::Permanent(reply()));
        // The message is refused, or the session fails; and where it took the message for others, or was
        // broken off by this side, that says nothing of those who are left.
        let back = Outcome::GivenBack;
        assert_eq!(
            next(&for_good, false, &patience),
            ("nobody", for_good.clone())
        );
        assert_eq!(
            next(&for_now, false, &patience),
            ("the next host", for_now.clone())
        );
        assert_eq!(next(&for_good, true, &patience), ("nobody", back.clone()));
        assert_eq!(next(&for_now, true, &patience), ("nobody", back.clone()));
        patience.note_stop();
        assert_eq!(next(&for_now, false, &patience), ("nobody", back));
    }

    #[test]
    fn what_hosts_came_to_is_weighed() {
        let waits = Outcome::Waits {
            until: now(),
            why: reply(),
        };
        let [for_now, for_good, together] = [
            Outcome::Temporary(reply()),
            Outcome::Permanent(reply()),
            Outcome::Together {
                reply: reply(),
                together: 2,
            },
        ];
        let back = Outcome::GivenBack;
        for (asked, expected) in [
            (vec![&for_good, &for_good], &for_good),
            (vec![&for_good, &for_now], &for_now),
            (vec![&for_now, &for_good], &for_now),
            (vec![&together, &for_now], &together),
            (vec![&together, &for_good], &together),
            // A host that waits may take what another refuses.
            (vec![&waits, &for_good], &waits),
            (vec![&for_now, &waits], &waits),
            (vec![&together, &waits], &together),
            // Stopped before the others were asked.
            (vec![&for_good, &back], &back),
            (vec![&waits, &back], &back),
        ] {
            let asked: Vec<Outcome> = asked.into_iter().cloned().collect();
            assert_eq!(all(&asked).as_ref(), Some(expected), "{asked:?}");
        }
        assert_eq!(all(&[]), None);
    }
}
