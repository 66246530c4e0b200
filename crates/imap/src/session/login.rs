//! LOGIN and AUTHENTICATE (RFC 9051 6.2.2, 6.2.3): PLAIN (RFC 4616) and LOGIN.
//!
//! Invariant: no answer tells a wrong login from a wrong password.

use tern_base::Timestamp;
use tern_session::{Credentials, Exchange, Mechanism, SessionEvent, Step, Verified};
use zeroize::Zeroizing;

use super::{Phase, Session, State};
use crate::command::{Secret, Tag};
use crate::event::{Event, Limit};
use crate::limits::FrameLimits;
use crate::respond::status::{Code, CodeName, Condition};

impl Session {
    /// Whether a password may cross this connection.
    pub(super) fn may_send_password(&self) -> bool {
        self.tls.is_some() || self.settings.auth_without_tls
    }

    /// Whether authentication may begin; answers where not.
    fn may_authenticate(&mut self, tag: &Tag) -> bool {
        if !matches!(self.state, State::NotAuthenticated) {
            self.out
                .tagged(tag, Condition::Bad, None, "Already authenticated");
            return false;
        }
        if !self.may_send_password() {
            // RFC 9051 6.2.3, RFC 5530 3
            let code = Some(CodeName::PrivacyRequired.into());
            self.out.tagged(
                tag,
                Condition::No,
                code,
                "TLS is needed before authentication",
            );
            return false;
        }
        true
    }

    pub(super) fn login(&mut self, tag: Tag, username: &str, password: Secret<String>) -> Step {
        let password = Zeroizing::new(password.0);
        if !self.may_authenticate(&tag) {
            return Step::Continue;
        }
        match Credentials::new(Mechanism::Login, None, username, &password) {
            Some(credentials) => self.verify(tag, credentials),
            None => self.bad_response(&tag),
        }
    }

    pub(super) fn authenticate(
        &mut self,
        tag: Tag,
        mechanism: &str,
        initial: Option<Secret<Vec<u8>>>,
    ) -> Step {
        let initial = initial.map(|secret| Zeroizing::new(secret.0));
        if !self.may_authenticate(&tag) {
            return Step::Continue;
        }
        let Some(exchange) = Exchange::begin(mechanism) else {
            let code = Some(CodeName::Cannot.into());
            self.out
                .tagged(&tag, Condition::No, code, "Mechanism not offered");
            return Step::Continue;
        };
        match initial {
            Some(response) => self.answer(tag, exchange.respond(&response)),
            None => self.challenge(tag, exchange),
        }
    }

    fn challenge(&mut self, tag: Tag, exchange: Exchange) -> Step {
        self.out.continuation(exchange.challenge());
        self.framer.expect_line();
        self.phase = Phase::Sasl { tag, exchange };
        Step::Continue
    }

    /// The client's line in an exchange.
    pub(super) fn sasl_line(&mut self, tag: Tag, exchange: Exchange, line: &[u8]) -> Step {
        // RFC 9051 6.2.2: `*` cancels, and that and bad base64 are answered BAD.
        if line == b"*" {
            self.out
                .tagged(&tag, Condition::Bad, None, "Authentication cancelled");
            return Step::Continue;
        }
        self.answer(tag, exchange.respond_coded(line.trim_ascii_end()))
    }

    fn answer(&mut self, tag: Tag, answer: tern_session::Answer) -> Step {
        match answer {
            tern_session::Answer::Challenge(next) => self.challenge(tag, next),
            tern_session::Answer::Verify(credentials) => self.verify(tag, credentials),
            tern_session::Answer::Malformed => self.bad_response(&tag),
        }
    }

    fn bad_response(&mut self, tag: &Tag) -> Step {
        self.out.tagged(
            tag,
            Condition::Bad,
            None,
            "Not a valid authentication response",
        );
        self.count_bad()
    }

    fn verify(&mut self, tag: Tag, credentials: Credentials) -> Step {
        self.phase = Phase::Verifying {
            tag,
            login: credentials.login.clone(),
            mechanism: credentials.mechanism,
        };
        Step::Verify(credentials)
    }

    /// The answer to [`Step::Verify`].
    pub(super) fn finish_login(&mut self, outcome: Verified, now: Timestamp) {
        let (tag, login, mechanism) = match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Verifying {
                tag,
                login,
                mechanism,
            } => (tag, login, mechanism),
            other => {
                self.phase = other;
                return;
            }
        };
        match outcome {
            Verified::Accepted(who) => {
                self.event(SessionEvent::Authenticated {
                    login: who.login.clone(),
                    mechanism,
                });
                self.state = State::Authenticated {
                    who,
                    selected: None,
                };
                self.framer
                    .set_limits(FrameLimits::authenticated(self.settings.max_message_size));
                self.set_deadline(now);
                let list = self.capabilities();
                let code = Some(Code::Capability(&list));
                self.out.tagged(&tag, Condition::Ok, code, "Logged in");
            }
            Verified::Unavailable => {
                let code = Some(CodeName::Unavailable.into());
                self.out.tagged(
                    &tag,
                    Condition::No,
                    code,
                    "Temporary authentication failure",
                );
            }
            Verified::Refused | Verified::Throttled => {
                self.event(SessionEvent::AuthenticationFailed { login, mechanism });
                self.login_failures += 1;
                let (code, text) = if outcome == Verified::Refused {
                    (CodeName::AuthenticationFailed, "Authentication failed")
                } else {
                    (
                        CodeName::Limit,
                        "Too many failed authentications, try again later",
                    )
                };
                self.out
                    .tagged(&tag, Condition::No, Some(code.into()), text);
                if self.login_failures >= self.settings.max_auth_failures {
                    self.event(Event::LimitHit(Limit::AuthFailures));
                    self.bye(None, "Too many failed authentications");
                }
            }
        }
    }
}
