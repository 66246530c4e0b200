//! AUTH (RFC 4954): PLAIN (RFC 4616) and LOGIN.
//!
//! Invariant: no reply tells a wrong login from a wrong password.

use tern_base::Timestamp;
use tern_session::{Answer, Exchange, SessionEvent, Step, Verified};

use super::{Phase, Session, Transaction};
use crate::event::{Event, Limit};

impl Session {
    pub(super) fn auth(&mut self, arguments: &str) -> Step {
        if !self.is_submission() {
            // RFC 5321 4.2.4
            return self.refuse("502 5.5.1 Command not implemented");
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
        if name.is_empty() {
            return self.refuse("501 5.5.4 Syntax: AUTH mechanism [initial response]");
        }
        let Some(exchange) = Exchange::begin(name) else {
            return self.refuse("504 5.5.4 Mechanism not offered");
        };
        match initial {
            Some(response) => self.respond(exchange, response.as_bytes()),
            None => self.challenge(exchange),
        }
    }

    fn challenge(&mut self, exchange: Exchange) -> Step {
        self.reply(&format!("334 {}", exchange.challenge()));
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
        match exchange.respond_coded(coded) {
            Answer::Challenge(next) => self.challenge(next),
            Answer::Malformed => self.refuse("501 5.5.2 Not a valid authentication response"),
            Answer::Verify(credentials) => {
                self.phase = Phase::Verifying {
                    login: credentials.login.clone(),
                    mechanism: credentials.mechanism,
                };
                Step::Verify(credentials)
            }
        }
    }

    /// The answer to [`Step::Verify`].
    pub(super) fn finish_auth(&mut self, outcome: Verified, now: Timestamp) {
        let (login, mechanism) = match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Verifying { login, mechanism } => (login, mechanism),
            other => {
                self.phase = other;
                return;
            }
        };
        // The wait was the server's, not the client's.
        self.set_command_deadline(now);
        match outcome {
            Verified::Accepted(who) => {
                self.event(SessionEvent::Authenticated {
                    login: who.login.clone(),
                    mechanism,
                });
                self.authenticated = Some(who);
                self.reply("235 2.7.0 Authentication succeeded");
            }
            Verified::Unavailable => {
                self.reply("454 4.7.0 Temporary authentication failure");
            }
            Verified::Refused | Verified::Throttled => {
                self.event(SessionEvent::AuthenticationFailed { login, mechanism });
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
