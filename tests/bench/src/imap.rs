//! An IMAP client that counts instead of parsing.
//!
//! Invariant: a command's answer is consumed to its tagged line; literals are skipped, not copied.
//! It knows only the responses that the measurements need.

use memchr::memmem;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};
use crate::net::{Conn, Endpoint, Security};

/// Reads the accounts' names and password, and opens sessions.
#[derive(Clone)]
pub(crate) struct ImapTarget {
    /// Where.
    pub(crate) endpoint: Endpoint,
    /// The TLS client configuration.
    pub(crate) tls: TlsConnector,
    /// `user{}@example.org`.
    pub(crate) users_pattern: String,
    /// The password that all the accounts share.
    pub(crate) password: String,
}

impl ImapTarget {
    /// The name of account number `n`.
    pub(crate) fn user(&self, n: usize) -> String {
        self.users_pattern.replace("{}", &n.to_string())
    }

    /// A session of account `n`, logged in.
    pub(crate) async fn login(&self, n: usize) -> Result<Imap> {
        let mut imap = Imap::open(self.endpoint, &self.tls).await?;
        imap.login(&self.user(n), &self.password).await?;
        Ok(imap)
    }
}

/// What a command's answer held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Untagged FETCH responses.
    pub(crate) fetches: u64,
    /// Untagged EXPUNGE responses; a VANISHED counts as one.
    pub(crate) expunges: u64,
    /// Bytes of the whole answer.
    pub(crate) bytes: u64,
    /// The last EXISTS.
    pub(crate) exists: Option<u64>,
    /// Results in SEARCH responses.
    pub(crate) hits: u64,
    /// MESSAGES of a STATUS response.
    pub(crate) messages: Option<u64>,
}

/// What a session in IDLE is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// The mailbox now holds so many.
    Exists(u64),
    /// One message went, or with VANISHED at least one.
    Expunge,
    /// Anything else: keep-alives, RECENT, flags.
    Other,
}

/// One session.
pub(crate) struct Imap {
    conn: Conn,
    tag: u32,
    out: Vec<u8>,
    /// LITERAL+ (RFC 7888): no round trip before a literal.
    literal_plus: bool,
    /// LITERAL- (RFC 7888): the same up to 4,096 bytes.
    literal_minus: bool,
    /// MULTIAPPEND (RFC 3502).
    multiappend: bool,
}

/// A session refuses a literal longer than this in a server's answer.
const LITERAL_MAX: usize = 1 << 30;

impl Imap {
    /// Connects, reads the greeting, and secures the connection where asked.
    pub(crate) async fn open(endpoint: Endpoint, tls: &TlsConnector) -> Result<Self> {
        let conn = Conn::open(endpoint, tls).await?;
        let mut imap = Self {
            conn,
            tag: 0,
            out: Vec::new(),
            literal_plus: false,
            literal_minus: false,
            multiappend: false,
        };
        let range = imap.conn.line("the greeting").await?;
        let line = imap.conn.slice(range);
        if !line.starts_with(b"* OK") {
            return Err(refused("greeting", line));
        }
        if endpoint.security == Security::Starttls {
            imap.command("STARTTLS", "STARTTLS").await?;
            imap.conn = imap.conn.secure(tls).await?;
        }
        Ok(imap)
    }

    /// LOGIN, then CAPABILITY to learn how literals may be sent.
    pub(crate) async fn login(&mut self, user: &str, password: &str) -> Result<()> {
        self.command(
            "LOGIN",
            &format!("LOGIN {} {}", quoted(user)?, quoted(password)?),
        )
        .await?;
        let (mut plus, mut minus, mut multi) = (false, false, false);
        self.begin("CAPABILITY");
        self.run("CAPABILITY", |line| {
            plus |= memmem::find(line, b"LITERAL+").is_some();
            minus |= memmem::find(line, b"LITERAL-").is_some();
            multi |= memmem::find(line, b"MULTIAPPEND").is_some();
        })
        .await?;
        self.literal_plus = plus;
        self.literal_minus = minus;
        self.multiappend = multi;
        Ok(())
    }

