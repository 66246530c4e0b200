//! COMPRESS (RFC 4978): from its answer on, whatever goes either way is compressed.
//!
//! Invariant: the answer itself goes as everything before it did; the framer gets what was decompressed only
//! when it has nothing left to look at.

use tern_session::Step;

use super::Session;
use crate::command::Tag;
use crate::deflate::{Inflater, compressed};
use crate::respond::status::{CodeName, Condition};

/// A connection that is compressed.
pub(super) struct Compression {
    /// Output from before it was.
    before: Vec<u8>,
    input: Inflater,
}

impl Compression {
    pub(super) fn receive(&mut self, octets: &[u8]) {
        self.input.receive(octets);
    }

    /// Whether there is input to be decompressed.
    pub(super) fn has_work(&self) -> bool {
        self.input.has_work()
    }

    /// Whether output from before it is still to go.
    pub(super) fn has_output(&self) -> bool {
        !self.before.is_empty()
    }

    /// What goes over the connection for `plain`.
    pub(super) fn output(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.before);
        out.extend(compressed(plain));
        out
    }
}

impl Session {
    /// Whether COMPRESS is offered.
    pub(super) fn may_compress(&self) -> bool {
        self.settings.compress && self.compression.is_none()
    }

    /// RFC 4978 3.
    pub(super) fn compress(&mut self, tag: &Tag, mechanism: &str) -> Step {
        if self.compression.is_some() {
            let code = Some(CodeName::CompressionActive.into());
            let text = "Compression is on already";
            self.out.tagged(tag, Condition::No, code, text);
            return Step::Continue;
        }
        if !self.settings.compress || mechanism != "DEFLATE" {
            let code = Some(CodeName::Cannot.into());
            self.out
                .tagged(tag, Condition::No, code, "No such compression");
            return Step::Continue;
        }
        self.ok(tag, "Compression is on from here");
        let mut input = Inflater::new();
        // What came behind the command is compressed already.
        input.receive(&self.framer.take_input());
        self.compression = Some(Box::new(Compression {
            before: self.out.take(),
            input,
        }));
        Step::Continue
    }

    /// Decompresses a piece of input, if there is any.
    pub(super) fn decompress(&mut self) -> Option<Step> {
        let compression = self.compression.as_mut()?;
        if !compression.has_work() {
            return None;
        }
        match compression.input.piece() {
            Ok(piece) => self.framer.receive(&piece),
            Err(broken) => {
                self.bye(None, &broken.to_string());
                return Some(Step::Close);
            }
        }
        Some(Step::Continue)
    }
}
