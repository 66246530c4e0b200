//! The commands that touch no message: EHLO, HELO, RSET, NOOP, VRFY, HELP, QUIT, STARTTLS, and
//! all that is refused.

use std::io::Write as _;

use tern_base::{Entropy, Timestamp};
use tern_session::{SessionEvent, Step};

use super::{Helo, Phase, Session, Transaction};
use crate::limits::MAX_HELO;
use crate::parse::{self, Verb};
use crate::role::Role;
use crate::verbs::Verbs;

impl Session {
    /// Executes one command line, given without its CRLF.
    pub(super) fn command(
        &mut self,
        line: &[u8],
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Step {
        if line.contains(&b'\r') {
            self.event(SessionEvent::InjectionRefused);
            return self.refuse("500 5.5.2 Bare CR in a command");
        }
        if line.iter().any(u8::is_ascii_control) {
            return self.refuse("500 5.5.2 Control character in a command");
        }
        let Ok(line) = std::str::from_utf8(line) else {
            return self.refuse("500 5.5.2 A command is ASCII, or UTF-8 after SMTPUTF8");
        };
        let (verb, arguments) = parse::verb(line);
        match verb {
            Verb::Mail => {
                let step = self.mail(arguments, verbs);
                self.count_idle(step)
            }
            Verb::Rcpt => self.rcpt(arguments, verbs),
            Verb::Bdat => self.bdat(arguments, verbs, now, entropy),
            Verb::Helo | Verb::Ehlo => {
                let step = self.hello(arguments, verb == Verb::Ehlo);
                self.count_idle(step)
            }
            Verb::Auth => self.auth(arguments),
            Verb::Vrfy => {
                let step = self.vrfy(arguments);
                self.count_idle(step)
            }
            Verb::Noop => self.answer_idle("250 2.0.0 OK"),
            Verb::Help => self.answer_idle(
                "214 2.0.0 EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT STARTTLS AUTH",
            ),
            Verb::Absent => self.refuse("502 5.5.1 Command not implemented"),
            Verb::Unknown => self.refuse("500 5.5.1 Command not recognised"),
            Verb::Foreign => {
                self.event(SessionEvent::InjectionRefused);
                self.reply("500 5.5.1 This is SMTP, closing");
                self.close();
                Step::Close
            }
            // RFC 5321 4.3.2: these have no arguments.
            Verb::Data | Verb::Rset | Verb::Quit | Verb::StartTls if !arguments.is_empty() => {
                self.refuse("501 5.5.4 No arguments are allowed here")
            }
            Verb::Data => self.data(verbs, now, entropy),
            Verb::Rset => {
                self.transaction = Transaction::None;
                self.answer_idle("250 2.0.0 OK")
            }
            Verb::StartTls => self.starttls(),
            Verb::Quit => {
                self.reply("221 2.0.0 Bye");
                self.close();
                Step::Close
            }
        }
    }

    fn answer_idle(&mut self, line: &str) -> Step {
        self.reply(line);
        self.count_idle(Step::Continue)
    }

    fn answer(&mut self, line: &str) -> Step {
        self.reply(line);
        Step::Continue
    }

    /// RFC 5321 4.1.1.1
    fn hello(&mut self, name: &str, extended: bool) -> Step {
        // The name goes into the Received header: a domain's or an address literal's characters.
        let fits = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        if name.is_empty() || name.len() > MAX_HELO || !name.bytes().all(fits) {
            return self.refuse("501 5.5.4 A domain or an address literal is needed");
        }
        // RFC 5321 4.1.4: EHLO resets as RSET does.
        self.transaction = Transaction::None;
        self.helo = Some(Helo {
            name: name.to_owned(),
            extended,
        });
        if extended {
            self.write_extensions(name);
        } else {
            let _ = write!(self.output, "250 {}\r\n", self.settings.hostname);
        }
        Step::Continue
    }

    /// RFC 2034 4: no enhanced status code in this reply.
    fn write_extensions(&mut self, name: &str) {
        let recipients = self.max_recipients();
        let (tls, auth) = (self.offers_tls(), self.offers_auth());
        let s = &self.settings;
        let out = &mut self.output;
        let _ = write!(
            out,
            "250-{} greets {name}\r\n250-PIPELINING\r\n250-SIZE {}\r\n250-8BITMIME\r\n\
             250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-CHUNKING\r\n\
             250-BINARYMIME\r\n250-LIMITS MAILMAX={} RCPTMAX={recipients}\r\n",
            s.hostname, s.max_message_size, s.max_messages,
        );
        if tls {
            out.extend_from_slice(b"250-STARTTLS\r\n");
        }
        if auth {
            out.extend_from_slice(b"250-AUTH PLAIN LOGIN\r\n");
        }
        out.extend_from_slice(b"250 HELP\r\n");
    }

    pub(super) fn max_recipients(&self) -> u32 {
        match self.role {
            Role::Reception => self.settings.max_recipients_reception,
            Role::Submission => self.settings.max_recipients_submission,
        }
    }

    fn offers_tls(&self) -> bool {
        self.settings.starttls && self.tls.is_none()
    }

    /// RFC 4954 3; RFC 8314 3.3: not in the clear.
    fn offers_auth(&self) -> bool {
        self.is_submission() && self.authenticated.is_none() && self.may_send_password()
    }

    pub(super) fn may_send_password(&self) -> bool {
        let in_the_clear = self.settings.auth_without_tls && !self.settings.submission_requires_tls;
        self.tls.is_some() || in_the_clear
    }

    /// Whether TLS must come first (RFC 3207 4).
    pub(super) fn needs_tls(&self) -> bool {
        self.is_submission() && self.settings.submission_requires_tls && self.tls.is_none()
    }

    /// RFC 3207 4
    fn starttls(&mut self) -> Step {
        if self.tls.is_some() {
            return self.refuse("503 5.5.1 TLS is on already");
        }
        if !self.settings.starttls {
            return self.refuse("502 5.5.1 Command not implemented");
        }
        self.phase = Phase::StartingTls;
        Step::StartTls
    }

    /// RFC 5321 3.5.3: an answer that tells nobody who exists.
    fn vrfy(&mut self, arguments: &str) -> Step {
        if arguments.is_empty() {
            return self.refuse("501 5.5.4 An address is needed");
        }
        self.answer("252 2.0.0 Cannot verify, but will take mail and try")
    }
}