    /// Sends a command and consumes its answer; anything but OK is an error.
    pub(crate) async fn command(&mut self, step: &'static str, text: &str) -> Result<Answer> {
        self.begin(text);
        self.run(step, |_| {}).await
    }

    /// The first result of a SEARCH.
    pub(crate) async fn first_hit(&mut self, step: &'static str, text: &str) -> Result<u64> {
        let mut hit = None;
        self.begin(text);
        self.run(step, |line| {
            hit = hit.or(line.strip_prefix(b"* SEARCH ").and_then(number));
        })
        .await?;
        hit.ok_or_else(|| refused(step, b"nothing found"))
    }

    /// Puts a tagged command line into the output buffer.
    fn begin(&mut self, text: &str) {
        self.tag += 1;
        self.out.clear();
        self.out
            .extend_from_slice(format!("a{} {text}\r\n", self.tag).as_bytes());
    }

    /// Sends the output buffer and consumes the answer.
    async fn run(&mut self, step: &'static str, seen: impl FnMut(&[u8])) -> Result<Answer> {
        self.conn.write(&self.out).await?;
        self.finish(step, self.tag, seen).await
    }

    /// Consumes responses until the tagged one of `tag`; `seen` gets every untagged line.
    async fn finish(
        &mut self,
        step: &'static str,
        tag: u32,
        mut seen: impl FnMut(&[u8]),
    ) -> Result<Answer> {
        let mut answer = Answer::default();
        let expected = format!("a{tag} ");
        let mut inside = false;
        loop {
            let range = self.conn.line(step).await?;
            let line = self.conn.slice(range);
            answer.bytes += line.len() as u64 + 2;
            let literal = literal_at_end(line);
            if !inside {
                if line.starts_with(expected.as_bytes()) {
                    let ok = line
                        .get(expected.len()..)
                        .is_some_and(|r| r.starts_with(b"OK"));
                    return if ok {
                        Ok(answer)
                    } else {
                        Err(refused(step, line))
                    };
                }
                answer.count(line);
                seen(line);
            }
            inside = literal.is_some();
            if let Some(size) = literal {
                if size > LITERAL_MAX {
                    return Err(refused(step, b"a literal beyond the limit"));
                }
                answer.bytes += size as u64;
                self.conn.skip(size, step).await?;
            }
        }
    }

    /// APPEND of one message, finished when the server says OK.
    pub(crate) async fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<()> {
        if self.push_append(mailbox, message) {
            self.conn.write(&self.out).await?;
        } else {
            let head = self.out.len() - message.len() - 2;
            let (command, literal) = self.out.split_at(head);
            self.conn.write(command).await?;
            let range = self.conn.line("APPEND").await?;
            let line = self.conn.slice(range);
            if !line.starts_with(b"+") {
                return Err(refused("APPEND", line));
            }
            self.conn.write(literal).await?;
        }
        self.finish("APPEND", self.tag, |_| {}).await?;
        Ok(())
    }

    /// Builds an APPEND in the output buffer; false if the literal must wait for `+`.
    fn push_append(&mut self, mailbox: &str, message: &[u8]) -> bool {
        let now = self.pipelines(message.len());
        let plus = if now { "+" } else { "" };
        self.begin(&format!("APPEND \"{mailbox}\" {{{}{plus}}}", message.len()));
        self.out.extend_from_slice(message);
        self.out.extend_from_slice(b"\r\n");
        now
    }

