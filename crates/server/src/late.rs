//! Copies that a seal stopped on their way in: reported to one worker, which brings the reports of
//! what was taken back up to date.

use std::sync::mpsc::Sender;

use tern_mailbox::SealTag;

/// Where sessions and workers say on whose behalf a late copy was stopped.
#[derive(Clone, Debug)]
pub(crate) struct Late(Sender<SealTag>);

impl Late {
    pub(crate) fn new(sender: Sender<SealTag>) -> Self {
        Self(sender)
    }

    pub(crate) fn report(&self, tags: &[SealTag]) {
        for tag in tags {
            // Nobody listens any more only when the server stops; the next start looks anyway.
            let _ = self.0.send(*tag);
        }
    }
}
