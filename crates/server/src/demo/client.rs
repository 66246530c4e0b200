//! Tiny blocking SMTP and IMAP clients: for the demo's scenes and the end-to-end tests. They trust
//! any certificate, so they are for loopback only.
//!
//! Invariant: every wait ends by the time limit of the connection.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use socket2::{Domain, Socket, Type};

use crate::relay::any_certificate;

/// Shown what goes over the wire: whether it was sent, and the line.
pub type Watcher = Box<dyn FnMut(bool, &str) + Send>;

/// A connection that reads lines.
pub struct Wire {
    stream: Option<Box<dyn Duplex>>,
    plain: TcpStream,
    buffer: Vec<u8>,
    watcher: Option<Watcher>,
}

/// Both ways.
pub trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

fn protocol(what: impl Into<String>) -> io::Error {
    io::Error::other(what.into())
}

impl Wire {
    /// Connects in the clear.
    pub fn connect(to: SocketAddr, time_limit: Duration) -> io::Result<Self> {
        Self::over(TcpStream::connect_timeout(&to, time_limit)?, time_limit)
    }

    /// The same from an address of this machine, as another machine would.
    pub fn connect_from(from: IpAddr, to: SocketAddr, time_limit: Duration) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.connect_timeout(&to.into(), time_limit)?;
        Self::over(socket.into(), time_limit)
    }

    fn over(plain: TcpStream, time_limit: Duration) -> io::Result<Self> {
        plain.set_read_timeout(Some(time_limit))?;
        plain.set_write_timeout(Some(time_limit))?;
        plain.set_nodelay(true)?;
        Ok(Self {
            stream: Some(Box::new(plain.try_clone()?)),
            plain,
            buffer: Vec::new(),
            watcher: None,
        })
    }

    /// Does the TLS handshake.
    pub fn start_tls(&mut self) -> io::Result<()> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let config = Arc::new(any_certificate().map_err(io::Error::other)?);
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, self.plain.try_clone()?);
        stream.flush()?;
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        self.stream = Some(Box::new(stream));
        Ok(())
    }

    /// Shows everything that is sent and received from now on.
    pub fn watch(&mut self, watcher: Watcher) {
        self.watcher = Some(watcher);
    }

    fn show(&mut self, sent: bool, line: &str) {
        if let Some(watcher) = &mut self.watcher {
            watcher(sent, line);
        }
    }

    fn stream(&mut self) -> io::Result<&mut Box<dyn Duplex>> {
        self.stream.as_mut().ok_or_else(|| protocol("closed"))
    }

    /// Sends octets as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream()?;
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// Sends one line; `shown` is what the watcher sees of it.
    pub fn send_line(&mut self, line: &str, shown: &str) -> io::Result<()> {
        self.show(true, shown);
        self.send(format!("{line}\r\n").as_bytes())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let n = self.stream()?.read(&mut bytes)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer
            .extend_from_slice(bytes.get(..n).unwrap_or_default());
        Ok(())
    }

    /// One line, without its end.
    pub fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                self.show(false, &line);
                return Ok(line);
            }
            self.fill()?;
        }
    }

    /// So many octets.
    pub fn exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < n {
            self.fill()?;
        }
        Ok(self.buffer.drain(..n).collect())
    }
}

/// An SMTP client.
#[derive(Debug)]
pub struct SmtpClient {
    wire: Wire,
}

/// A reply: its code and text.
pub type SmtpReply = (u16, String);

impl SmtpClient {
    /// Reads the banner and says EHLO.
    pub fn new(wire: Wire) -> io::Result<Self> {
        let mut client = Self { wire };
        client.reply()?;
        client.command("EHLO client.example")?;
        Ok(client)
    }

    /// STARTTLS, and EHLO again.
    pub fn start_tls(&mut self) -> io::Result<()> {
        match self.command("STARTTLS")? {
            (220, _) => self.wire.start_tls()?,
            (code, text) => return Err(protocol(format!("STARTTLS: {code} {text}"))),
        }
        self.command("EHLO client.example").map(drop)
    }

    /// AUTH PLAIN.
    pub fn login(&mut self, login: &str, password: &str) -> io::Result<SmtpReply> {
        use base64::Engine as _;
        let response =
            base64::engine::general_purpose::STANDARD.encode(format!("\0{login}\0{password}"));
        let shown = format!("AUTH PLAIN <{login}>");
        self.wire
            .send_line(&format!("AUTH PLAIN {response}"), &shown)?;
        self.reply()
    }

    /// One command and its reply.
    pub fn command(&mut self, line: &str) -> io::Result<SmtpReply> {
        self.wire.send_line(line, line)?;
        self.reply()
    }

    /// The next reply, whole.
    pub fn reply(&mut self) -> io::Result<SmtpReply> {
        loop {
            let line = self.wire.line()?;
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| protocol(format!("not a reply: {line}")))?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok((code, line.get(4..).unwrap_or_default().to_owned()));
            }
        }
    }

    /// Sends a message. Answers the reply to each recipient, and to the end of the data.
    pub fn send(
        &mut self,
        from: &str,
        to: &[&str],
        content: &[u8],
    ) -> io::Result<(Vec<SmtpReply>, SmtpReply)> {
        self.command(&format!("MAIL FROM:<{from}>"))?;
        let rcpt = |client: &mut Self, to: &&str| client.command(&format!("RCPT TO:<{to}>"));
        let recipients: Result<Vec<_>, _> = to.iter().map(|to| rcpt(self, to)).collect();
        let recipients = recipients?;
        let ready = self.command("DATA")?;
        if ready.0 != 354 {
            return Ok((recipients, ready));
        }
        let mut stuffed = Vec::with_capacity(content.len() + 5);
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            if line.first() == Some(&b'.') {
                stuffed.push(b'.');
            }
            stuffed.extend_from_slice(line);
        }
        stuffed.extend_from_slice(b".\r\n");
        self.wire
            .show(true, &format!("({} octets of message)", content.len()));
        self.wire.send(&stuffed)?;
        Ok((recipients, self.reply()?))
    }

    /// The connection.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

