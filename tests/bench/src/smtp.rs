//! An SMTP client for load: one envelope and one message per call, pipelined where offered.
//!
//! Invariant: a message counts as accepted only when the reply to its end of data is 250, and every
//! recipient was accepted. It refuses to go on after any other reply.

use base64::Engine as _;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};
use crate::net::{Conn, Endpoint, Security};

/// Where to deliver, and as whom.
#[derive(Clone)]
pub(crate) struct SmtpTarget {
    /// Where.
    pub(crate) endpoint: Endpoint,
    /// The TLS client configuration.
    pub(crate) tls: TlsConnector,
    /// The envelope sender.
    pub(crate) sender: String,
    /// Name and password for AUTH PLAIN, for submission.
    pub(crate) login: Option<(String, String)>,
}

impl SmtpTarget {
    /// A connection that is ready for MAIL.
    pub(crate) async fn open(&self) -> Result<Smtp> {
        Smtp::open(self).await
    }
}

/// Recipients sent in one write: their replies must fit the socket buffers of both sides.
const PIPELINE_MAX: usize = 500;

/// One connection.
pub(crate) struct Smtp {
    conn: Conn,
    out: Vec<u8>,
    pipelining: bool,
}

impl Smtp {
    async fn open(target: &SmtpTarget) -> Result<Self> {
        let conn = Conn::open(target.endpoint, &target.tls).await?;
        let mut smtp = Self {
            conn,
            out: Vec::new(),
            pipelining: false,
        };
        smtp.expect("the greeting", 220).await?;
        smtp.ehlo().await?;
        if target.endpoint.security == Security::Starttls {
            smtp.conn.write(b"STARTTLS\r\n").await?;
            smtp.expect("STARTTLS", 220).await?;
            smtp.conn = smtp.conn.secure(&target.tls).await?;
            smtp.ehlo().await?;
        }
        if let Some((name, password)) = &target.login {
            // RFC 4616: authorization identity left empty.
            let token = base64::engine::general_purpose::STANDARD
                .encode(format!("\0{name}\0{password}").as_bytes());
            smtp.conn
                .write(format!("AUTH PLAIN {token}\r\n").as_bytes())
                .await?;
            smtp.expect("AUTH", 235).await?;
        }
        Ok(smtp)
    }

