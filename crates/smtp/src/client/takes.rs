//! What a server takes in one session: as it says (RFC 9422), and as it has shown.
//!
//! Invariant: of each message one recipient at least is named. Refuses to remember anything beyond the
//! session.

use super::extensions::Extensions;

/// What was seen in this session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Takes {
    /// Messages that were begun.
    messages: u32,
    /// The fewest recipients behind which it said that there are too many.
    recipients: Option<usize>,
}

impl Takes {
    /// Most recipients of the next message.
    pub(super) fn recipients(&self, offered: &Extensions) -> usize {
        let said = offered.max_recipients.map(|most| most as usize);
        let most = [said, self.recipients].into_iter().flatten().min();
        most.unwrap_or(usize::MAX).max(1)
    }

    /// Whether it takes another message.
    pub(super) fn another(&self, offered: &Extensions) -> bool {
        let most = offered.max_messages;
        most.is_none_or(|most| self.messages < most)
    }

    pub(super) fn note_message(&mut self) {
        self.messages = self.messages.saturating_add(1);
    }

    /// So many were taken before it said that there are too many.
    pub(super) fn note_recipients(&mut self, taken: Option<usize>) {
        self.recipients = [taken, self.recipients].into_iter().flatten().min();
    }
}
