//! imap-codec as an oracle, and random input: what it accepts we accept, and nothing panics.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use bytes::Bytes;
use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use proptest::prelude::*;
use tern_imap::frame::Framer;
use tern_imap::limits::FrameLimits;
use tern_imap::parse::{Reason, parse};

const DATA: &str = include_str!("data/commands.txt");

fn rows() -> Vec<String> {
    let inputs = DATA.lines().filter_map(|line| line.strip_prefix("> "));
    inputs
        .filter(|line| !line.contains("\\x"))
        .map(|line| line.replace("\\r", "\r").replace("\\n", "\n"))
        .collect()
}

/// Verbs of the oracle that we have not.
const NOT_OURS: [&str; 4] = ["SETQUOTA", "COMPRESS", "GETMETADATA", "SETMETADATA"];

/// What we refuse on purpose though the oracle's grammar takes it.
fn refused_on_purpose(reason: &str) -> bool {
    [
        // `\Frob` can't be set (RFC 9051 2.3.2); names have to be modified UTF-7; only two
        // character sets; unknown ENABLE names and VANISHED without UID are by the RFC text.
        "Invalid flag",
        "Invalid mailbox name: modified UTF-7 (RFC 3501 5.1.3) expected",
        "Character set not supported",
        "Unknown option or parameter",
        "Invalid date or time",
        "Text is not UTF-8",
        // `*` in what a client knows (RFC 7162 3.2.5).
        "Invalid sequence set",
    ]
    .contains(&reason)
}

/// Whether the oracle takes the command, with its own form of it.
fn oracle(command: &[u8]) -> Option<imap_codec::imap_types::command::Command<'static>> {
    use imap_codec::imap_types::IntoStatic;
    let mut line = command.to_vec();
    line.extend_from_slice(b"\r\n");
    match CommandCodec::default().decode(&line) {
        Ok(([], command)) => Some(command.into_static()),
        _ => None,
    }
}

fn compare(command: &[u8]) -> Result<(), String> {
    let Some(theirs) = oracle(command) else {
        return Ok(());
    };
    let name = theirs.name();
    if NOT_OURS.contains(&name) {
        return Ok(());
    }
    match parse(&Bytes::copy_from_slice(command), false) {
        Ok(ours) => {
            same(&theirs, &ours).map_err(|why| format!("{}: {why}", command.escape_ascii()))
        }
        Err(error) if refused_on_purpose(&error.reason.to_string()) => Ok(()),
        // RFC 9051 9: FETCH, STATUS and header lists name at least one item.
        Err(error) if error.reason == Reason::Missing && names_nothing(&theirs) => Ok(()),
        Err(error) => Err(format!("{}: {}", command.escape_ascii(), error.reason)),
    }
}

fn names_nothing(theirs: &imap_codec::imap_types::command::Command<'_>) -> bool {
    use imap_codec::imap_types::command::CommandBody as Theirs;
    use imap_codec::imap_types::fetch::MacroOrMessageDataItemNames as Names;
    match &theirs.body {
        Theirs::Status { item_names, .. } => item_names.is_empty(),
        Theirs::Fetch {
            macro_or_item_names: Names::MessageDataItemNames(names),
            ..
        } => names.is_empty(),
        _ => false,
    }
}

