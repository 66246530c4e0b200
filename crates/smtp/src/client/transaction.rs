//! One message on its way out: MAIL, RCPT, DATA, pipelined where the server takes it (RFC 2920).
//!
//! Invariant: replies are matched to commands in order; a recipient's outcome is set once. No more
//! recipients are named than the server takes in one transaction; of each transaction that is begun one at
//! least is named.

use std::collections::VecDeque;
use std::fmt::Write as _;

use tern_base::dsn;

use super::extensions::Extensions;
use super::reply::Reply;
use super::stuff::{PIECE, Stuffer};
use super::{Cause, End, Outcome, Outgoing};
use crate::envelope::{BodyType, Notify, Recipient, Ret};

/// The most commands sent ahead of their replies.
const MAX_PIPELINED: usize = 100;

/// A command whose reply is awaited.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    Rset,
    Mail,
    Rcpt(usize),
    Data,
    /// The end of the data, or the last chunk.
    End,
    /// The end of a message that nobody gets.
    Nothing,
}

/// What is to be sent next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Rset,
    Mail,
    Rcpt(usize),
    Content,
    Nothing,
}

/// What is known of one recipient.
enum State {
    Open,
    Accepted,
    Done(Outcome),
}

/// What the session does with the transaction.
pub(super) enum Progress {
    Going,
    Done,
    /// The server and this side disagree about what was said: the session ends.
    Broken,
}

/// How the content goes.
enum Content {
    NotYet,
    Dotted(Stuffer),
    /// As it is, behind BDAT: so much of it is out.
    Counted(usize),
    Sent,
}

pub(super) struct Transaction {
    message: Outgoing,
    body: BodyType,
    smtputf8: bool,
    states: Vec<State>,
    /// How many recipients are named.
    named: usize,
    awaited: VecDeque<Awaited>,
    next: Next,
    content: Content,
    /// How many were taken before the server said that there are too many.
    most_taken: Option<usize>,
}

impl Transaction {
    /// `most`: how many recipients the server takes.
    pub(super) fn new(message: Outgoing, offered: &Extensions, most: usize, reset: bool) -> Self {
        let mut states = Vec::new();
        let wanted = needs(&message, offered);
        let (body, smtputf8) = *wanted.as_ref().unwrap_or(&(BodyType::SevenBit, false));
        let all = message.envelope.recipients.len();
        let named = most.min(all);
        for n in 0..all {
            states.push(match &wanted {
                Ok(_) if n >= named => State::Done(Outcome::Surplus),
                Ok(_) => State::Open,
                Err(cause) => State::Done(Outcome::Rejected(cause.clone())),
            });
        }
        let next = match wanted {
            Err(_) => Next::Nothing,
            Ok(_) if states.is_empty() => Next::Nothing,
            Ok(_) if reset => Next::Rset,
            Ok(_) => Next::Mail,
        };
        let content = Content::NotYet;
        Self {
            message,
            body,
            smtputf8,
            states,
            named,
            awaited: VecDeque::new(),
            next,
            content,
            most_taken: None,
        }
    }