/// An IMAP client.
#[derive(Debug)]
pub struct ImapClient {
    wire: Wire,
    next_tag: u32,
}

/// What came of a command.
#[derive(Clone, Debug, Default)]
pub struct ImapReply {
    /// The untagged responses, without `* `; literals follow their line.
    pub untagged: Vec<String>,
    /// The literals, in order.
    pub literals: Vec<Vec<u8>>,
    /// The tagged response, without its tag.
    pub done: String,
}

impl ImapReply {
    /// Whether it was done.
    pub fn is_ok(&self) -> bool {
        self.done.starts_with("OK")
    }

    /// The number of an untagged response such as `3 EXISTS`; the last one where there are many.
    pub fn number(&self, name: &str) -> Option<u32> {
        let number = |line: &String| line.strip_suffix(name)?.trim_end().parse().ok();
        self.untagged.iter().rev().find_map(number)
    }

    /// Whether some untagged response holds this text.
    pub fn says(&self, text: &str) -> bool {
        self.untagged.iter().any(|line| line.contains(text))
    }
}

impl ImapClient {
    /// Reads the greeting.
    pub fn new(mut wire: Wire) -> io::Result<Self> {
        wire.line()?;
        Ok(Self { wire, next_tag: 1 })
    }

    /// STARTTLS.
    pub fn start_tls(&mut self) -> io::Result<()> {
        let reply = self.command("STARTTLS")?;
        if !reply.is_ok() {
            return Err(protocol(format!("STARTTLS: {}", reply.done)));
        }
        self.wire.start_tls()
    }

    fn tag(&mut self) -> String {
        let tag = format!("a{}", self.next_tag);
        self.next_tag += 1;
        tag
    }

    /// LOGIN.
    pub fn login(&mut self, login: &str, password: &str) -> io::Result<ImapReply> {
        let tag = self.tag();
        let line = format!("{tag} LOGIN \"{login}\" \"{password}\"");
        self.wire
            .send_line(&line, &format!("{tag} LOGIN {login} (password)"))?;
        self.until(&tag)
    }

    /// One command, to its tagged response.
    pub fn command(&mut self, command: &str) -> io::Result<ImapReply> {
        let tag = self.tag();
        let line = format!("{tag} {command}");
        self.wire.send_line(&line, &line)?;
        self.until(&tag)
    }

    /// APPEND with a non-synchronising literal (RFC 7888).
    pub fn append(&mut self, mailbox: &str, flags: &str, content: &[u8]) -> io::Result<ImapReply> {
        let tag = self.tag();
        let line = format!("{tag} APPEND {mailbox} ({flags}) {{{}+}}", content.len());
        self.wire.send_line(&line, &line)?;
        self.wire.send(content)?;
        self.wire.send(b"\r\n")?;
        self.until(&tag)
    }

    /// Begins to IDLE. Answers the tag for [`ImapClient::done`].
    pub fn idle(&mut self) -> io::Result<String> {
        let tag = self.tag();
        let line = format!("{tag} IDLE");
        self.wire.send_line(&line, &line)?;
        loop {
            let line = self.wire.line()?;
            if line.starts_with('+') {
                return Ok(tag);
            }
            if line.starts_with(&tag) {
                return Err(protocol(line));
            }
        }
    }

    /// Waits for an untagged response that ends in this text. Answers everything until it.
    pub fn wait_for(&mut self, ending: &str) -> io::Result<Vec<String>> {
        let mut seen = Vec::new();
        loop {
            let line = self.wire.line()?;
            let found = line.ends_with(ending);
            seen.push(line);
            if found {
                return Ok(seen);
            }
        }
    }

    /// Ends IDLE.
    pub fn done(&mut self, tag: &str) -> io::Result<ImapReply> {
        self.wire.send_line("DONE", "DONE")?;
        self.until(tag)
    }

    fn until(&mut self, tag: &str) -> io::Result<ImapReply> {
        let mut reply = ImapReply::default();
        let mut open: Option<String> = None;
        loop {
            let line = self.wire.line()?;
            let whole = match open.take() {
                Some(before) => before + &line,
                None => line.clone(),
            };
            let literal = line
                .rsplit_once('{')
                .and_then(|(_, size)| size.strip_suffix('}'));
            if let Some(size) = literal.and_then(|size| size.parse().ok()) {
                reply.literals.push(self.wire.exactly(size)?);
                open = Some(whole);
                continue;
            }
            match whole
                .strip_prefix(tag)
                .and_then(|rest| rest.strip_prefix(' '))
            {
                Some(done) => {
                    done.clone_into(&mut reply.done);
                    return Ok(reply);
                }
                None => match whole.strip_prefix("* ") {
                    Some(untagged) => reply.untagged.push(untagged.to_owned()),
                    None => return Err(protocol(format!("unexpected: {whole}"))),
                },
            }
        }
    }

    /// The connection.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }
}
