//! A client's end of a connection that is compressed (RFC 4978), as usual clients do it: one stream either
//! way, whose dictionary goes on from piece to piece.

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};

pub(crate) struct Deflated {
    out: Box<CompressorOxide>,
    input: Box<InflateState>,
}

impl Deflated {
    pub(crate) fn new() -> Self {
        let flags = create_comp_flags_from_zip_params(9, -15, 0);
        Self {
            out: Box::new(CompressorOxide::new(flags)),
            input: InflateState::new_boxed(DataFormat::Raw),
        }
    }

    /// What goes over the connection.
    pub(crate) fn write(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut room = vec![0; plain.len() * 2 + 1_000];
        let done = deflate(&mut self.out, plain, &mut room, MZFlush::Sync);
        assert_eq!(done.bytes_consumed, plain.len());
        assert!(done.bytes_written < room.len());
        room.truncate(done.bytes_written);
        room
    }

    /// What came over it.
    pub(crate) fn read(&mut self, octets: &[u8]) -> Vec<u8> {
        let (mut plain, mut at) = (Vec::new(), 0);
        loop {
            let mut room = [0; 10_000];
            let done = inflate(&mut self.input, &octets[at..], &mut room, MZFlush::None);
            at += done.bytes_consumed;
            plain.extend_from_slice(&room[..done.bytes_written]);
            if done.bytes_written < room.len() && at == octets.len() {
                return plain;
            }
            let progress = done.bytes_consumed + done.bytes_written;
            assert!(progress > 0, "{:?}", done.status);
        }
    }
}
