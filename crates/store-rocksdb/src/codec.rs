//! How a blob piece is stored: compressed once, by the committer itself, before the log.
//!
//! The log, the write buffer and the blob file then all hold the small form, and committers
//! compress in parallel; RocksDB would do it later, once more for every rewrite, on the threads
//! that flush.
//!
//! Layout: byte 0, then the piece as it is; or byte 1, the piece's length (u32 BE) and a
//! Zstandard frame (RFC 8878); or byte 2, the length and an LZ4 block. The second and third only
//! where that is shorter. A short piece is an LZ4 block: reading it costs a sixth and writing it a
//! third, since a frame's tables of codes have to be made for each, for a quarter more room (0.54 in
//! place of 0.43 of the piece). The room of a store is in the long ones.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tern_store::{StoreError, limits};
use zstd::bulk::{Compressor, Decompressor};

/// Bytes before what was compressed: which way, and the piece's length.
const HEAD: usize = 5;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const LZ4: u8 = 2;
/// Longest piece that becomes an LZ4 block, in bytes.
const SHORT: usize = 16 << 10;
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
        let short = piece.len() <= SHORT;
        let packed = match short {
            true => compress_short(piece),
            false => self.compress(piece),
        };
        packed.unwrap_or_else(|| {
            let mut stored = Vec::with_capacity(1 + piece.len());
            stored.push(PLAIN);
            stored.extend_from_slice(piece);
            stored
        })
    }

    /// `None` when compression does not make the piece shorter.
    fn compress(&self, piece: &[u8]) -> Option<Vec<u8>> {
        let kept = lock(&self.compressors).pop();
        let mut compressor = match kept {
            Some(compressor) => compressor,
            None => Compressor::new(LEVEL).ok()?,
        };
        let bound = zstd::zstd_safe::compress_bound(piece.len());
        let stored = headed(ZSTD, piece, bound, |frame| {
            compressor.compress_to_buffer(piece, frame)
        });
        keep(&self.compressors, compressor);
        stored
    }

    /// The piece of a stored form.
    pub(crate) fn unpack(&self, stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (kind, rest) = stored.split_first().ok_or(StoreError::Damaged)?;
        match *kind {
            PLAIN => Ok(rest.to_vec()),
            ZSTD => self.decompress(rest),
            LZ4 => decompress_short(rest),
            _ => Err(StoreError::Damaged),
        }
    }

    fn decompress(&self, rest: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (size, frame) = sized(rest, limits::BLOB_PIECE)?;
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

/// The stored form with the compressed piece that `compress` writes; `None` when it is no shorter.
fn headed(
    kind: u8,
    piece: &[u8],
    bound: usize,
    compress: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> Option<Vec<u8>> {
    let length = u32::try_from(piece.len()).ok()?;
    let mut stored = vec![0; HEAD + bound];
    let (head, rest) = stored.split_at_mut_checked(HEAD)?;
    let written = compress(rest).ok()?;
    let (first, size) = head.split_first_mut()?;
    *first = kind;
    size.copy_from_slice(&length.to_be_bytes());
    stored.truncate(HEAD + written);
    (stored.len() <= piece.len()).then_some(stored)
}

/// The length of a piece that was compressed, and what it became.
fn sized(rest: &[u8], most: usize) -> Result<(usize, &[u8]), StoreError> {
    let (size, compressed) = rest.split_first_chunk().ok_or(StoreError::Damaged)?;
    let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
    match size <= most {
        true => Ok((size, compressed)),
        false => Err(StoreError::Damaged),
    }
}

fn compress_short(piece: &[u8]) -> Option<Vec<u8>> {
    let bound = lz4::block::compress_bound(piece.len()).ok()?;
    headed(LZ4, piece, bound, |block| {
        lz4::block::compress_to_buffer(piece, None, false, block)
    })
}

fn decompress_short(rest: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (size, block) = sized(rest, SHORT)?;
    let mut piece = vec![0; size];
    let length = i32::try_from(size).map_err(|_| StoreError::Damaged)?;
    match lz4::block::decompress_to_buffer(block, Some(length), &mut piece) {
        Ok(written) if written == size => Ok(piece),
        _ => Err(StoreError::Damaged),
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
            (vec![7; SHORT], 200),
            (vec![7; SHORT + 1], 200),
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
        let named = |stored: &[u8]| assert_eq!(codec.unpack(stored), Err(StoreError::Damaged));
        for (length, kind) in [(9_000, LZ4), (90_000, ZSTD)] {
            let stored = codec.pack(&vec![7; length as usize]);
            assert_eq!(stored[0], kind);
            for wrong in [length - 1, length + 1, u32::MAX] {
                let mut stored = stored.clone();
                stored[1..5].copy_from_slice(&wrong.to_be_bytes());
                named(&stored);
            }
            named(&stored[..3]);
            named(&stored[..8]);
        }
        named(&[]);
        named(&[9]);
    }
}
