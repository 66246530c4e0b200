//! Transcripts as tests: every file of `tests/transcripts` holds cases, every case is played
//! whole, octet by octet and cut at random, and must give the same replies each time.
//!
//! A case begins with `== title`. Its lines:
//! - `! word…` sets up: `submission`, `tls`, `memory N`, `whole` (don't cut: the case is about
//!   what one read holds), or `option = value` for an option of the settings.
//! - `C: text` the client sends the line and CRLF; `R: text` it sends just that. `\r \n \0 \xHH
//!   \\` are octets, `{x*600}` repeats.
//! - `A: timeout`, `A: shutdown` and `A: revoke` are the shell's doings.
//! - `S: text` the server replies; `S: <close>` and it closes.
//! - `E:` the envelope of a message accepted, `M:` its content, `V:` an event; each is compared
//!   where a group names at least one of its kind.
//!
//! With `UPDATE_TRANSCRIPTS=1` the files are rewritten with what really came; read the diff.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;

use tern_base::{Entropy, SeededEntropy};
use tern_session::{Budget, Ending, Protocol as _};
use tern_smtp::testing::{Rig, is_reply_lines};
use tern_smtp::{Arrival, BareNewline, Notify, Role, Settings};

#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    Octets,
    Random(u64),
}

/// One case: its lines as written, title excluded.
struct Case<'a> {
    title: &'a str,
    lines: Vec<&'a str>,
}

fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            cases.push(Case {
                title,
                lines: Vec::new(),
            });
        } else if let Some(case) = cases.last_mut() {
            case.lines.push(line);
        }
    }
    cases
}

fn rig(case: &Case<'_>) -> (Rig, bool) {
    let (mut role, mut tls, mut whole, mut memory) = (Role::Reception, false, false, u64::MAX);
    let mut settings = Settings {
        hostname: "mx.example.org".to_owned(),
        ..Settings::default()
    };
    for line in case.lines.iter().filter_map(|line| line.strip_prefix("! ")) {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["submission"] => role = Role::Submission,
            ["tls"] => tls = true,
            ["whole"] => whole = true,
            ["memory", n] => memory = n.parse().unwrap(),
            [option, "=", value] => set(&mut settings, option, value),
            other => panic!("{}: {other:?}", case.title),
        }
    }
    let mut rig = Rig::new(settings, role, tls);
    rig.verbs.memory = Budget::new(memory);
    (rig, whole)
}

fn set(settings: &mut Settings, option: &str, value: &str) {
    let number = || value.parse().unwrap();
    match option {
        "max_message_size" => settings.max_message_size = value.parse().unwrap(),
        "max_recipients_reception" => settings.max_recipients_reception = number(),
        "max_recipients_submission" => settings.max_recipients_submission = number(),
        "max_recipients_null_sender" => settings.max_recipients_null_sender = number(),
        "max_messages" => settings.max_messages = number(),
        "max_hops" => settings.max_hops = number(),
        "max_errors" => settings.max_errors = number(),
        "max_refused_recipients" => settings.max_refused_recipients = number(),
        "bare_newline" => {
            assert_eq!(value, "normalise");
            settings.bare_newline = BareNewline::Normalise;
        }
        "starttls" => settings.starttls = value == "true",
        "submission_requires_tls" => settings.submission_requires_tls = value == "true",
        "auth_without_tls" => settings.auth_without_tls = value == "true",
        other => panic!("no such option: {other}"),
    }
}

/// The octets of a `C:` or `R:` text.
fn octets(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escape = rest.chars().next().unwrap();
                rest = &rest[1..];
                out.push(match escape {
                    'r' => b'\r',
                    'n' => b'\n',
                    '0' => 0,
                    '\\' => b'\\',
                    'x' => {
                        let (hex, after) = rest.split_at(2);
                        rest = after;
                        u8::from_str_radix(hex, 16).unwrap()
                    }
                    other => panic!("escape {other}"),
                });
            }
            '{' => {
                let (inner, after) = rest.split_once('}').unwrap();
                let (what, count) = inner.split_once('*').unwrap();
                out.extend(octets(what).repeat(count.parse().unwrap()));
                rest = after;
            }
            other => out.extend(other.to_string().bytes()),
        }
    }
    out
}

fn feed(rig: &mut Rig, bytes: &[u8], cut: Cut) -> Vec<u8> {
    let mut entropy = SeededEntropy::new(match cut {
        Cut::Random(seed) => seed,
        _ => 0,
    });
    let (mut output, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let size = match cut {
            Cut::Whole => rest.len(),
            Cut::Octets => 1,
            Cut::Random(_) => 1 + entropy.below(40) as usize,
        };
        let (piece, after) = rest.split_at(size.min(rest.len()));
        output.extend(rig.feed(piece));
        rest = after;
    }
    output
}

