//! MAIL and RCPT (RFC 5321 4.1.1.2 and 4.1.1.3).

use tern_base::EmailAddress;
use tern_session::Step;

use super::content::NO_MEMORY;
use super::draft::Draft;
use super::{Session, Transaction};
use crate::envelope::{Envelope, Notify, Recipient};
use crate::event::{Event, Limit};
use crate::parse::{self, Path, Wrong};
use crate::verbs::{RecipientVerdict, Sender, Verbs};

impl Session {
    pub(super) fn mail(&mut self, arguments: &str, verbs: &mut dyn Verbs) -> Step {
        if self.helo.is_none() {
            return self.refuse("503 5.5.1 Send EHLO first");
        }
        if !matches!(self.transaction, Transaction::None) {
            return self.refuse("503 5.5.1 A mail transaction is open already");
        }
        if self.needs_tls() {
            return self.refuse("530 5.7.0 Must issue a STARTTLS command first");
        }
        // RFC 6409 4.3, RFC 4954 6
        if self.is_submission() && self.authenticated.is_none() {
            return self.refuse("530 5.7.0 Authentication required");
        }
        if self.messages >= self.settings.max_messages {
            self.event(Event::LimitHit(Limit::Messages));
            self.reply("421 4.7.0 Too many messages in one session, closing");
            self.close();
            return Step::Close;
        }
        let mail = match parse::mail(arguments) {
            Ok(mail) => mail,
            Err(Wrong::Form) => return self.refuse("501 5.5.4 Syntax: MAIL FROM:<address>"),
            Err(Wrong::Address) => return self.refuse("501 5.1.7 Bad sender address"),
            Err(Wrong::Value) => return self.refuse("501 5.5.4 Bad parameter value"),
            Err(Wrong::Parameter) => return self.refuse("555 5.5.4 Parameter not recognised"),
        };
        let mail_from = match mail.path {
            Path::Null => None,
            Path::Postmaster => return self.refuse("501 5.1.7 Bad sender address"),
            Path::Address(address) => Some(address),
        };
        // RFC 6531 3.5
        if !mail.smtputf8 && mail_from.as_ref().is_some_and(EmailAddress::needs_smtputf8) {
            return self.refuse("553 5.6.7 This address needs SMTPUTF8");
        }
        // RFC 1870 6.1
        if mail
            .size
            .is_some_and(|size| size > self.settings.max_message_size)
        {
            self.event(Event::LimitHit(Limit::MessageSize));
            return self.refuse("552 5.3.4 Message too large");
        }
        if let (Some(who), Some(address)) = (&self.authenticated, &mail_from) {
            match verbs.may_send_as(who.account, address) {
                Some(true) => {}
                // RFC 6409 6.1
                Some(false) => {
                    return self.refuse("550 5.7.1 Not an address that you may send as");
                }
                None => {
                    self.reply(RecipientVerdict::Later.reply());
                    return Step::Continue;
                }
            }
        }
        self.transaction = Transaction::Open(Box::new(Draft::new(Envelope {
            mail_from,
            recipients: Vec::new(),
            body: mail.body,
            smtputf8: mail.smtputf8,
            declared_size: mail.size,
            ret: mail.ret,
            envid: mail.envid,
        })));
        self.reply("250 2.1.0 OK");
        Step::Continue
    }

