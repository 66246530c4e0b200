//! The framer and the parser of IMAP: any octets, cut anywhere.
//!
//! The first octet chooses the limits and how the rest is cut. Promises: the frames do not depend
//! on the cut, a literal that is refused is not held, and what parses means the same under another
//! tag and another case of the verb.

use bytes::Bytes;
use tern_imap::command::{Command, CommandBody};
use tern_imap::frame::{Frame, Framer};
use tern_imap::limits::{FrameLimits, MAX_LINE};
use tern_imap::parse::parse;

pub(crate) fn run(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    let limits = match choice & 1 {
        0 => FrameLimits::before_authentication(),
        _ => FrameLimits::authenticated(100_000),
    };
    let size = usize::from(choice >> 2) * 5 + 1;
    let whole = frames(rest, usize::MAX, limits);
    assert_eq!(frames(rest, size, limits), whole, "cut by {size}");
    let utf8 = choice & 2 != 0;
    for frame in &whole {
        if let Frame::Command(bytes) = frame {
            assert!(bytes.len() <= MAX_LINE + 1_000_000);
            command(bytes, utf8);
        }
    }
    // Straight into the parser, also what no framer would let through.
    command(&Bytes::copy_from_slice(rest), utf8);
}

fn frames(input: &[u8], size: usize, limits: FrameLimits) -> Vec<Frame> {
    let mut framer = Framer::new(limits);
    let mut frames = Vec::new();
    for piece in input.chunks(size) {
        framer.receive(piece);
        while let Some(frame) = framer.next_frame() {
            if let Frame::Reserve(octets) = frame {
                framer.reserved(octets % 3 > 0);
            }
            frames.push(frame);
        }
        assert!(
            !framer.has_work(),
            "a framer that found nothing has no work"
        );
    }
    frames
}

fn command(frame: &Bytes, utf8: bool) {
    let Ok(Command { tag, body }) = parse(frame, utf8) else {
        return;
    };
    let rest = frame.get(tag.as_str().len()..).unwrap_or_default();
    let mut renamed = b"z.9".to_vec();
    renamed.extend_from_slice(rest);
    // The verb; the arguments keep their case.
    let verb = rest
        .iter()
        .skip(1)
        .take_while(|byte| byte.is_ascii_alphabetic());
    let end = 3 + 1 + verb.count();
    if let Some(verb) = renamed.get_mut(4..end) {
        verb.make_ascii_lowercase();
    }
    let again = parse(&Bytes::from(renamed), utf8);
    let again = again.map(|command| command.body);
    assert_eq!(again.as_ref(), Ok(&body));
    sets(&body);
}

/// A set means the same numbers resolved and asked one by one.
fn sets(body: &CommandBody) {
    let set = match body {
        CommandBody::Fetch(fetch) => &fetch.set,
        CommandBody::Store(store) => &store.set,
        _ => return,
    };
    let tern_imap::sequence::MessageSet::Ranges(set) = set else {
        return;
    };
    for largest in [0, 1, 7, u32::MAX] {
        let (ranges, numbers) = (set.resolve(largest), set.numbers(largest));
        assert!(
            ranges.windows(2).all(|pair| pair[0].1 < pair[1].0),
            "{ranges:?}"
        );
        for (first, last) in ranges {
            assert!(first <= last);
            for number in [first, last] {
                let place = numbers.place_of(number);
                assert_eq!(place.and_then(|place| numbers.at(place)), Some(number));
            }
        }
    }
}