    /// Sends what may be sent now.
    pub(super) fn pump(&mut self, offered: &Extensions, out: &mut Vec<u8>) -> Progress {
        let ahead = if offered.pipelining { MAX_PIPELINED } else { 1 };
        while self.awaited.len() < ahead {
            match self.next {
                Next::Rset => {
                    out.extend_from_slice(b"RSET\r\n");
                    self.awaited.push_back(Awaited::Rset);
                    self.next = Next::Mail;
                }
                Next::Mail => {
                    self.write_mail(offered, out);
                    self.awaited.push_back(Awaited::Mail);
                    self.next = Next::Rcpt(0);
                }
                Next::Rcpt(index) => match self.message.envelope.recipients.get(index) {
                    Some(recipient) if index < self.named => {
                        write_rcpt(recipient, offered.dsn, self.smtputf8, out);
                        self.awaited.push_back(Awaited::Rcpt(index));
                        self.next = Next::Rcpt(index + 1);
                    }
                    _ => self.next = Next::Content,
                },
                Next::Content => {
                    let binary = self.body == BodyType::BinaryMime;
                    // RFC 3030 2: what follows BDAT can't be taken back, so it waits for the
                    // recipients, as everything does without PIPELINING.
                    if (binary || !offered.pipelining) && !self.awaited.is_empty() {
                        break;
                    }
                    if self.awaited.is_empty() && !self.any_accepted() {
                        self.next = Next::Nothing;
                        continue;
                    }
                    self.write_content(binary, out);
                    self.next = Next::Nothing;
                }
                Next::Nothing => break,
            }
        }
        let over = self.awaited.is_empty() && matches!(self.next, Next::Nothing);
        if over {
            Progress::Done
        } else {
            Progress::Going
        }
    }

    /// Acts on the reply to the oldest command.
    pub(super) fn reply(
        &mut self,
        reply: Reply,
        offered: &Extensions,
        out: &mut Vec<u8>,
    ) -> Progress {
        match self.awaited.pop_front() {
            None => return Progress::Broken,
            Some(Awaited::Rset | Awaited::Nothing) => {}
            Some(Awaited::Mail) if reply.is_positive() => {}
            Some(Awaited::Mail) => {
                // It is about the message, so it holds for whoever was not named as well.
                for state in &mut self.states {
                    *state = State::Done(Outcome::NotBegun(reply.clone()));
                }
                self.next = Next::Nothing;
            }
            Some(Awaited::Rcpt(index)) => self.rcpt_reply(index, &reply),
            Some(Awaited::Data) if reply.code == 354 => {
                if self.any_accepted() {
                    self.content = Content::Dotted(Stuffer::new());
                    self.awaited.push_back(Awaited::End);
                } else {
                    // RFC 2920 3.1: the server wants content though it took no recipient.
                    out.extend_from_slice(b".\r\n");
                    self.awaited.push_back(Awaited::Nothing);
                }
            }
            Some(Awaited::Data) if reply.is_positive() => return Progress::Broken,
            Some(Awaited::Data) => self.settle(&reply),
            Some(Awaited::End) => {
                if self.is_streaming() {
                    // It answered before the end of the data: no more can be said in step.
                    self.settle_early(&reply);
                    return Progress::Broken;
                }
                self.settle(&reply);
            }
        }
        self.pump(offered, out)
    }

    fn rcpt_reply(&mut self, index: usize, reply: &Reply) {
        let (taken, says_too_many) = (self.accepted(), says_too_many(reply));
        let Some(state @ State::Open) = self.states.get_mut(index) else {
            return;
        };
        *state = match reply.code {
            200..=299 => State::Accepted,
            _ if says_too_many && taken > 0 => {
                self.most_taken.get_or_insert(taken);
                State::Done(Outcome::Surplus)
            }
            // RFC 5321 4.5.3.1.10: some say 552 where they mean 452. One can't be too many: there
            // were too many of something else, such as messages in an hour.
            552 => State::Done(Outcome::Deferred(Cause::Reply(reply.clone()))),
            _ if says_too_many => State::Done(Outcome::Deferred(Cause::Reply(reply.clone()))),
            _ => State::Done(outcome(reply)),
        };
    }

    /// What the server says to the content is said to everybody whom it took.
    fn settle(&mut self, reply: &Reply) {
        let is_of_all = reply.code / 100 == 4 || (reply.is_permanent() && says_too_many(reply));
        let outcome = match self.accepted() > 1 && is_of_all {
            // Some can't answer for each, and have those whose answers differ come again.
            true => Outcome::Deferred(Cause::Together(reply.clone())),
            false => outcome(reply),
        };
        self.settle_accepted(&outcome);
    }

