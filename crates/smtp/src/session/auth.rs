//! AUTH (RFC 4954): PLAIN (RFC 4616) and LOGIN.
//!
//! Invariant: a password leaves this module only inside [`Credentials`], and no reply tells a
//! wrong login from a wrong password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Exchange, Phase, Session, Step, Transaction};
use crate::event::{Event, Limit};
use crate::verbs::{Authenticated, Credentials, Mechanism, Verified};

const BAD_RESPONSE: &str = "501 5.5.2 Not a valid authentication response";

impl Session {
    pub(super) fn auth(&mut self, arguments: &str) -> Step {
        if !self.is_submission() {
            return self.refuse("503 5.5.1 Authentication is not offered here");
        }
        if !self.helo.as_ref().is_some_and(|helo| helo.extended) {
            return self.refuse("503 5.5.1 Send EHLO first");
        }
        // RFC 4954 4: once, and not within a transaction.
        if self.authenticated.is_some() {
            return self.refuse("503 5.5.1 Already authenticated");
        }
        if !matches!(self.transaction, Transaction::None) {
            return self.refuse("503 5.5.1 Not within a mail transaction");
        }
        if self.needs_tls() {
            return self.refuse("530 5.7.0 Must issue a STARTTLS command first");
        }
        if !self.may_send_password() {
            // RFC 4954 6
            return self.refuse("538 5.7.11 Encryption required for authentication");
        }
        let (name, initial) = match arguments.split_once(' ') {
            Some((name, initial)) => (name, Some(initial.trim_start_matches(' '))),
            None => (arguments, None),
        };
        let exchange = if name.eq_ignore_ascii_case("PLAIN") {
            Exchange::Plain
        } else if name.eq_ignore_ascii_case("LOGIN") {
            Exchange::LoginName
        } else if name.is_empty() {
            return self.refuse("501 5.5.4 Syntax: AUTH mechanism [initial response]");
        } else {
            return self.refuse("504 5.5.4 Mechanism not offered");
        };
        match initial {
            Some(response) => self.respond(exchange, response.as_bytes()),
            None => self.challenge(exchange),
        }
    }

    fn challenge(&mut self, exchange: Exchange) -> Step {
        self.reply(match exchange {
            Exchange::Plain => "334 ",
            // "Username:" and "Password:", the words that clients look for.
            Exchange::LoginName => "334 VXNlcm5hbWU6",
            Exchange::LoginPassword { .. } => "334 UGFzc3dvcmQ6",
        });
        self.phase = Phase::Sasl(exchange);
        Step::Continue
    }

    pub(super) fn sasl_response(&mut self, line: &[u8]) -> Step {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Sasl(_) if line == b"*" => self.refuse("501 5.7.0 Authentication cancelled"),
            Phase::Sasl(exchange) => self.respond(exchange, line),
            other => {
                self.phase = other;
                Step::Continue
            }
        }
    }

    fn respond(&mut self, exchange: Exchange, coded: &[u8]) -> Step {
        // RFC 4954 4: `=` is an initial response of no octets.
        let coded = if coded == b"=" { b"" } else { coded };
        let decoded = STANDARD.decode(coded).map(Zeroizing::new);
        let text = decoded
            .ok()
            .and_then(|d| String::from_utf8(d.to_vec()).ok());
        let Some(text) = text.map(Zeroizing::new) else {
            return self.refuse(BAD_RESPONSE);
        };
        match exchange {
            Exchange::Plain => {
                // RFC 4616 2: [authzid] NUL authcid NUL passwd
                let mut parts = text.split('\0');
                let (act_as, login, password) = (parts.next(), parts.next(), parts.next());
                let (Some(act_as), Some(login), Some(password), None) =
                    (act_as, login, password, parts.next())
                else {
                    return self.refuse(BAD_RESPONSE);
                };
                let act_as = Some(act_as).filter(|name| !name.is_empty() && *name != login);
                self.verify(Mechanism::Plain, act_as, login, password)
            }
            Exchange::LoginName => self.challenge(Exchange::LoginPassword {
                login: text.to_string(),
            }),
            Exchange::LoginPassword { login } => self.verify(Mechanism::Login, None, &login, &text),
        }
    }

    fn verify(
        &mut self,
        mechanism: Mechanism,
        act_as: Option<&str>,
        login: &str,
        password: &str,
    ) -> Step {
        if login.is_empty() || password.is_empty() || password.contains('\0') {
            return self.refuse(BAD_RESPONSE);
        }
        self.phase = Phase::Verifying {
            login: login.to_owned(),
            mechanism,
        };
        Step::Verify(Credentials {
            mechanism,
            act_as: act_as.map(str::to_owned),
            login: login.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        })
    }

    /// The answer to [`Step::Verify`].
    pub fn verified(&mut self, outcome: Verified) {
        let (login, mechanism) = match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Verifying { login, mechanism } => (login, mechanism),
            other => {
                self.phase = other;
                return;
            }
        };
        match outcome {
            Verified::Accepted { account, login } => {
                self.event(Event::Authenticated {
                    login: login.clone(),
                    mechanism,
                });
                self.authenticated = Some(Authenticated {
                    account,
                    login,
                    mechanism,
                });
                self.reply("235 2.7.0 Authentication succeeded");
            }
            Verified::Unavailable => {
                self.reply("454 4.7.0 Temporary authentication failure");
            }
            Verified::Refused | Verified::Throttled => {
                self.event(Event::AuthenticationFailed { login, mechanism });
                self.auth_failures += 1;
                if self.auth_failures >= self.settings.max_auth_failures {
                    self.event(Event::LimitHit(Limit::AuthFailures));
                    self.reply("421 4.7.0 Too many failed authentications, closing");
                    self.close();
                } else if outcome == Verified::Refused {
                    self.reply("535 5.7.8 Authentication credentials invalid");
                } else {
                    self.reply("454 4.7.0 Too many failed authentications, try again later");
                }
            }
        }
    }
}
