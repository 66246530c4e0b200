//! Sessions over bare sockets: log in, submit, append, move, fetch. An error is that of the socket,
//! which is how a kill shows, or an answer that should not have come.

use std::io;

use tern_interop::Tern;
use tern_interop::house::{address, password};
use tern_interop::line::{Line, Reply, auth_plain};

/// Sent in every message; what the check looks for.
pub(crate) const TOKEN: &str = "X-Token";

/// The last line of every message: where it is missing the message is not whole.
const END: &str = "end of ";

pub(crate) type Result<T> = io::Result<T>;

/// An answer that should not have come.
pub(crate) fn unexpected(doing: &str, told: &str) -> io::Error {
    io::Error::other(format!("{doing}: {told}"))
}

/// An IMAP session of somebody, logged in.
pub(crate) fn imap(tern: &Tern, name: &str) -> Result<Line> {
    let mut line = Line::connect(tern.address("imap"))?;
    line.line()?;
    let login = format!("LOGIN {} \"{}\"", address(name), password(name));
    expect_ok("LOGIN", line.imap(&login)?)?;
    Ok(line)
}

/// A submission session of somebody, logged in.
pub(crate) fn submission(tern: &Tern, name: &str) -> Result<Line> {
    let mut line = Line::connect(tern.address("submission"))?;
    line.smtp_reply()?;
    line.smtp("EHLO load.test")?;
    let proof = auth_plain(&address(name), &password(name));
    let reply = line.smtp(&format!("AUTH PLAIN {proof}"))?;
    if reply.starts_with("235") {
        Ok(line)
    } else {
        Err(unexpected("AUTH", &reply))
    }
}

pub(crate) fn expect_ok(doing: &str, reply: Reply) -> Result<Reply> {
    if reply.is_ok() {
        Ok(reply)
    } else {
        Err(unexpected(doing, &reply.tagged))
    }
}

/// One transaction. `Ok` is the acknowledgement.
pub(crate) fn submit(line: &mut Line, from: &str, to: &[String], content: &str) -> Result<()> {
    let mut commands = format!("MAIL FROM:<{}>\r\n", address(from));
    for recipient in to {
        commands.push_str(&format!("RCPT TO:<{recipient}>\r\n"));
    }
    commands.push_str("DATA\r\n");
    line.send(commands.as_bytes())?;
    for _ in 0..=to.len() {
        let reply = line.smtp_reply()?;
        if !reply.starts_with("250") {
            return Err(unexpected("envelope", &reply));
        }
    }
    let reply = line.smtp_reply()?;
    if !reply.starts_with("354") {
        return Err(unexpected("DATA", &reply));
    }
    line.send(content.as_bytes())?;
    let reply = line.smtp(".")?;
    if reply.starts_with("250") {
        Ok(())
    } else {
        Err(unexpected("end of data", &reply))
    }
}

/// Appends without waiting for leave (RFC 7888). `Ok` is the acknowledgement, with the UID that it names
/// (RFC 4315 3).
pub(crate) fn append(line: &mut Line, folder: &str, content: &str) -> Result<Option<u32>> {
    let command = format!("APPEND {folder} {{{}+}}\r\n{content}", content.len());
    let reply = expect_ok("APPEND", line.imap(&command)?)?;
    let uid = reply
        .tagged
        .split_once("[APPENDUID ")
        .and_then(|(_, rest)| number_after(rest, " "));
    Ok(uid)
}

/// A message with this token and about this many bytes of text.
pub(crate) fn message(from: &str, token: &str, bytes: u64) -> String {
    let mut text = format!(
        "From: <{}>\r\nTo: everybody:;\r\nSubject: Letter {token}\r\n\
         Date: Fri, 20 Nov 2026 10:11:12 +0100\r\nMessage-ID: <{token}@example.org>\r\n\
         {TOKEN}: {token}\r\n\r\n",
        address(from)
    );
    let lines = bytes / 64;
    for number in 0..lines {
        text.push_str(&format!(
            "{token} line {number:06} of {lines:06}: so it goes on and on\r\n"
        ));
    }
    text + END + token + "\r\n"
}

/// Whether a fetched message is whole: it ends as the message of its token does.
pub(crate) fn is_whole(content: &str, token: &str) -> bool {
    content.contains(&format!("\r\n{END}{token}\r\n"))
}

/// The token in a piece of an answer.
pub(crate) fn token_of(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once(&format!("{TOKEN}: "))?;
    rest.split(['\r', '\n']).next()
}

/// The number behind a word of an answer: `UID 17`.
pub(crate) fn number_after(answer: &str, word: &str) -> Option<u32> {
    let (_, rest) = answer.split_once(word)?;
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_message_is_not_whole() {
        let whole = message("bob", "k1", 300);
        assert!(is_whole(&whole, "k1"));
        assert_eq!(token_of(&whole), Some("k1"));
        assert!(!is_whole(&whole[..whole.len() - 4], "k1"));
    }
}
