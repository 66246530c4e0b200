//! How a blob piece is stored: compressed once, by the committer itself, before the log.
//!
//! The log, the write buffer and the blob file then all hold the small form, and committers
//! compress in parallel; RocksDB would do it later, once more for every rewrite, on the threads
//! that flush.
//!
//! Layout: byte 0, then the piece as it is; or byte 1, the piece's length (u32 BE) and a
//! Zstandard frame (RFC 8878). Whichever is shorter.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tern_store::{StoreError, limits};
use zstd::bulk::{Compressor, Decompressor};

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// The fastest of the regular levels: mail is written once and mostly read once.
const LEVEL: i32 = 1;
/// Contexts kept for reuse, a number: about a megabyte each after a large piece.
const MAX_KEPT: usize = 8;

/// Compression contexts, kept because making one costs more than compressing a short mail.
#[derive(Default)]
pub(crate) struct Codec {
    compressors: Mutex<Vec<Compressor<'static>>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

impl Codec {
    /// The stored form of a piece.
    pub(crate) fn pack(&self, piece: &[u8]) -> Vec<u8> {
        self.compress(piece).unwrap_or_else(|| {
            let mut stored = Vec::with_capacity(1 + piece.len());
            stored.push(PLAIN);
            stored.extend_from_slice(piece);
            stored
        })
    }

    /// `None` when compression does not make the piece shorter.
    fn compress(&self, piece: &[u8]) -> Option<Vec<u8>> {
        let length = u32::try_from(piece.len()).ok()?;
        let kept = lock(&self.compressors).pop();
        let mut compressor = match kept {
            Some(compressor) => compressor,
            None => Compressor::new(LEVEL).ok()?,
        };
        let mut stored = vec![0; 5 + zstd::zstd_safe::compress_bound(piece.len())];
        let (head, frame) = stored.split_at_mut_checked(5)?;
        let done = compressor.compress_to_buffer(piece, frame);
        keep(&self.compressors, compressor);
        let written = done.ok().filter(|written| written + 4 < piece.len())?;
        let (kind, size) = head.split_first_mut()?;
        *kind = ZSTD;
        size.copy_from_slice(&length.to_be_bytes());
        stored.truncate(5 + written);
        Some(stored)
    }

    /// The piece of a stored form.
    pub(crate) fn unpack(&self, stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (kind, rest) = stored.split_first().ok_or(StoreError::Damaged)?;
        match *kind {
            PLAIN => Ok(rest.to_vec()),
            ZSTD => self.decompress(rest),
            _ => Err(StoreError::Damaged),
        }
    }

    fn decompress(&self, rest: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (size, frame) = rest.split_first_chunk().ok_or(StoreError::Damaged)?;
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
        if size > limits::BLOB_PIECE {
            return Err(StoreError::Damaged);
        }
        let kept = lock(&self.decompressors).pop();
        let mut decompressor = match kept {
            Some(decompressor) => decompressor,
            None => Decompressor::new().map_err(|error| StoreError::Engine(error.to_string()))?,
        };
        let done = decompressor.decompress(frame, size);
        keep(&self.decompressors, decompressor);
        match done {
            Ok(piece) if piece.len() == size => Ok(piece),
            _ => Err(StoreError::Damaged),
        }
    }
}

fn keep<T>(pool: &Mutex<Vec<T>>, context: T) {
    let mut pool = lock(pool);
    if pool.len() < MAX_KEPT {
        pool.push(context);
    }
}

/// Nothing panics while it holds a pool.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_and_are_never_much_longer() {
        let noise: Vec<u8> = (0..5000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let codec = Codec::default();
        let text = b"Received: from example.org by example.net\r\n".repeat(100);
        let cases = [
            (vec![], 1),
            (b"x".to_vec(), 2),
            (text, 200),
            (noise, 5001),
            (vec![7; limits::BLOB_PIECE], 200),
        ];
        for (piece, most) in cases {
            let stored = codec.pack(&piece);
            assert!(stored.len() <= most, "{} bytes", stored.len());
            assert_eq!(codec.unpack(&stored), Ok(piece));
        }
    }

    #[test]
    fn damage_is_named() {
        let codec = Codec::default();
        let mut long = codec.pack(&vec![7; 9000]);
        long[1..5].copy_from_slice(&9001u32.to_be_bytes());
        let mut huge = long.clone();
        huge[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
        let cut = codec.pack(&vec![7; 9000])[..8].to_vec();
        for stored in [vec![], vec![9], vec![1, 0, 0], long, huge, cut] {
            assert_eq!(codec.unpack(&stored), Err(StoreError::Damaged));
        }
    }
}
