//! The trace header that a server prepends (RFC 5321 4.4).
//!
//! Invariant: everything in it that a peer sent has been restricted to the characters of a domain
//! or an address, so that no header can be slipped in.

use std::io::Write as _;
use std::net::IpAddr;

use tern_base::{OriginId, Timestamp};
use tern_session::{Peer, TlsFacts};

use crate::envelope::Envelope;

/// What the trace header tells.
pub(crate) struct Trace<'a> {
    pub(crate) hostname: &'a str,
    pub(crate) peer: &'a Peer,
    pub(crate) helo: &'a str,
    pub(crate) extended: bool,
    pub(crate) tls: Option<&'a TlsFacts>,
    pub(crate) authenticated: bool,
    pub(crate) envelope: &'a Envelope,
    pub(crate) origin: OriginId,
    pub(crate) now: Timestamp,
}

impl Trace<'_> {
    /// The header as it stands before the message, with room behind it for `room` octets.
    pub(crate) fn header(&self, room: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + room);
        // Writing to a Vec can't fail, here and below.
        let _ = write!(out, "Received: from {} (", self.helo);
        let _ = match self.peer.ip {
            IpAddr::V4(ip) => write!(out, "[{ip}])"),
            IpAddr::V6(ip) => write!(out, "[IPv6:{ip}])"),
        };
        let _ = write!(out, "\r\n\tby {} with {}", self.hostname, self.protocol());
        let _ = write!(out, "\r\n\tid {}", self.origin);
        // RFC 5321 7.2: naming one of several recipients tells who the others' copies went to.
        if let [only] = self.envelope.recipients.as_slice() {
            let _ = write!(out, "\r\n\tfor <{}>", only.address);
        }
        // RFC 8314 4.3
        if let Some(tls) = self.tls {
            let _ = write!(out, "\r\n\ttls {}", tls.cipher);
        }
        let _ = write!(out, ";\r\n\t{}\r\n", self.now.rfc5322());
        out
    }

    /// RFC 3848 and RFC 6531 4.3
    fn protocol(&self) -> &'static str {
        match (
            self.envelope.smtputf8,
            self.tls.is_some(),
            self.authenticated,
        ) {
            (true, false, false) => "UTF8SMTP",
            (true, false, true) => "UTF8SMTPA",
            (true, true, false) => "UTF8SMTPS",
            (true, true, true) => "UTF8SMTPSA",
            (false, false, false) if !self.extended => "SMTP",
            (false, false, false) => "ESMTP",
            (false, false, true) => "ESMTPA",
            (false, true, false) => "ESMTPS",
            (false, true, true) => "ESMTPSA",
        }
    }
}
