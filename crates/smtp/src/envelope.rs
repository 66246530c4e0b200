//! The envelope of a message: MAIL, RCPT and their parameters as types.

use tern_base::EmailAddress;

/// What the body of a message may hold (RFC 6152, RFC 3030 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// `BODY=7BIT`, or no BODY parameter.
    #[default]
    SevenBit,
    /// `BODY=8BITMIME`.
    EightBitMime,
    /// `BODY=BINARYMIME`: any octets, lines of any length; came by BDAT.
    BinaryMime,
}

impl BodyType {
    /// The keyword of the BODY parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

/// How much of the message a failure notification gives back (RFC 3461 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `RET=FULL`
    Full,
    /// `RET=HDRS`
    Headers,
}

/// When the sender wants to be notified about a recipient (RFC 3461 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notify {
    /// `NOTIFY=NEVER`
    Never,
    /// Any of `SUCCESS`, `FAILURE` and `DELAY`; at least one is set.
    On {
        /// When it has been delivered.
        success: bool,
        /// When it can't be delivered.
        failure: bool,
        /// When its delivery takes long.
        delay: bool,
    },
}

impl Notify {
    /// The same without notifications of success. Nobody has shown that the reverse-path of an
    /// unauthenticated sender is theirs, and a notification that anybody can have sent to anybody
    /// is what backscatter is made of. Here the rule of RFC 3461 5.2.3 gives way.
    #[must_use]
    pub const fn without_success(self) -> Self {
        match self {
            Self::On { failure, delay, .. } if failure || delay => Self::On {
                success: false,
                failure,
                delay,
            },
            Self::On { .. } | Self::Never => Self::Never,
        }
    }
}

/// The recipient that the sender named first (RFC 3461 4.2), out of its xtext coding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    /// The address type, in lower case: `rfc822`, `utf-8` (RFC 6533) or another.
    pub kind: String,
    /// The address in the form of that type.
    pub address: String,
}

/// One accepted recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Where the message goes.
    pub address: EmailAddress,
    /// When to notify; `None`: not asked, so on failure (RFC 3461 4.1) and by rule on delay.
    pub notify: Option<Notify>,
    /// The original recipient, if given.
    pub orcpt: Option<OriginalRecipient>,
}

/// The envelope of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse-path; `None` is the null sender.
    pub mail_from: Option<EmailAddress>,
    /// The recipients that were accepted, in order, each once.
    pub recipients: Vec<Recipient>,
    /// What the body may hold.
    pub body: BodyType,
    /// Whether addresses and headers may be UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// The SIZE that the client declared, in octets.
    pub declared_size: Option<u64>,
    /// How much a failure notification gives back; `None`: not asked.
    pub ret: Option<Ret>,
    /// The client's id of this envelope for notifications, out of its xtext coding.
    pub envid: Option<String>,
}