    /// APPENDs many messages: in one command with MULTIAPPEND (RFC 3502), else one after another
    /// in flight at once where the server takes literals at once.
    pub(crate) async fn append_all(&mut self, mailbox: &str, messages: &[Vec<u8>]) -> Result<()> {
        if !messages.iter().all(|message| self.pipelines(message.len())) {
            for message in messages {
                self.append(mailbox, message).await?;
            }
            return Ok(());
        }
        let first = self.tag + 1;
        if self.multiappend {
            self.begin(&format!("APPEND \"{mailbox}\""));
            self.out.truncate(self.out.len() - 2);
            for message in messages {
                self.out
                    .extend_from_slice(format!(" {{{}+}}\r\n", message.len()).as_bytes());
                self.out.extend_from_slice(message);
            }
            self.out.extend_from_slice(b"\r\n");
            self.conn.write(&self.out).await?;
        } else {
            let mut batch = Vec::new();
            for message in messages {
                self.push_append(mailbox, message);
                batch.extend_from_slice(&self.out);
            }
            self.conn.write(&batch).await?;
        }
        for tag in first..=self.tag {
            self.finish("APPEND", tag, |_| {}).await?;
        }
        Ok(())
    }

    /// True if literals of this size need no round trip.
    fn pipelines(&self, size: usize) -> bool {
        self.literal_plus || self.literal_minus && size <= 4096
    }

    /// Enters IDLE.
    pub(crate) async fn idle(&mut self) -> Result<()> {
        self.begin("IDLE");
        self.conn.write(&self.out).await?;
        loop {
            let range = self.conn.line("IDLE").await?;
            let line = self.conn.slice(range);
            if line.starts_with(b"+") {
                return Ok(());
            }
            if !line.starts_with(b"*") {
                return Err(refused("IDLE", line));
            }
        }
    }

    /// The next line of a session in IDLE.
    pub(crate) async fn pushed(&mut self) -> Result<Push> {
        let range = self.conn.line("a push").await?;
        let line = self.conn.slice(range);
        if line.starts_with(b"* VANISHED") || line.ends_with(b" EXPUNGE") {
            return Ok(Push::Expunge);
        }
        if line.starts_with(b"* BYE") {
            return Err(refused("IDLE", line));
        }
        if line.ends_with(b" EXISTS") {
            return Ok(number(line.get(2..).unwrap_or_default()).map_or(Push::Other, Push::Exists));
        }
        Ok(Push::Other)
    }

    /// How many messages a mailbox holds, by STATUS.
    pub(crate) async fn messages(&mut self, mailbox: &str) -> Result<u64> {
        let answer = self
            .command("STATUS", &format!("STATUS \"{mailbox}\" (MESSAGES)"))
            .await?;
        answer
            .messages
            .ok_or_else(|| refused("STATUS", b"no MESSAGES"))
    }
}

impl Answer {
    /// Counts one untagged line.
    fn count(&mut self, line: &[u8]) {
        let Some(rest) = line.strip_prefix(b"* ") else {
            return;
        };
        if rest.first().is_some_and(u8::is_ascii_digit) {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let word = rest.get(digits..).unwrap_or_default();
            if word.starts_with(b" FETCH") {
                self.fetches += 1;
            } else if word == b" EXPUNGE" {
                self.expunges += 1;
            } else if word == b" EXISTS" {
                self.exists = number(rest);
            }
        } else if rest.starts_with(b"SEARCH") {
            self.hits += rest.iter().filter(|b| **b == b' ').count() as u64;
        } else if rest.starts_with(b"VANISHED") {
            self.expunges += 1;
        } else if rest.starts_with(b"STATUS") {
            let at = memmem::find(rest, b"MESSAGES ").map(|at| at + 9);
            self.messages = at.and_then(|at| rest.get(at..)).and_then(number);
        }
    }
}

/// The size of the literal that a line announces at its end.
fn literal_at_end(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inner)?;
    let digits = inner.get(open + 1..)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The number that a line begins with.
fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(bytes.get(..digits)?).ok()?.parse().ok()
}

