//! The bounds that no option changes: what a peer can make one session hold.
//!
//! Invariant: every buffer that a peer can grow has a line here or in [`crate::Settings`], and a
//! reply when it is hit.

/// Longest command line, CRLF included, in octets (RFC 5321 4.5.3.1.4). Reply: 500 5.5.2.
pub const MAX_COMMAND_LINE: usize = 512;

/// Longest MAIL or RCPT line, CRLF included, in octets: 512 and what SIZE, BODY, SMTPUTF8, DSN
/// (500 for ORCPT, 107 for ENVID) and AUTH= (500) add to it (RFC 1870 4, RFC 3461 4, RFC 4954 5,
/// RFC 6531 3.1). Reply: 500 5.5.2.
pub const MAX_ENVELOPE_LINE: usize = 2_048;

/// Longest AUTH command or SASL response line, CRLF included, in octets (RFC 4954 4). Reply:
/// 500 5.5.6.
pub const MAX_AUTH_LINE: usize = 12_288;

/// Most octets held of commands not yet executed. Beyond it the session is closed with 421; a
/// shell that obeys [`crate::Session::wants_input`] never gets there.
pub const MAX_BUFFERED_INPUT: usize = 1 << 20;

/// Octets of commands not yet executed from which [`crate::Session::wants_input`] says no.
pub const INPUT_HIGH_WATER: usize = 64 * 1024;

/// Octets of replies not yet taken from which [`crate::Session::wants_input`] says no.
pub const OUTPUT_HIGH_WATER: usize = 64 * 1024;

/// The smallest piece of the server's memory for messages in transit that is reserved, in octets.
pub const RESERVATION_STEP: usize = 64 * 1024;

/// Commands without effect (NOOP, RSET, HELP, VRFY, EHLO, MAIL, a RCPT that is refused for now, DATA that no
/// memory is left for, a chunk of no octets) since the last message, beyond which each counts as an error of the peer: each costs work, and none brings
/// mail.
pub const MAX_IDLE_COMMANDS: u32 = 100;

/// Recipients that were named before, or are too many, since the last message, beyond which each counts as a
/// command without effect: some clients name all that they have and come again with the rest.
pub const MAX_IDLE_RECIPIENTS: u32 = 1_000;

/// Most events held when nobody takes them; later ones are lost.
pub const MAX_EVENTS: usize = 256;

// In octets before decoding. Reply: 501 5.5.4.
pub use tern_base::limits::{MAX_ENVID, MAX_ORCPT};

/// Longest EHLO or HELO argument, in octets. Reply: 501 5.5.4.
pub const MAX_HELO: usize = 255;

/// Longest text of a reply that comes from another crate, in octets; the rest is cut.
pub const MAX_REPLY_TEXT: usize = 400;

/// Longest reply line that the client accepts, in octets: twice RFC 5321 4.5.3.1.5, because a
/// long text is no reason to lose a message.
pub const MAX_REPLY_LINE: usize = 1_024;

/// Most lines of one reply that the client accepts.
pub const MAX_REPLY_LINES: usize = 128;
