//! The octets of a connection, compressed (RFC 4978, RFC 1951).
//!
//! Output is compressed piece by piece, each by itself: no piece points back into one before it. So a
//! session that waits holds nothing to compress with, and the length of a piece tells nothing of what was
//! in others. Input is decompressed piece by piece, as the session comes to it.
//!
//! Invariant: whatever is taken out ends at a whole octet and can be read as far as it goes; of what a peer
//! sends at most [`INFLATE_PIECE`] octets are held decompressed. Refuses octets behind the end of the peer's
//! stream.

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::limits::{INFLATE_PIECE, MAX_STORED};

/// How hard to try: the least, since what is long is mostly base64.
const LEVEL: i32 = 1;
/// Octets back of which there may be a reference; less than zero, since there is no zlib header.
const WINDOW_BITS: i32 = -15;

/// The peer's octets are no DEFLATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The input can't be decompressed")]
pub(crate) struct Broken;

/// Compresses a piece of output.
pub(crate) fn compressed(plain: &[u8]) -> Vec<u8> {
    if plain.is_empty() {
        return Vec::new();
    }
    match u16::try_from(plain.len()) {
        Ok(length) if plain.len() <= MAX_STORED => stored(plain, length),
        _ => flushed(plain),
    }
}

/// RFC 1951 3.2.4: what is too short to gain anything stands as it is.
fn stored(plain: &[u8], length: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + 5);
    out.push(0);
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend_from_slice(plain);
    out
}

fn flushed(plain: &[u8]) -> Vec<u8> {
    let flags = create_comp_flags_from_zip_params(LEVEL, WINDOW_BITS, 0);
    let mut compressor = Box::new(CompressorOxide::new(flags));
    let mut out = vec![0; plain.len() / 2 + 256];
    let (mut read, mut written) = (0, 0);
    loop {
        let rest = plain.get(read..).unwrap_or_default();
        let room = out.get_mut(written..).unwrap_or_default();
        let space = room.len();
        let done = deflate(&mut compressor, rest, room, MZFlush::Sync);
        read += done.bytes_consumed;
        written += done.bytes_written;
        // What leaves room has all been written (zlib's manual, `deflate`).
        if done.bytes_written < space {
            break;
        }
        out.resize(out.len() + plain.len() / 4 + 256, 0);
    }
    out.truncate(written);
    out
}

/// What the peer sends.
pub(crate) struct Inflater {
    state: Box<InflateState>,
    /// Octets that are not looked at yet: at most one read of the shell, and what was left of one.
    input: Vec<u8>,
    /// The octets of `input` that are done.
    read: usize,
    /// The last piece was full, so that there may be more of what was read.
    more: bool,
    ended: bool,
}

impl Inflater {
    /// At the beginning of the peer's stream.
    pub(crate) fn new() -> Self {
        Self {
            state: InflateState::new_boxed(DataFormat::Raw),
            input: Vec::new(),
            read: 0,
            more: false,
            ended: false,
        }
    }

    /// Takes octets from the peer.
    pub(crate) fn receive(&mut self, octets: &[u8]) {
        self.input.drain(..self.read);
        self.read = 0;
        self.input.extend_from_slice(octets);
    }

    /// Whether [`Inflater::piece`] may find something without more input.
    pub(crate) fn has_work(&self) -> bool {
        self.more || self.read < self.input.len()
    }

    /// The next octets; none where more input is needed.
    pub(crate) fn piece(&mut self) -> Result<Vec<u8>, Broken> {
        let rest = self.input.get(self.read..).unwrap_or_default();
        if self.ended {
            return if rest.is_empty() {
                Ok(Vec::new())
            } else {
                Err(Broken)
            };
        }
        let mut out = vec![0; INFLATE_PIECE];
        let done = inflate(&mut self.state, rest, &mut out, MZFlush::None);
        match done.status {
            Ok(MZStatus::Ok) => {}
            Ok(MZStatus::StreamEnd) => self.ended = true,
            // Nothing could be done: there is no more input, and nothing is left of what was.
            Err(MZError::Buf) if done.bytes_consumed == rest.len() => {}
            Ok(MZStatus::NeedDict) | Err(_) => return Err(Broken),
        }
        self.read += done.bytes_consumed;
        self.more = done.bytes_written == out.len() && !self.ended;
        out.truncate(done.bytes_written);
        if self.read == self.input.len() {
            // A session that waits holds no buffer.
            (self.input, self.read) = (Vec::new(), 0);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a peer reads of it.
    fn read(inflater: &mut Inflater, octets: &[u8], chunk: usize) -> Result<Vec<u8>, Broken> {
        let mut out = Vec::new();
        for piece in octets.chunks(chunk) {
            inflater.receive(piece);
            while inflater.has_work() {
                let piece = inflater.piece()?;
                assert!(piece.len() <= INFLATE_PIECE);
                out.extend(piece);
            }
        }
        Ok(out)
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_is_written_is_read_whatever_it_is_and_in_whatever_pieces() {
        let text = b"* 1 FETCH (FLAGS (\\Seen))\r\n".repeat(20_000);
        let pieces: [&[u8]; 9] = [
            b"* OK\r\n",
            &text,
            b"",
            &[0; 300_000],
            &noise(200_000),
            &noise(MAX_STORED),
            &noise(MAX_STORED + 1),
            b"x",
            &text,
        ];
        for chunk in [1, 7, 1_000, usize::MAX] {
            let mut inflater = Inflater::new();
            for plain in pieces {
                let octets = compressed(plain);
                assert!(octets.len() <= plain.len() + plain.len() / 100 + 64);
                // Each can be read whole as soon as it is there.
                assert!(read(&mut inflater, &octets, chunk).as_deref() == Ok(plain));
            }
        }
        assert!(compressed(&text).len() < text.len() / 20);
    }

    #[test]
    fn little_becomes_much_only_a_piece_at_a_time() {
        let octets = compressed(&vec![0; 20 << 20]);
        assert!(octets.len() < 200_000);
        let mut inflater = Inflater::new();
        inflater.receive(&octets);
        let mut pieces = 0;
        while inflater.has_work() {
            assert!(inflater.piece().unwrap().len() <= INFLATE_PIECE);
            pieces += 1;
        }
        assert!(pieces >= (20 << 20) / INFLATE_PIECE);
    }

    #[test]
    fn what_is_no_deflate_is_refused_and_what_follows_its_end() {
        for wrong in [&b"\x07"[..], b"a NOOP\r\n", &[0, 1, 0, 1, 0, 9]] {
            assert_eq!(read(&mut Inflater::new(), wrong, 1), Err(Broken));
        }
        // A last block of three octets, and what comes behind it.
        let whole = [1, 3, 0, 0xfc, 0xff, b'a', b'b', b'c'];
        let mut inflater = Inflater::new();
        assert_eq!(read(&mut inflater, &whole, 3).unwrap(), b"abc");
        assert!(!inflater.has_work());
        assert_eq!(read(&mut inflater, b"x", 1), Err(Broken));
    }
}