/// A quoted string; refuses what would need a literal.
fn quoted(text: &str) -> Result<String> {
    if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return Err(Error::Usage(
            "names and passwords must be printable ASCII".into(),
        ));
    }
    Ok(format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}

/// The error for an answer that is not success.
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

    async fn session(script: &'static [(&'static str, &'static str)]) -> Imap {
        let address = serve("* OK ready\r\n", script).await;
        let tls = crate::net::tls_connector().unwrap();
        let endpoint = Endpoint::new(&address, Security::Plain).unwrap();
        Imap::open(endpoint, &tls).await.unwrap()
    }

    #[tokio::test]
    async fn answers_are_counted_and_literals_skipped() {
        let mut imap = session(&[(
            "a1 FETCH 1:2 (BODY.PEEK[])",
            "* 1 FETCH (BODY[] {14}\r\na1 OK fake\r\nxx FLAGS ())\r\n* 9 EXISTS\r\n\
             * 2 FETCH (BODY[] {0}\r\n)\r\n* SEARCH 3 4 5\r\n* 1 EXPUNGE\r\na1 OK done\r\n",
        )])
        .await;
        let answer = imap
            .command("FETCH", "FETCH 1:2 (BODY.PEEK[])")
            .await
            .unwrap();
        assert_eq!(
            (answer.fetches, answer.exists, answer.hits),
            (2, Some(9), 3)
        );
        assert_eq!(answer.expunges, 1);
    }

    #[tokio::test]
    async fn a_no_is_an_error_with_its_text() {
        let mut imap = session(&[("a1 SELECT nope", "a1 NO [NONEXISTENT] none\r\n")]).await;
        let error = imap.command("SELECT", "SELECT nope").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "SELECT answered: a1 NO [NONEXISTENT] none"
        );
    }

    #[tokio::test]
    async fn append_waits_for_the_continuation_without_literal_plus() {
        let mut imap = session(&[
            ("a1 APPEND \"INBOX\" {5}", "+ go\r\n"),
            ("hello", "a1 OK [APPENDUID 1 1] done\r\n"),
        ])
        .await;
        imap.append("INBOX", b"hello").await.unwrap();
    }

    #[tokio::test]
    async fn many_messages_go_in_one_command_with_multiappend() {
        let mut imap = session(&[
            ("a1 LOGIN \"u\" \"p\"", "a1 OK in\r\n"),
            (
                "a2 CAPABILITY",
                "* CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND\r\na2 OK\r\n",
            ),
            ("a3 APPEND \"INBOX\" {5+}", ""),
            ("hello {2+}", ""),
            ("yo", "a3 OK [APPENDUID 1 1:2] done\r\n"),
        ])
        .await;
        imap.login("u", "p").await.unwrap();
        imap.append_all("INBOX", &[b"hello".to_vec(), b"yo".to_vec()])
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn pushes_are_told_apart() {
        let mut imap = session(&[(
            "a1 IDLE",
            "+ idling\r\n* 12 EXISTS\r\n* OK Still here\r\n* 3 EXPUNGE\r\n* VANISHED 4:5\r\n",
        )])
        .await;
        imap.idle().await.unwrap();
        let mut pushes = Vec::new();
        for _ in 0..4 {
            pushes.push(imap.pushed().await.unwrap());
        }
        assert_eq!(
            pushes,
            [Push::Exists(12), Push::Other, Push::Expunge, Push::Expunge]
        );
    }

    #[test]
    fn status_and_literal_sizes() {
        let mut answer = Answer::default();
        answer.count(b"* STATUS \"INBOX\" (UIDNEXT 4 MESSAGES 231)");
        assert_eq!(answer.messages, Some(231));
        for (line, size) in [
            ("x {12}", Some(12)),
            ("x {}", None),
            ("x {1a}", None),
            ("x", None),
            ("{0}", Some(0)),
        ] {
            assert_eq!(literal_at_end(line.as_bytes()), size, "{line}");
        }
    }
}