fn envelope(arrival: &Arrival) -> String {
    let e = &arrival.envelope;
    let mut out = format!(
        "<{}>",
        e.mail_from
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    );
    for r in &e.recipients {
        let _ = write!(out, " <{}>", r.address);
        match r.notify {
            None => {}
            Some(Notify::Never) => out.push_str(" NEVER"),
            Some(Notify::On {
                success,
                failure,
                delay,
            }) => {
                let words = [
                    (success, " SUCCESS"),
                    (failure, " FAILURE"),
                    (delay, " DELAY"),
                ];
                out.extend(words.iter().filter(|(on, _)| *on).map(|(_, word)| *word));
            }
        }
        if let Some(o) = &r.orcpt {
            let _ = write!(out, " ORCPT={};{}", o.kind, o.address);
        }
    }
    let _ = write!(out, "; {}", e.body.as_str());
    if e.smtputf8 {
        out.push_str("; SMTPUTF8");
    }
    if let Some(ret) = e.ret {
        let _ = write!(out, "; RET={ret:?}");
    }
    if let Some(envid) = &e.envid {
        let _ = write!(out, "; ENVID={envid}");
    }
    if let Some(who) = &arrival.authenticated {
        let _ = write!(out, "; AUTH={}/{}", who.login, who.mechanism.as_str());
    }
    out
}

/// What came of a group, in the notation of a transcript; `M:` and others only where asked for.
fn show(rig: &mut Rig, output: &[u8], was_closed: bool, asked: &[&str]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let mut lines: Vec<String> = text.lines().map(|line| format!("S: {line}")).collect();
    if rig.closed() && !was_closed {
        lines.push("S: <close>".to_owned());
    }
    for arrival in rig.verbs.arrivals.drain(..) {
        if asked.contains(&"E: ") {
            lines.push(format!("E: {}", envelope(&arrival)));
        }
        if asked.contains(&"M: ") {
            let text = String::from_utf8_lossy(&arrival.content).into_owned();
            for line in text.split_inclusive("\r\n") {
                let plain = line.trim_end_matches("\r\n");
                let end = if line.ends_with("\r\n") {
                    ""
                } else {
                    "<no CRLF>"
                };
                lines.push(format!("M: {}{end}", plain.escape_debug()));
            }
        }
    }
    for event in rig.events.drain(..) {
        if asked.contains(&"V: ") {
            lines.push(format!("V: {event:?}"));
        }
    }
    lines
}

/// Plays a case; returns its lines with what really came.
fn play(case: &Case<'_>, cut: Cut) -> Vec<String> {
    let (mut rig, whole) = rig(case);
    let cut = if whole { Cut::Whole } else { cut };
    let is_expectation = |line: &str| {
        ["S: ", "E: ", "M: ", "V: "]
            .iter()
            .any(|p| line.starts_with(p))
    };
    let mut out: Vec<String> = Vec::new();
    let mut lines = case.lines.iter().copied().peekable();
    let mut output = rig.settle();
    let mut was_closed = false;
    loop {
        let mut sent = Vec::new();
        let mut action = None;
        while let Some(line) = lines.next_if(|line| !is_expectation(line)) {
            out.push(line.to_owned());
            if let Some(text) = line.strip_prefix("C: ") {
                sent.extend(octets(text));
                sent.extend(b"\r\n");
            } else if let Some(text) = line.strip_prefix("R: ") {
                sent.extend(octets(text));
            } else if let Some(word) = line.strip_prefix("A: ") {
                action = Some(word);
            } else {
                assert!(line.is_empty() || line.starts_with(['#', '!']), "{line}");
            }
        }
        output.extend(feed(&mut rig, &sent, cut));
        match action {
            Some("timeout") => rig.session.end(Ending::TimedOut),
            Some("shutdown") => rig.session.end(Ending::Stopping),
            Some("revoke") => rig.session.end(Ending::Revoked),
            _ => {}
        }
        output.extend(rig.settle());
        assert!(is_reply_lines(&output), "{}: {output:?}", case.title);
        let mut asked = Vec::new();
        while let Some(line) = lines.next_if(|line| is_expectation(line)) {
            asked.push(&line[..3]);
        }
        // Blank lines and comments behind a case belong behind its last replies.
        let tail = out
            .iter()
            .rposition(|l| !l.is_empty() && !l.starts_with('#'))
            .map_or(0, |n| n + 1);
        let tail = if lines.peek().is_none() {
            out.split_off(tail)
        } else {
            Vec::new()
        };
        out.extend(show(&mut rig, &output, was_closed, &asked));
        out.extend(tail);
        was_closed = rig.closed();
        output.clear();
        if lines.peek().is_none() {
            return out;
        }
    }
}

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut count = 0;
    let mut wrong = String::new();
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let head: String = text
            .lines()
            .take_while(|l| !l.starts_with("== "))
            .map(|l| l.to_owned() + "\n")
            .collect();
        let mut new = head;
        for case in cases(&text) {
            count += 1;
            let got = play(&case, Cut::Whole);
            let _ = writeln!(new, "== {}\n{}", case.title, got.join("\n"));
            let cuts = [Cut::Octets, Cut::Random(1), Cut::Random(2), Cut::Random(3)];
            for cut in cuts {
                assert_eq!(play(&case, cut), got, "{}: {cut:?}", case.title);
            }
            if got != case.lines && !update {
                let _ = writeln!(wrong, "{}: {}", file.display(), case.title);
                for (want, got) in case.lines.iter().zip(&got).filter(|(w, g)| w != g).take(3) {
                    let _ = writeln!(wrong, "  want {want}\n  got  {got}");
                }
                let _ = writeln!(wrong, "  {} lines, got {}", case.lines.len(), got.len());
            }
        }
        if update {
            std::fs::write(&file, new).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(count >= 60, "only {count} cases found");
}
