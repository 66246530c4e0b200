//! CAPABILITY by state (RFC 9051 6.1.1, 7.2.2).
//!
//! Invariant: what is announced works in the state in which it is announced, but for ENABLE and IDLE, which are
//! announced from the greeting on, as by others, and take a login (RFC 5161 3.1, RFC 2177 3).

use super::{Session, State};

/// Before and after authentication alike.
const ALWAYS: &str = "IMAP4rev1 IMAP4rev2 SASL-IR LITERAL+ ID ENABLE IDLE";

/// Only where mailboxes can be reached.
const AUTHENTICATED: &str = "NAMESPACE UNSELECT UIDPLUS MOVE CHILDREN SPECIAL-USE \
    CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS ESEARCH SEARCHRES CONDSTORE QRESYNC \
    SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES \
    STATUS=SIZE OBJECTID BINARY PREVIEW SAVEDATE WITHIN MULTIAPPEND REPLACE QUOTA QUOTA=RES-STORAGE \
    UTF8=ACCEPT ACL RIGHTS=kxte LIST-MYRIGHTS PARTIAL";

impl Session {
    /// The capabilities of the session's present state.
    pub(super) fn capabilities(&self) -> String {
        let mut out = ALWAYS.to_owned();
        if !matches!(self.state, State::NotAuthenticated) {
            out.push(' ');
            out.push_str(AUTHENTICATED);
            if self.may_compress() {
                out.push_str(" COMPRESS=DEFLATE");
            }
            // RFC 7889 2
            out.push_str(" APPENDLIMIT=");
            out.push_str(&self.settings.max_message_size.to_string());
            return out;
        }
        if self.tls.is_none() && self.settings.starttls {
            out.push_str(" STARTTLS");
        }
        // RFC 9051 6.2.3, 11.1
        out.push_str(if self.may_send_password() {
            " AUTH=PLAIN AUTH=LOGIN"
        } else {
            " LOGINDISABLED"
        });
        out
    }
}
