//! LOGIN and AUTHENTICATE (RFC 9051 6.2.2, 6.2.3): PLAIN (RFC 4616) and LOGIN.
//!
//! Invariant: a password leaves this module only inside [`Credentials`], and no answer tells a
//! wrong login from a wrong password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tern_base::Timestamp;
use zeroize::Zeroizing;

use super::{Authenticated, Credentials, Mechanism, Phase, Session, State, Step, Verified};
use crate::command::{Secret, Tag};
use crate::event::{Event, Limit};
use crate::limits::FrameLimits;
use crate::respond::status::{Code, CodeName, Condition};

/// How far a SASL exchange has come.
pub(super) enum Exchange {
    /// PLAIN without an initial response.
    Plain,
    /// LOGIN, asked for the user name.
    LoginName,
    /// LOGIN, asked for the password.
    LoginPassword { login: String },
}

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
        self.verify(tag, Mechanism::Login, None, username, &password)
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
        let exchange = match mechanism {
            "PLAIN" => Exchange::Plain,
            "LOGIN" => Exchange::LoginName,
            _ => {
                let code = Some(CodeName::Cannot.into());
                self.out
                    .tagged(&tag, Condition::No, code, "Mechanism not offered");
                return Step::Continue;
            }
        };
        match initial {
            Some(response) => self.respond(tag, exchange, &response),
            None => self.challenge(tag, exchange),
        }
    }

    fn challenge(&mut self, tag: Tag, exchange: Exchange) -> Step {
        // "Username:" and "Password:", the words that clients look for.
        self.out.continuation(match exchange {
            Exchange::Plain => "",
            Exchange::LoginName => "VXNlcm5hbWU6",
            Exchange::LoginPassword { .. } => "UGFzc3dvcmQ6",
        });
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
        match STANDARD.decode(line.trim_ascii_end()).map(Zeroizing::new) {
            Ok(response) => self.respond(tag, exchange, &response),
            Err(_) => self.bad_response(&tag),
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

    fn respond(&mut self, tag: Tag, exchange: Exchange, response: &[u8]) -> Step {
        let Ok(text) = std::str::from_utf8(response) else {
            return self.bad_response(&tag);
        };
        match exchange {
            Exchange::Plain => {
                // RFC 4616 2: [authzid] NUL authcid NUL passwd
                let mut parts = text.split('\0');
                let (act_as, login, password) = (parts.next(), parts.next(), parts.next());
                let (Some(act_as), Some(login), Some(password), None) =
                    (act_as, login, password, parts.next())
                else {
                    return self.bad_response(&tag);
                };
                let act_as = Some(act_as).filter(|name| !name.is_empty() && *name != login);
                self.verify(tag, Mechanism::Plain, act_as, login, password)
            }
            Exchange::LoginName => self.challenge(
                tag,
                Exchange::LoginPassword {
                    login: text.to_owned(),
                },
            ),
            Exchange::LoginPassword { login } => {
                self.verify(tag, Mechanism::Login, None, &login, text)
            }
        }
    }

    fn verify(
        &mut self,
        tag: Tag,
        mechanism: Mechanism,
        act_as: Option<&str>,
        login: &str,
        password: &str,
    ) -> Step {
        if login.is_empty() || password.is_empty() {
            return self.bad_response(&tag);
        }
        self.phase = Phase::Verifying {
            tag,
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
    pub fn verified(&mut self, outcome: Verified, now: Timestamp) {
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
            Verified::Accepted { account, login } => {
                self.event(Event::Authenticated {
                    login: login.clone(),
                    mechanism,
                });
                let who = Authenticated {
                    account,
                    login,
                    mechanism,
                };
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
                self.event(Event::AuthenticationFailed { login, mechanism });
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
