//! The demo's mail clients: just enough SMTP and IMAP to play people, over real sockets.

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::wire::Wire;

/// A submission client (SMTP with TLS from the first byte).
pub(super) struct Sender {
    wire: Wire,
}

impl Sender {
    /// Connects and logs in; without a login it is another server that delivers.
    pub(super) fn connect(address: SocketAddr, login: Option<(&str, &str)>) -> io::Result<Self> {
        let mut client = Self { wire: Wire::connect(address)? };
        client.reply(220)?;
        client.say("EHLO client.example.org", 250)?;
        if let Some((user, password)) = login {
            let plain = STANDARD.encode(format!("\0{user}\0{password}"));
            client.say(&format!("AUTH PLAIN {plain}"), 235)?;
        }
        Ok(client)
    }

    /// Sends one message; the answer to its end.
    pub(super) fn send(&mut self, from: &str, to: &[&str], message: &str) -> io::Result<String> {
        self.say(&format!("MAIL FROM:<{from}>"), 250)?;
        for recipient in to {
            self.say(&format!("RCPT TO:<{recipient}>"), 250)?;
        }
        self.say("DATA", 354)?;
        let stuffed = message.replace("\r\n.", "\r\n..");
        self.wire.send(stuffed.as_bytes())?;
        self.say(".", 250)
    }

    fn say(&mut self, line: &str, expected: u16) -> io::Result<String> {
        self.wire.send(format!("{line}\r\n").as_bytes())?;
        self.reply(expected)
    }

    fn reply(&mut self, expected: u16) -> io::Result<String> {
        loop {
            let line = self.wire.line()?;
            if line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            if line.starts_with(&expected.to_string()) {
                return Ok(line);
            }
            return Err(io::Error::other(format!("the server said: {line}")));
        }
    }
}

/// An IMAP client.
pub(super) struct Reader {
    wire: Wire,
    tags: u32,
}

impl Reader {
    /// Connects, says who it is, and logs in.
    pub(super) fn connect(
        address: SocketAddr,
        user: &str,
        password: &str,
        client: &str,
    ) -> io::Result<Self> {
        let mut reader = Self { wire: Wire::connect(address)?, tags: 0 };
        reader.wire.line()?;
        reader.command(&format!("ID (\"name\" \"{client}\")"))?;
        reader.command(&format!("LOGIN \"{user}\" \"{password}\""))?;
        Ok(reader)
    }

    /// Runs a command; its untagged answers, literals written in place. `Err` when it is not `OK`.
    pub(super) fn command(&mut self, text: &str) -> io::Result<Vec<String>> {
        let tag = self.begin(text)?;
        self.finish(&tag)
    }

    /// Appends a message, with a synchronising literal.
    pub(super) fn append(&mut self, mailbox: &str, message: &str) -> io::Result<()> {
        let tag = self.begin(&format!("APPEND \"{mailbox}\" (\\Seen) {{{}}}", message.len()))?;
        while !self.wire.line()?.starts_with('+') {}
        self.wire.send(format!("{message}\r\n").as_bytes())?;
        self.finish(&tag).map(drop)
    }

    /// Begins to wait for pushes.
    pub(super) fn idle(&mut self) -> io::Result<()> {
        self.begin("IDLE")?;
        while !self.wire.line()?.starts_with('+') {}
        Ok(())
    }

    /// The next line that is pushed.
    pub(super) fn pushed(&mut self) -> io::Result<String> {
        self.wire.line()
    }

    /// The whole of a message by its sequence number.
    pub(super) fn fetch(&mut self, number: u32) -> io::Result<String> {
        let answers = self.command(&format!("FETCH {number} (BODY[])"))?;
        Ok(answers.join("\r\n"))
    }

    /// How many messages a mailbox holds.
    pub(super) fn count(&mut self, mailbox: &str) -> io::Result<u32> {
        let answers = self.command(&format!("STATUS \"{mailbox}\" (MESSAGES)"))?;
        let count = answers.iter().find_map(|line| {
            let (_, rest) = line.split_once("MESSAGES ")?;
            rest.trim_end_matches(')').parse().ok()
        });
        count.ok_or_else(|| io::Error::other(format!("no count in {answers:?}")))
    }

    fn begin(&mut self, text: &str) -> io::Result<String> {
        self.tags += 1;
        let tag = format!("a{}", self.tags);
        self.wire.send(format!("{tag} {text}\r\n").as_bytes())?;
        Ok(tag)
    }

    fn finish(&mut self, tag: &str) -> io::Result<Vec<String>> {
        let mut answers = Vec::new();
        loop {
            let mut line = self.wire.line()?;
            while let Some(length) = literal_length(&line) {
                let literal = self.wire.octets(length)?;
                line = format!("{line}\r\n{}", String::from_utf8_lossy(&literal));
                line.push_str(&self.wire.line()?);
            }
            match line.strip_prefix(tag).map(str::trim_start) {
                Some(done) if done.starts_with("OK") => return Ok(answers),
                Some(done) => return Err(io::Error::other(format!("the server said: {done}"))),
                None => answers.push(line),
            }
        }
    }
}

/// The length of the literal that a line announces at its end.
fn literal_length(line: &str) -> Option<usize> {
    let (_, length) = line.strip_suffix('}')?.rsplit_once('{')?;
    length.parse().ok()
}
