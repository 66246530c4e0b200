//! The envelope of a message (RFC 9051 7.5.2 ENVELOPE).
//!
//! Invariant: values are raw (encoded words and 8-bit bytes stay) and unfolded. Sender and
//! Reply-To are From where they are absent or empty.

use crate::address::{Address, parse_addresses};
use crate::header::{HeaderField, unfold};

/// The fields of ENVELOPE in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope<B = Vec<u8>> {
    /// Date, as written.
    pub date: Option<B>,
    /// Subject, encoded words kept.
    pub subject: Option<B>,
    /// From.
    pub from: Option<Vec<Address<B>>>,
    /// Sender, or From.
    pub sender: Option<Vec<Address<B>>>,
    /// Reply-To, or From.
    pub reply_to: Option<Vec<Address<B>>>,
    /// To.
    pub to: Option<Vec<Address<B>>>,
    /// Cc.
    pub cc: Option<Vec<Address<B>>>,
    /// Bcc.
    pub bcc: Option<Vec<Address<B>>>,
    /// In-Reply-To, as written.
    pub in_reply_to: Option<B>,
    /// Message-ID, as written.
    pub message_id: Option<B>,
}

impl Envelope {
    /// Takes in one header field. Several fields of one address list count as one list; of a text
    /// field the last counts (as in Dovecot, and in RFC 8621 4.1.3). `budget` is what is left of
    /// [`crate::limits::MAX_ADDRESSES`].
    pub(crate) fn field(&mut self, field: &HeaderField<'_>, budget: &mut usize) {
        let list = match field.name.len() {
            2 if field.is("to") => &mut self.to,
            2 if field.is("cc") => &mut self.cc,
            3 if field.is("bcc") => &mut self.bcc,
            4 if field.is("from") => &mut self.from,
            6 if field.is("sender") => &mut self.sender,
            8 if field.is("reply-to") => &mut self.reply_to,
            4 if field.is("date") => return text(&mut self.date, field.value),
            7 if field.is("subject") => return text(&mut self.subject, field.value),
            11 if field.is("in-reply-to") => return text(&mut self.in_reply_to, field.value),
            10 if field.is("message-id") => return text(&mut self.message_id, field.value),
            _ => return,
        };
        parse_addresses(field.value, list.get_or_insert_default(), budget);
    }

    /// Settles what depends on other fields, once all have been seen.
    pub(crate) fn finish(mut self) -> Self {
        let lists = [
            &mut self.from,
            &mut self.sender,
            &mut self.reply_to,
            &mut self.to,
            &mut self.cc,
            &mut self.bcc,
        ];
        for list in lists {
            if list.as_ref().is_some_and(Vec::is_empty) {
                *list = None;
            }
        }
        // RFC 9051 7.5.2: the server sets these to the value of From.
        if self.sender.is_none() {
            self.sender.clone_from(&self.from);
        }
        if self.reply_to.is_none() {
            self.reply_to.clone_from(&self.from);
        }
        self
    }
}

fn text(slot: &mut Option<Vec<u8>>, raw: &[u8]) {
    *slot = Some(unfold(raw));
}