    async fn ehlo(&mut self) -> Result<()> {
        self.conn.write(b"EHLO bench.example.org\r\n").await?;
        loop {
            let range = self.conn.line("EHLO").await?;
            let line = self.conn.slice(range);
            if !line.starts_with(b"250") {
                return Err(refused("EHLO", line));
            }
            self.pipelining |= line
                .get(4..)
                .is_some_and(|w| w.eq_ignore_ascii_case(b"PIPELINING"));
            if line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }

    /// Consumes one reply, of any number of lines; an error unless its code is `code`.
    async fn expect(&mut self, step: &'static str, code: u16) -> Result<()> {
        let mut wanted = [0_u8; 3];
        for (digit, power) in wanted.iter_mut().zip([100, 10, 1]) {
            *digit = b'0' + (code / power % 10) as u8;
        }
        loop {
            let range = self.conn.line(step).await?;
            let line = self.conn.slice(range);
            if !line.starts_with(&wanted) {
                return Err(refused(step, line));
            }
            if line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }

    /// Sends one message; `message` ends with CRLF and holds no line that begins with a dot.
    pub(crate) async fn send<'a>(
        &mut self,
        sender: &str,
        recipients: impl Iterator<Item = &'a str>,
        message: &[u8],
    ) -> Result<()> {
        self.out.clear();
        self.push(&["MAIL FROM:<", sender, ">\r\n"]);
        let mut pending = 0;
        if !self.pipelining {
            self.flush(&mut pending, true).await?;
        }
        let mut mail_pending = self.pipelining;
        for recipient in recipients {
            self.push(&["RCPT TO:<", recipient, ">\r\n"]);
            pending += 1;
            if !self.pipelining || pending == PIPELINE_MAX {
                self.flush(&mut pending, mail_pending).await?;
                mail_pending = false;
            }
        }
        self.push(&["DATA\r\n"]);
        self.flush(&mut pending, mail_pending).await?;
        self.expect("DATA", 354).await?;
        self.out.clear();
        self.out.extend_from_slice(message);
        self.push(&[".\r\n"]);
        self.conn.write(&self.out).await?;
        self.expect("the message", 250).await
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
    }

    /// Writes what is pending and reads the replies to it: MAIL's if still due, then RCPT's.
    async fn flush(&mut self, pending: &mut usize, mail: bool) -> Result<()> {
        self.conn.write(&self.out).await?;
        self.out.clear();
        if mail {
            self.expect("MAIL", 250).await?;
        }
        for _ in 0..std::mem::take(pending) {
            self.expect("RCPT", 250).await?;
        }
        Ok(())
    }

    /// Takes leave.
    pub(crate) async fn quit(mut self) -> Result<()> {
        self.conn.write(b"QUIT\r\n").await?;
        self.expect("QUIT", 221).await
    }
}

/// The error for a reply that is not the one expected.
fn refused(step: &'static str, line: &[u8]) -> Error {
    Error::Refused {
        step,
        reply: String::from_utf8_lossy(line).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::serve;

    async fn target(script: &'static [(&'static str, &'static str)]) -> SmtpTarget {
        let address = serve("220-hello\r\n220 there\r\n", script).await;
        SmtpTarget {
            endpoint: Endpoint::new(&address, Security::Plain).unwrap(),
            tls: crate::net::tls_connector().unwrap(),
            sender: "s@example.org".into(),
            login: None,
        }
    }

    const ANSWERS: [(&str, &str); 6] = [
        (
            "EHLO bench.example.org",
            "250-x\r\n250-PIPELINING\r\n250 SIZE\r\n",
        ),
        ("MAIL FROM:<s@example.org>", "250 ok\r\n"),
        ("RCPT TO:<a@example.org>", "250-two\r\n250 lines\r\n"),
        ("RCPT TO:<b@example.org>", "250 ok\r\n"),
        ("DATA", "354 go\r\n"),
        ("hi", ""),
    ];

    #[tokio::test]
    async fn a_pipelined_message() {
        const SCRIPT: &[(&str, &str)] = &[
            ANSWERS[0],
            ANSWERS[1],
            ANSWERS[2],
            ANSWERS[3],
            ANSWERS[4],
            ANSWERS[5],
            (".", "250 queued\r\n"),
            ("QUIT", "221 bye\r\n"),
        ];
        let mut smtp = target(SCRIPT).await.open().await.unwrap();
        let to = ["a@example.org", "b@example.org"];
        smtp.send("s@example.org", to.into_iter(), b"hi\r\n")
            .await
            .unwrap();
        smtp.quit().await.unwrap();
    }

    #[tokio::test]
    async fn without_pipelining_each_command_waits() {
        const SCRIPT: &[(&str, &str)] = &[
            ("EHLO bench.example.org", "250 x\r\n"),
            ANSWERS[1],
            ANSWERS[2],
            ANSWERS[4],
            ANSWERS[5],
            (".", "250 queued\r\n"),
        ];
        let mut smtp = target(SCRIPT).await.open().await.unwrap();
        smtp.send("s@example.org", ["a@example.org"].into_iter(), b"hi\r\n")
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_refused_message_is_not_counted() {
        const SCRIPT: &[(&str, &str)] = &[
            ANSWERS[0],
            ANSWERS[1],
            ANSWERS[2],
            ANSWERS[4],
            ANSWERS[5],
            (".", "452 4.3.1 full\r\n"),
        ];
        let mut smtp = target(SCRIPT).await.open().await.unwrap();
        let sent = smtp
            .send("s@example.org", ["a@example.org"].into_iter(), b"hi\r\n")
            .await;
        assert_eq!(
            sent.unwrap_err().to_string(),
            "the message answered: 452 4.3.1 full"
        );
    }
}