    pub(super) fn rcpt(&mut self, arguments: &str, verbs: &mut dyn Verbs) -> Step {
        let (null_sender, smtputf8, count) = match &self.transaction {
            Transaction::None => return self.refuse("503 5.5.1 Send MAIL first"),
            // RFC 3030 2: no RCPT behind the first BDAT.
            Transaction::Chunking(_) => return self.refuse("503 5.5.1 The message has begun"),
            Transaction::Open(draft) => {
                let e = &draft.envelope;
                (e.mail_from.is_none(), e.smtputf8, e.recipients.len())
            }
        };
        let rcpt = match parse::rcpt(arguments) {
            Ok(rcpt) => rcpt,
            Err(Wrong::Form) => return self.refuse("501 5.5.4 Syntax: RCPT TO:<address>"),
            Err(Wrong::Address) => return self.refuse("501 5.1.3 Bad recipient address"),
            Err(Wrong::Value) => return self.refuse("501 5.5.4 Bad parameter value"),
            Err(Wrong::Parameter) => return self.refuse("555 5.5.4 Parameter not recognised"),
        };
        let address = match rcpt.path {
            Path::Address(address) => address,
            // RFC 5321 4.5.1: postmaster without a domain is this host's.
            Path::Postmaster => match verbs.postmaster(&self.settings.hostname) {
                Some(address) => address,
                None => return self.refuse("550 5.1.1 No such user"),
            },
            Path::Null => return self.refuse("501 5.1.3 Bad recipient address"),
        };
        if !smtputf8 && address.needs_smtputf8() {
            return self.refuse("553 5.6.7 This address needs SMTPUTF8");
        }
        // Once is enough: it is asked for and brought there once.
        if matches!(&self.transaction, Transaction::Open(draft) if draft.names(&address)) {
            self.reply(RecipientVerdict::Accept.reply());
            return self.count_idle_recipient();
        }
        let nulls = if null_sender {
            self.settings.max_recipients_null_sender
        } else {
            u32::MAX
        };
        if count >= nulls.min(self.max_recipients()) as usize {
            self.event(Event::LimitHit(Limit::Recipients));
            // RFC 5321 4.5.3.1.10: the client sends the rest in a message of their own.
            self.reply("452 4.5.3 Too many recipients");
            return self.count_idle_recipient();
        }
        let verdict = self.ask(verbs, &address);
        let notify = match self.authenticated {
            Some(_) => rcpt.notify,
            None => rcpt.notify.map(Notify::without_success),
        };
        let recipient = Recipient {
            address,
            notify,
            orcpt: rcpt.orcpt,
        };
        match verdict {
            RecipientVerdict::Accept => self.add_recipient(recipient, verbs),
            verdict => self.refuse_recipient(verdict, &recipient.address),
        }
    }

    fn add_recipient(&mut self, recipient: Recipient, verbs: &mut dyn Verbs) -> Step {
        let account = self.account();
        let Transaction::Open(draft) = &mut self.transaction else {
            return Step::Continue;
        };
        match draft.add(recipient, account, verbs.memory()) {
            true => {
                self.reply(RecipientVerdict::Accept.reply());
                Step::Continue
            }
            false => {
                self.event(Event::LimitHit(Limit::Memory));
                self.reply(NO_MEMORY);
                self.count_idle_recipient()
            }
        }
    }

    fn ask(&self, verbs: &mut dyn Verbs, address: &EmailAddress) -> RecipientVerdict {
        let mail_from = match &self.transaction {
            Transaction::Open(draft) => draft.envelope.mail_from.as_ref(),
            Transaction::None | Transaction::Chunking(_) => None,
        };
        let sender = Sender {
            mail_from,
            authenticated: self.authenticated.as_ref(),
            peer: &self.peer,
            helo: self.helo.as_ref().map_or("", |helo| helo.name.as_str()),
        };
        verbs.recipient(&sender, address)
    }

    fn refuse_recipient(&mut self, verdict: RecipientVerdict, recipient: &EmailAddress) -> Step {
        let line = verdict.reply();
        self.reply(line);
        let code = line.get(..3).and_then(|code| code.parse().ok());
        self.event(Event::RecipientRefused {
            code: code.unwrap_or(0),
            recipient: recipient.to_string(),
        });
        if !line.starts_with('5') {
            // It may be asked for again, but not without end: each look costs as much.
            return self.count_idle(Step::Continue);
        }
        self.refused_recipients += 1;
        if self.refused_recipients >= self.settings.max_refused_recipients {
            self.event(Event::LimitHit(Limit::RefusedRecipients));
            self.reply("421 4.7.0 Too many refused recipients, closing");
            self.close();
        }
        Step::Continue
    }
}