    fn settle_early(&mut self, reply: &Reply) {
        match reply.is_positive() {
            // It says that it has taken what it can't have seen whole.
            true => self.settle_accepted(&Outcome::Unanswered(End::Protocol)),
            false => self.settle(reply),
        }
    }

    fn settle_accepted(&mut self, outcome: &Outcome) {
        let states = self.states.iter_mut();
        for state in states.filter(|state| matches!(state, State::Accepted)) {
            *state = State::Done(outcome.clone());
        }
    }

    fn any_accepted(&self) -> bool {
        self.accepted() > 0
    }

    fn accepted(&self) -> usize {
        let states = self.states.iter();
        states.filter(|it| matches!(it, State::Accepted)).count()
    }

    /// How many were taken before the server said that there are too many.
    pub(super) fn most_taken(&self) -> Option<usize> {
        self.most_taken
    }

    /// The outcome of every recipient; those that have none yet were cut off by `end`. `written`:
    /// all output is in the hands of the shell.
    pub(super) fn outcomes(self, end: &End, written: bool) -> Vec<Outcome> {
        let whole = written && self.is_whole();
        let outcome = |state| match (state, end) {
            (State::Done(outcome), _) => outcome,
            // 421 is an answer, if to nobody in particular.
            (_, End::Refused(_)) => Outcome::Deferred(Cause::Ended(end.clone())),
            (State::Accepted, end) if whole => Outcome::Unanswered(end.clone()),
            (_, end) => Outcome::Deferred(Cause::Ended(end.clone())),
        };
        self.states.into_iter().map(outcome).collect()
    }

    pub(super) fn is_streaming(&self) -> bool {
        matches!(&self.content, Content::Dotted(_) | Content::Counted(_))
    }

    pub(super) fn content_begun(&self) -> bool {
        !matches!(self.content, Content::NotYet)
    }

    /// Whether all of the content was handed out.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.content, Content::Sent)
    }

    pub(super) fn size(&self) -> usize {
        self.message.content.len()
    }

    /// Appends the next piece of content.
    pub(super) fn stream(&mut self, out: &mut Vec<u8>) {
        let content = &self.message.content;
        let done = match &mut self.content {
            Content::NotYet | Content::Sent => false,
            Content::Dotted(stuffer) => {
                stuffer.next(content, out);
                stuffer.is_done()
            }
            Content::Counted(at) => {
                let rest = content.get(*at..).unwrap_or_default();
                let piece = rest.get(..PIECE).unwrap_or(rest);
                out.extend_from_slice(piece);
                *at += piece.len();
                piece.len() == rest.len()
            }
        };
        if done {
            self.content = Content::Sent;
        }
    }

    fn write_mail(&self, offered: &Extensions, out: &mut Vec<u8>) {
        let envelope = &self.message.envelope;
        let mut line = String::from("MAIL FROM:<");
        // Writing to a String can't fail, here and below.
        if let Some(from) = &envelope.mail_from {
            let _ = write!(line, "{from}");
        }
        line.push('>');
        if offered.size.is_some() {
            let _ = write!(line, " SIZE={}", self.size());
        }
        if self.body != BodyType::SevenBit {
            let _ = write!(line, " BODY={}", self.body.as_str());
        }
        if self.smtputf8 {
            line.push_str(" SMTPUTF8");
        }
        if offered.dsn {
            match envelope.ret {
                Some(Ret::Full) => line.push_str(" RET=FULL"),
                Some(Ret::Headers) => line.push_str(" RET=HDRS"),
                None => {}
            }
            if let Some(envid) = envelope.envid.as_ref().filter(|id| dsn::is_envid(id)) {
                let _ = write!(line, " ENVID={}", dsn::xtext(envid, false));
            }
        }
        line.push_str("\r\n");
        out.extend_from_slice(line.as_bytes());
    }

    fn write_content(&mut self, binary: bool, out: &mut Vec<u8>) {
        if binary {
            let mut line = String::new();
            let _ = write!(line, "BDAT {} LAST\r\n", self.size());
            out.extend_from_slice(line.as_bytes());
            self.content = Content::Counted(0);
            self.awaited.push_back(Awaited::End);
        } else {
            out.extend_from_slice(b"DATA\r\n");
            self.awaited.push_back(Awaited::Data);
        }
    }
}