/// The same meaning, as far as both sides have words for it.
fn same(
    theirs: &imap_codec::imap_types::command::Command<'_>,
    ours: &tern_imap::command::Command,
) -> Result<(), String> {
    use imap_codec::imap_types::command::CommandBody as Theirs;
    use tern_imap::command::CommandBody as Ours;
    let check = |name: &str, theirs: String, ours: String| {
        if theirs == ours {
            Ok(())
        } else {
            Err(format!("{name}: {theirs} is not {ours}"))
        }
    };
    check(
        "tag",
        theirs.tag.inner().to_owned(),
        ours.tag.as_str().to_owned(),
    )?;
    match (&theirs.body, &ours.body) {
        (
            Theirs::Login { username, password },
            Ours::Login {
                username: u,
                password: p,
            },
        ) => {
            check("user", text(username), u.clone())?;
            check("password", text(password.declassify()), p.0.clone())
        }
        (
            Theirs::Fetch {
                macro_or_item_names,
                uid,
                sequence_set,
                ..
            },
            Ours::Fetch(fetch),
        ) => {
            use imap_codec::imap_types::fetch::MacroOrMessageDataItemNames as Names;
            check("uid", uid.to_string(), fetch.uid.to_string())?;
            check("set", set(sequence_set), format!("{:?}", fetch.set))?;
            match macro_or_item_names {
                Names::MessageDataItemNames(names) => check(
                    "items",
                    names.len().to_string(),
                    fetch.items.len().to_string(),
                ),
                Names::Macro(_) => Ok(()),
            }
        }
        (
            Theirs::Store {
                sequence_set,
                flags,
                uid,
                ..
            },
            Ours::Store(store),
        ) => {
            check("uid", uid.to_string(), store.uid.to_string())?;
            check("set", set(sequence_set), format!("{:?}", store.set))?;
            let theirs: Vec<_> = flags.iter().map(ToString::to_string).collect();
            let ours: Vec<_> = store
                .flags
                .iter()
                .map(|flag| flag.as_str().to_owned())
                .collect();
            check("flags", theirs.join(" "), ours.join(" "))
        }
        (
            Theirs::Copy {
                sequence_set, uid, ..
            },
            Ours::Copy(copy),
        )
        | (
            Theirs::Move {
                sequence_set, uid, ..
            },
            Ours::Copy(copy),
        ) => {
            check("uid", uid.to_string(), copy.uid.to_string())?;
            check("set", set(sequence_set), format!("{:?}", copy.set))
        }
        (Theirs::Status { item_names, .. }, Ours::Status { items, .. }) => check(
            "items",
            item_names.len().to_string(),
            items.len().to_string(),
        ),
        (Theirs::Append { flags, message, .. }, Ours::Append(append)) => {
            let [one] = append.messages.as_slice() else {
                return Err("messages".to_owned());
            };
            use imap_codec::imap_types::extensions::binary::LiteralOrLiteral8 as Either;
            let content = match message {
                Either::Literal(literal) => literal.data(),
                Either::Literal8(literal) => literal.data.as_ref(),
            };
            check(
                "content",
                content.escape_ascii().to_string(),
                one.content.escape_ascii().to_string(),
            )?;
            check(
                "flags",
                flags.len().to_string(),
                one.flags.len().to_string(),
            )
        }
        (Theirs::Search { uid, .. }, Ours::Search(search)) => {
            check("uid", uid.to_string(), search.uid.to_string())
        }
        // For the rest the verb has to be the same.
        (theirs, ours) => {
            let verb = |debug: String| {
                let end = debug
                    .find(|c: char| !c.is_ascii_alphanumeric())
                    .unwrap_or(debug.len());
                debug.get(..end).unwrap_or_default().to_ascii_uppercase()
            };
            let (theirs, ours) = (theirs.name().to_owned(), verb(format!("{ours:?}")));
            let known = matches!(
                (theirs.as_str(), ours.as_str()),
                ("EXAMINE", "SELECT") | ("UID", _) | ("MOVE", "COPY")
            );
            if known {
                Ok(())
            } else {
                check("verb", theirs, ours)
            }
        }
    }
}

fn text(theirs: &imap_codec::imap_types::core::AString<'_>) -> String {
    String::from_utf8_lossy(theirs.as_ref()).into_owned()
}

/// The oracle's set in our notation. It may have put the ends of a range in order.
fn set(theirs: &imap_codec::imap_types::sequence::SequenceSet) -> String {
    use imap_codec::imap_types::sequence::{SeqOrUid, Sequence};
    let one = |number: &SeqOrUid| match number {
        SeqOrUid::Value(value) => value.to_string(),
        SeqOrUid::Asterisk => "*".to_owned(),
    };
    let ranges = theirs.0.as_ref().iter().map(|sequence| match sequence {
        Sequence::Single(number) => one(number),
        Sequence::Range(from, to) if from == to => one(from),
        Sequence::Range(from, to) => format!("{}:{}", one(from), one(to)),
    });
    ranges.collect::<Vec<_>>().join(",")
}

#[test]
fn the_corpus_agrees_with_the_oracle() {
    let rows = rows();
    let known = rows
        .iter()
        .filter(|row| oracle(row.as_bytes()).is_some())
        .count();
    assert!(known > 60, "the oracle knows {known} rows only");
    let wrong: Vec<_> = rows
        .iter()
        .filter_map(|row| compare(row.as_bytes()).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn feed(input: &[u8], chunk: usize) {
    let mut framer = Framer::new(FrameLimits {
        literal: 1000,
        append: 5000,
        discard: 2000,
    });
    for piece in input.chunks(chunk.max(1)) {
        framer.receive(piece);
        while let Some(frame) = framer.next_frame() {
            if let tern_imap::frame::Frame::Command(bytes) = frame {
                let _ = parse(&bytes, chunk.is_multiple_of(2));
            }
        }
    }
}

/// A row of the corpus with some octets changed, dropped or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let rows = rows();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..4);
    let pool = b" ()[]{}<>\"\\*%$,:.+-019aAlLnN\r\n\0\xe9~&/".to_vec();
    (prop::sample::select(rows), edits).prop_map(move |(row, edits)| {
        let mut bytes = row.into_bytes();
        for (index, value, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            let byte = pool[usize::from(value) % pool.len()];
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, bytes[at]),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_panic_on_any_octets(input in prop::collection::vec(any::<u8>(), 0..400), chunk in 1usize..50) {
        feed(&input, chunk);
        let _ = parse(&Bytes::from(input), chunk % 2 == 0);
    }

    #[test]
    fn no_panic_and_no_disagreement_on_mutated_commands(mut input in mutated(), chunk in 1usize..50) {
        let _ = parse(&Bytes::copy_from_slice(&input), false);
        let _ = parse(&Bytes::copy_from_slice(&input), true);
        compare(&input).map_err(TestCaseError::fail)?;
        input.extend_from_slice(b"\r\n");
        feed(&input, chunk);
    }
}
