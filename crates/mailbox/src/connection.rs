//! The connection by which a client of an account asks for something: how it proved who it is, and
//! from where.
//!
//! What is asked for in one transaction and judged in a later one keeps it in a row, so that the
//! judgement is about the connection that did this very thing and not about the account's last one.
//!
//! Refuses to judge: whether a connection is good enough for something is for the floors above.

use tern_base::codec::{Damaged, Reader, Writer};

use crate::DeviceId;

const VERSION: u8 = 1;

/// One connection of a client that has authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `imap`, `smtp`, ...
    pub protocol: String,
    /// The registered name of the mechanism (`PLAIN`).
    pub mechanism: String,
    /// Whether an app password was shown, and not the account's own.
    pub app_password: bool,
    /// The address of the other end.
    pub address: String,
    /// Whether it is under TLS.
    pub tls: bool,
    /// What tells the client from others of the account.
    pub device: DeviceId,
}

impl Connection {
    /// As a row, or a part of one.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        w.text(&self.protocol).text(&self.mechanism);
        w.byte(self.app_password.into()).text(&self.address);
        w.byte(self.tls.into()).array(&self.device.0);
        w.finish()
    }

    /// Reads what [`Connection::encode`] writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        Ok(Self {
            protocol: r.text()?,
            mechanism: r.text()?,
            app_password: r.byte()? != 0,
            address: r.text()?,
            tls: r.byte()? != 0,
            device: DeviceId(r.array()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_all_of_it() {
        for flag in [false, true] {
            let connection = Connection {
                protocol: "imap".into(),
                mechanism: "PLAIN".into(),
                app_password: flag,
                address: "192.0.2.1".into(),
                tls: !flag,
                device: DeviceId([7; 8]),
            };
            let row = connection.encode();
            assert_eq!(Connection::decode(&row), Ok(connection));
            assert_eq!(Connection::decode(&row[..row.len() - 1]), Err(Damaged));
        }
    }
}
