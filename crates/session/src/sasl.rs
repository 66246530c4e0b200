//! SASL exchanges (RFC 4422) of every protocol: PLAIN (RFC 4616) and LOGIN.
//!
//! Invariant: a password leaves this module only inside [`Credentials`]. Refuses to know how a
//! protocol frames challenges and responses, and how it says that one is malformed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::login::{Credentials, Mechanism};

/// How far an exchange has come: what the client's next response is.
#[derive(Debug, PartialEq, Eq)]
pub enum Exchange {
    /// All of PLAIN.
    Plain,
    /// LOGIN's user name.
    LoginName,
    /// LOGIN's password.
    LoginPassword {
        /// The name that came before it.
        login: String,
    },
}

/// What a response leads to.
#[derive(Debug)]
pub enum Answer {
    /// Another challenge.
    Challenge(Exchange),
    /// All is there.
    Verify(Credentials),
    /// It is no response of this mechanism.
    Malformed,
}

impl Exchange {
    /// The start of an exchange; `None` for a mechanism that is not offered.
    pub fn begin(mechanism: &str) -> Option<Self> {
        let is = |known: Mechanism| mechanism.eq_ignore_ascii_case(known.as_str());
        if is(Mechanism::Plain) {
            Some(Self::Plain)
        } else if is(Mechanism::Login) {
            Some(Self::LoginName)
        } else {
            None
        }
    }

    /// The challenge for the next response, in base64.
    pub const fn challenge(&self) -> &'static str {
        match self {
            Self::Plain => "",
            // "Username:" and "Password:", the words that clients look for.
            Self::LoginName => "VXNlcm5hbWU6",
            Self::LoginPassword { .. } => "UGFzc3dvcmQ6",
        }
    }

    /// Takes a response in base64.
    pub fn respond_coded(self, coded: &[u8]) -> Answer {
        match STANDARD.decode(coded).map(Zeroizing::new) {
            Ok(response) => self.respond(&response),
            Err(_) => Answer::Malformed,
        }
    }

    /// Takes a response.
    pub fn respond(self, response: &[u8]) -> Answer {
        let Ok(text) = std::str::from_utf8(response) else {
            return Answer::Malformed;
        };
        let credentials = match self {
            Self::LoginName => {
                return Answer::Challenge(Self::LoginPassword {
                    login: text.to_owned(),
                });
            }
            Self::LoginPassword { login } => Credentials::new(Mechanism::Login, None, &login, text),
            Self::Plain => {
                // RFC 4616 2: [authzid] NUL authcid NUL passwd
                let mut parts = text.splitn(3, '\0');
                match (parts.next(), parts.next(), parts.next()) {
                    (act_as, Some(login), Some(password)) => {
                        Credentials::new(Mechanism::Plain, act_as, login, password)
                    }
                    _ => None,
                }
            }
        };
        credentials.map_or(Answer::Malformed, Answer::Verify)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an exchange comes to, as one line.
    fn run(mechanism: &str, responses: &[&str]) -> String {
        let Some(mut exchange) = Exchange::begin(mechanism) else {
            return String::from("not offered");
        };
        for response in responses {
            match exchange.respond(response.as_bytes()) {
                Answer::Challenge(next) => exchange = next,
                Answer::Malformed => return String::from("malformed"),
                Answer::Verify(c) => {
                    let act_as = c.act_as.as_deref().unwrap_or("-");
                    let (mechanism, password) = (c.mechanism.as_str(), c.password.as_str());
                    return format!("{mechanism} {act_as} {} {password}", c.login);
                }
            }
        }
        format!("challenge {}", exchange.challenge())
    }

    #[test]
    fn exchanges_end_in_credentials_or_are_malformed() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("plain", &[], "challenge "),
            ("PLAIN", &["\0bob\0x y"], "PLAIN - bob x y"),
            ("PLAIN", &["bob\0bob\0x"], "PLAIN - bob x"),
            ("PLAIN", &["ann\0bob\0x"], "PLAIN ann bob x"),
            ("PLAIN", &["\0bob\0x\0"], "malformed"),
            ("PLAIN", &["\0bob"], "malformed"),
            ("PLAIN", &["\0bob\0"], "malformed"),
            ("PLAIN", &["\0\0x"], "malformed"),
            ("PLAIN", &[""], "malformed"),
            ("login", &[], "challenge VXNlcm5hbWU6"),
            ("LOGIN", &["bob"], "challenge UGFzc3dvcmQ6"),
            ("LOGIN", &["bob", "x"], "LOGIN - bob x"),
            ("LOGIN", &["", "x"], "malformed"),
            ("LOGIN", &["bob", ""], "malformed"),
            ("LOGIN", &["bob", "x\0y"], "malformed"),
            ("CRAM-MD5", &[], "not offered"),
        ];
        for (mechanism, responses, expected) in cases {
            assert_eq!(
                run(mechanism, responses),
                *expected,
                "{mechanism} {responses:?}"
            );
        }
        let coded = |text: &[u8]| matches!(Exchange::Plain.respond_coded(text), Answer::Verify(_));
        assert!(coded(b"AGJvYgB4"));
        assert!(!coded(b"AGJvYgB4!"));
    }

    #[test]
    fn credentials_show_no_password() {
        let shown = Credentials::new(Mechanism::Plain, None, "bob", "secret");
        assert!(!format!("{shown:?}").contains("secret"));
    }
}
