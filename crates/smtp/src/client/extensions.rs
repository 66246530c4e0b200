//! What a server offers: its reply to EHLO (RFC 5321 4.1.1.1).
//!
//! Refuses nothing: what is not understood is not used.

use super::reply::Reply;

/// The extensions of a server, as far as the client uses them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 2920
    pub pipelining: bool,
    /// RFC 3207
    pub starttls: bool,
    /// RFC 6152
    pub eight_bit_mime: bool,
    /// RFC 3030 with BINARYMIME
    pub binary_mime: bool,
    /// RFC 6531
    pub smtputf8: bool,
    /// RFC 3461. Where it is absent, the queue tells senders who asked that the message was
    /// relayed.
    pub dsn: bool,
    /// RFC 1870; `Some(0)`: no limit is told.
    pub size: Option<u64>,
    /// RFC 9422 RCPTMAX: the most recipients of one message.
    pub max_recipients: Option<u32>,
    /// RFC 9422 MAILMAX: the most messages of one session.
    pub max_messages: Option<u32>,
}

impl Extensions {
    pub(super) fn parse(reply: &Reply) -> Self {
        let mut out = Self::default();
        let (mut chunking, mut binary) = (false, false);
        for line in reply.text.lines().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => out.pipelining = true,
                "STARTTLS" => out.starttls = true,
                "8BITMIME" => out.eight_bit_mime = true,
                "CHUNKING" => chunking = true,
                "BINARYMIME" => binary = true,
                "SMTPUTF8" => out.smtputf8 = true,
                "DSN" => out.dsn = true,
                "SIZE" => out.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
                "LIMITS" => words.for_each(|word| out.limit(word)),
                _ => {}
            }
        }
        out.binary_mime = chunking && binary;
        out
    }

    fn limit(&mut self, word: &str) {
        let Some((name, Ok(value))) = word.split_once('=').map(|(n, v)| (n, v.parse())) else {
            return;
        };
        if name.eq_ignore_ascii_case("RCPTMAX") {
            self.max_recipients = Some(value);
        } else if name.eq_ignore_ascii_case("MAILMAX") {
            self.max_messages = Some(value);
        }
    }
}
