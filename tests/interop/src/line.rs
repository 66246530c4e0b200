//! A bare line-oriented connection in the clear: for what no well-behaved client would send, and
//! for load that must not wait for a library.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What AUTH PLAIN sends, in base64 (RFC 4616 2).
pub fn auth_plain(login: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{login}\0{password}"))
}

/// The connection. Errors are those of the socket: a server that is killed shows as one.
#[derive(Debug)]
pub struct Line {
    stream: BufReader<TcpStream>,
    tag: u32,
}

/// What an IMAP command brought.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The lines before the tagged one, literals appended to the line that announced them.
    pub untagged: Vec<String>,
    /// The tagged line, without its tag.
    pub tagged: String,
}

impl Reply {
    /// Whether the command succeeded.
    pub fn is_ok(&self) -> bool {
        self.tagged.starts_with("OK")
    }
}

/// Longest wait for a line.
const TIMEOUT: Duration = Duration::from_secs(20);

impl Line {
    /// Connects and reads nothing.
    ///
    /// # Errors
    /// Of the socket.
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            tag: 0,
        })
    }

    /// Waits at most so long for a line from now on.
    ///
    /// # Errors
    /// Of the socket.
    pub fn patience(&self, time: Duration) -> std::io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(time))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Of the socket.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads a line, its end removed.
    ///
    /// # Errors
    /// Of the socket; a closed one is `UnexpectedEof`.
    pub fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 || !line.ends_with(b"\n") {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line)
            .trim_end_matches(['\r', '\n'])
            .to_owned())
    }

    /// Everything until the peer closes.
    ///
    /// # Errors
    /// Of the socket, which includes a peer that does not close in time.
    pub fn rest(&mut self) -> std::io::Result<String> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(String::from_utf8_lossy(&rest).into_owned())
    }

    /// Reads an SMTP reply, its lines joined by newlines.
    ///
    /// # Errors
    /// Of the socket.
    pub fn smtp_reply(&mut self) -> std::io::Result<String> {
        let mut reply = String::new();
        loop {
            let line = self.line()?;
            let more = line.as_bytes().get(3) == Some(&b'-');
            reply.push_str(&line);
            if !more {
                return Ok(reply);
            }
            reply.push('\n');
        }
    }

    /// Sends an SMTP command and reads the reply.
    ///
    /// # Errors
    /// Of the socket.
    pub fn smtp(&mut self, command: &str) -> std::io::Result<String> {
        self.send(format!("{command}\r\n").as_bytes())?;
        self.smtp_reply()
    }

    /// Sends an IMAP command under a fresh tag and reads until its tagged reply.
    ///
    /// # Errors
    /// Of the socket.
    pub fn imap(&mut self, command: &str) -> std::io::Result<Reply> {
        let tag = self.imap_send(command)?;
        self.imap_reply(&tag)
    }

    /// Sends an IMAP command and answers its tag.
    ///
    /// # Errors
    /// Of the socket.
    pub fn imap_send(&mut self, command: &str) -> std::io::Result<String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.send(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    /// Reads until the tagged reply.
    ///
    /// # Errors
    /// Of the socket.
    pub fn imap_reply(&mut self, tag: &str) -> std::io::Result<Reply> {
        let mut reply = Reply::default();
        loop {
            let line = self.imap_line()?;
            if let Some(rest) = line
                .strip_prefix(tag)
                .and_then(|rest| rest.strip_prefix(' '))
            {
                rest.clone_into(&mut reply.tagged);
                return Ok(reply);
            }
            reply.untagged.push(line);
        }
    }

    /// Reads one answer line, with the literals in it.
    ///
    /// # Errors
    /// Of the socket.
    pub fn imap_line(&mut self) -> std::io::Result<String> {
        let mut line = self.line()?;
        while let Some(length) = literal(&line) {
            let mut bytes = vec![0; length];
            self.stream.read_exact(&mut bytes)?;
            line.push('\n');
            line.push_str(&String::from_utf8_lossy(&bytes));
            line.push_str(&self.line()?);
        }
        Ok(line)
    }
}

/// The length of the literal that a line announces at its end.
fn literal(line: &str) -> Option<usize> {
    let rest = line.strip_suffix('}')?;
    let (_, digits) = rest.rsplit_once('{')?;
    digits.parse().ok()
}
