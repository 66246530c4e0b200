//! `BODY[section]` of every part of every corpus message against what Dovecot 2.3.19 sent.
//!
//! Each line of `sections.txt`: message, section, length, FNV-1a hash of the bytes.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use tern_mime::{ParsedMessage, Part, parse, section};

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn bytes_of<'a>(message: &ParsedMessage, bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (path, item) = match name.rsplit_once('.') {
        Some((path, item)) if item.parse::<u32>().is_err() => (path, item),
        None if name.parse::<u32>().is_err() => ("", name),
        _ => (name, ""),
    };
    let path: Vec<u32> = path
        .split('.')
        .filter_map(|number| number.parse().ok())
        .collect();
    let section = section(message, &path)?;
    let range = match item {
        "" => section.whole,
        "MIME" => section.mime?,
        "HEADER" => section.header?,
        "TEXT" => section.text?,
        other => panic!("{other}"),
    };
    Some(&bytes[range.start as usize..range.end as usize])
}

/// Every section name of a message.
fn names(message: &ParsedMessage) -> Vec<String> {
    fn walk(message: &ParsedMessage, path: &mut Vec<u32>, out: &mut Vec<String>) {
        for number in 1.. {
            path.push(number);
            let Some(found) = section(message, path) else {
                path.pop();
                return;
            };
            let name = path
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(".");
            out.push(name.clone());
            out.push(format!("{name}.MIME"));
            if found.header.is_some() {
                out.push(format!("{name}.HEADER"));
                out.push(format!("{name}.TEXT"));
            }
            // A part that is no container ends the numbers here.
            let container: &Part = found.part;
            if !container.children().is_empty() {
                walk(message, path, out);
            }
            path.pop();
        }
    }
    let mut out = vec![String::new(), "HEADER".to_owned(), "TEXT".to_owned()];
    walk(message, &mut Vec::new(), &mut out);
    out
}

/// A nested message whose header runs into the boundary: Dovecot leaves the last line end out of
/// the HEADER but counts it in the size of the part; here both hold it.
const DIFFERENT: [(&str, &str); 1] = [("attachment_message_rfc822_inline_image.eml", "2.HEADER")];

#[test]
fn sends_the_bytes_that_dovecot_sends() {
    let messages = common::corpus();
    let mut wrong = Vec::new();
    let mut lines = 0;
    for line in include_str!("sections.txt").lines() {
        let [file, name, length, hash] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("four fields: {line}")
        };
        let (_, bytes) = messages.iter().find(|(name, _)| name == file).unwrap();
        let ours = bytes_of(&parse(bytes), bytes, name);
        let ours = ours.map_or("NIL".to_owned(), |ours| {
            format!("{}|{:016x}", ours.len(), fnv1a(ours))
        });
        if (ours != format!("{length}|{hash}")) != DIFFERENT.contains(&(file, name)) {
            wrong.push(format!("{line} have {ours}"));
        }
        lines += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines > 500, "the table is there");
}

#[test]
fn the_table_names_every_section() {
    let table = include_str!("sections.txt");
    for (file, bytes) in common::corpus() {
        for name in names(&parse(&bytes)) {
            if std::env::var_os("TERN_PRINT_SECTIONS").is_some() {
                println!("{file}|{name}|");
            } else {
                assert!(table.contains(&format!("{file}|{name}|")), "{file} {name}");
            }
        }
    }
}
