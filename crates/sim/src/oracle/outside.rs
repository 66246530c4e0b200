//! What left for other servers, and what was promised of it.

use tern_base::OriginId;
use tern_mailbox::Carriage;
use tern_queue::{QueueId, Status};
use tern_recall::{returned, token};

use super::{Arrival, Oracle};
use crate::server::{CONTENT_KEY, TOKEN_KEY};

impl Oracle {
    /// Every outside recipient of an acknowledged letter is in the queue or its history.
    pub(super) fn check_queued(&mut self, origin: OriginId, arrival: &Arrival) {
        let items = tern_queue::by_origin(&self.observer.mem, origin).unwrap_or_default();
        let recipients: Vec<String> = items
            .iter()
            .map(|status| match status {
                Status::Live(item) => item.recipient.canonical(),
                Status::Finished(row) => row.recipient.canonical(),
            })
            .collect();
        for address in &arrival.outside {
            let count = recipients.iter().filter(|r| *r == address).count();
            if count != 1 {
                self.broke(format!(
                    "letter {} was acknowledged as {origin} and is in the queue {count} times \
                     for {address}",
                    arrival.letter
                ));
            }
        }
    }

    /// The queue handed a message to the relay for one attempt: a letter, or what tells of one and may
    /// have it inside.
    pub(crate) fn handed_to_relay(&mut self, item: QueueId, origin: OriginId, content: &[u8]) {
        let digest = tern_mime::content_digest(&CONTENT_KEY, content);
        let message = tern_mime::parse(content);
        let mut inner = Vec::new();
        tern_mime::each_nested(&CONTENT_KEY, &message, content, |digest, octets| {
            let token = tern_mime::header_value(octets, token::HEADER);
            let token = token.map(|text| String::from_utf8_lossy(text.trim_ascii()).into_owned());
            let tokens = Vec::from_iter(token);
            let of = returned::sent_by(&TOKEN_KEY, &tokens, digest);
            inner.push((digest, Some(Carriage::Attached(of))));
        });
        let number = item.number_in(origin);
        let letters = std::iter::once((digest, None)).chain(inner);
        let covering = letters.flat_map(|(digest, carriage)| {
            let seals = self.seals.get(&digest).into_iter().flatten();
            seals.filter(move |seal| seal.covers_outside(origin, number, carriage))
        });
        let tags: Vec<_> = covering.map(|seal| seal.tag).collect();
        for tag in tags {
            let letter = self.by_digest.get(&digest);
            self.broke(format!(
                "letter {letter:?} was handed to the relay under seal {}",
                tern_recall::RecallId(tag.0)
            ));
        }
    }

    /// A remote server has the whole message; `sure` when this server was told so.
    pub(crate) fn taken_outside(&mut self, origin: OriginId, recipient: &str, sure: bool) {
        let known = self
            .taken
            .entry((origin, recipient.to_owned()))
            .or_default();
        *known |= sure;
    }

    pub(super) fn was_taken(&self, origin: OriginId, recipient: &str) -> bool {
        self.taken.contains_key(&(origin, recipient.to_owned()))
    }
}