/// The body type and SMTPUTF8 that the message must be sent with, or why this server can't get it.
fn needs(message: &Outgoing, offered: &Extensions) -> Result<(BodyType, bool), Cause> {
    let (envelope, content) = (&message.envelope, &message.content);
    // RFC 1870 6.3
    if offered
        .size
        .is_some_and(|max| max > 0 && content.len() as u64 > max)
    {
        return Err(Cause::TooLarge);
    }
    let body = match envelope.body {
        BodyType::BinaryMime if offered.binary_mime => BodyType::BinaryMime,
        BodyType::BinaryMime => return Err(Cause::NeedsBinaryMime),
        // Whatever was declared: what is ASCII needs nothing, and what isn't needs 8BITMIME.
        _ if content.is_ascii() => BodyType::SevenBit,
        _ if offered.eight_bit_mime => BodyType::EightBitMime,
        _ => return Err(Cause::NeedsConversion),
    };
    let header_end = memchr::memmem::find(content, b"\r\n\r\n").unwrap_or(content.len());
    let utf8_header = content
        .get(..header_end)
        .is_some_and(|header| !header.is_ascii());
    let utf8_address = envelope.mail_from.iter().any(|a| a.needs_smtputf8())
        || envelope
            .recipients
            .iter()
            .any(|r| r.address.needs_smtputf8());
    // RFC 6531 3.4: asked for only where it is needed. A header that is UTF-8 without SMTPUTF8
    // came so, and goes so.
    let smtputf8 = utf8_address || (envelope.smtputf8 && utf8_header);
    if smtputf8 && !offered.smtputf8 {
        return Err(Cause::NeedsSmtpUtf8);
    }
    Ok((body, smtputf8))
}

fn write_rcpt(recipient: &Recipient, dsn: bool, smtputf8: bool, out: &mut Vec<u8>) {
    let mut line = String::new();
    let _ = write!(line, "RCPT TO:<{}>", recipient.address);
    if dsn {
        match recipient.notify {
            None => {}
            Some(Notify::Never) => line.push_str(" NOTIFY=NEVER"),
            Some(Notify::On {
                success,
                failure,
                delay,
            }) => {
                let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let mut sign = " NOTIFY=";
                for (_, word) in words.iter().filter(|(on, _)| *on) {
                    line.push_str(sign);
                    line.push_str(word);
                    sign = ",";
                }
            }
        }
        let orcpt = recipient.orcpt.as_ref();
        let orcpt = orcpt.and_then(|it| dsn::encoded_orcpt(&it.kind, &it.address, smtputf8));
        if let Some(orcpt) = orcpt {
            let _ = write!(line, " ORCPT={orcpt}");
        }
    }
    line.push_str("\r\n");
    out.extend_from_slice(line.as_bytes());
}

/// Whether a refusal is about how many there are, and not about this one: where it says more than a
/// code, it says that (RFC 3463 3.6, X.5.3), and else by its code (RFC 5321 4.5.3.1.10).
fn says_too_many(reply: &Reply) -> bool {
    match reply.enhanced().and_then(|code| code.split_once('.')) {
        Some((_, detail)) => detail == "5.3" && !reply.is_positive(),
        None => matches!(reply.code, 452 | 552),
    }
}

/// What a reply means for a recipient.
fn outcome(reply: &Reply) -> Outcome {
    match reply.code / 100 {
        2 => Outcome::Delivered(reply.clone()),
        5 => Outcome::Rejected(Cause::Reply(reply.clone())),
        _ => Outcome::Deferred(Cause::Reply(reply.clone())),
    }
}
