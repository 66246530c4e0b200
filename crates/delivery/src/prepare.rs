//! What the header of an arriving message needs before it is stored, and what it tells.
//!
//! Invariant: one pass over the header, and at most one copy of the content. The content digest
//! does not cover what is added here except Date, so it is computed once, over the finished
//! message with a token still to be filled in.

use std::ops::Range;

use tern_base::{AccountId, ContentDigest, EmailAddress, OriginId, Timestamp};
use tern_mailbox::{Carriage, Letter, Prepared};
use tern_mime::ParsedMessage;
use tern_recall::{limits, returned, token};

use crate::{Delivery, DeliveryError};

/// Most Delivered-To fields that are looked at: far more than a message may have hops.
const MAX_DELIVERED_TO: usize = 200;

/// What one pass over a header saw.
#[derive(Debug, Default)]
struct Seen {
    /// Fields that go.
    removed: Vec<Range<usize>>,
    has_message_id: bool,
    has_date: bool,
    /// Where our own Received ends.
    received_end: usize,
    delivered_to: Vec<EmailAddress>,
    /// The tokens that it comes with from outside.
    tokens: Vec<String>,
}

/// A message that is ready to land, and where it has been before.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) prepared: Prepared,
    pub(crate) delivered_to: Vec<EmailAddress>,
}

impl Delivery {
    /// Completes and prepares a message (RFC 6409 8 for a submission).
    pub(crate) fn ready(
        &self,
        origin: OriginId,
        content: Vec<u8>,
        submitter: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Ready, DeliveryError> {
        let submitted = submitter.is_some();
        let mut seen = look(&content, submitted);
        let delivered_to = std::mem::take(&mut seen.delivered_to);
        let tokens = std::mem::take(&mut seen.tokens);
        let mut prepared = if submitted {
            self.prepare_submission(origin, &content, &seen, now)?
        } else if seen.removed.is_empty() {
            self.mailboxes.prepare(content, now)?
        } else {
            let mut out = Vec::with_capacity(content.len());
            copy_kept(&mut out, &content, 0, &seen.removed);
            self.mailboxes.prepare(out, now)?
        };
        self.recognise(&mut prepared, &tokens)?;
        if let Some(account) = submitter {
            self.attribute(&mut prepared, account)?;
        }
        Ok(Ready {
            prepared,
            delivered_to,
        })
    }

    /// Marks a message that was prepared before as what it was marked then.
    pub(crate) fn recognise_again(&self, prepared: &mut Prepared) -> Result<(), DeliveryError> {
        let tokens = look(prepared.content(), false).tokens;
        self.recognise(prepared, &tokens)
    }

    /// Marks what is inside a submission that its account had sent itself, or had been sent from here: the copy that
    /// it keeps of its own bears no token, and a program may drop that of others.
    pub(crate) fn attribute(
        &self,
        prepared: &mut Prepared,
        account: AccountId,
    ) -> Result<(), DeliveryError> {
        prepared.attribute(|digest| {
            match tern_recall::submission::by_digest(self.reader(), account, digest)? {
                Some(found) => Ok(Some(found.id)),
                None => Ok(self.mailboxes.had_from_here(account, digest)?),
            }
        })
    }

    /// Marks what is inside a submission as what it was taken for when it was accepted.
    pub(crate) fn attribute_again(
        &self,
        prepared: &mut Prepared,
        origin: OriginId,
    ) -> Result<(), DeliveryError> {
        let known = self.carried_by(origin)?;
        prepared.attribute(|digest| {
            let was = known.iter().find(|was| was.digest == digest);
            Ok(was.and_then(|was| match was.carriage {
                Some(Carriage::Attached(of)) => of,
                _ => None,
            }))
        })
    }

    /// What a submission carries, as it was accepted.
    fn carried_by(&self, origin: OriginId) -> Result<Vec<Letter>, DeliveryError> {
        let sent = tern_recall::submission::submission(self.reader(), origin)?;
        Ok(sent.map(|sent| sent.carried).unwrap_or_default())
    }

    /// Marks what this server sent out and that comes back, as it was or with something added.
    fn recognise(&self, prepared: &mut Prepared, tokens: &[String]) -> Result<(), DeliveryError> {
        let known = self.known_as(tokens, &prepared.parsed, prepared.content())?;
        if let Some((of, digest)) = known {
            prepared.came_back(digest, of);
        }
        Ok(())
    }

    /// What this server sent out that a message with these tokens is, and its letter.
    fn known_as(
        &self,
        tokens: &[String],
        parsed: &ParsedMessage,
        content: &[u8],
    ) -> Result<Option<(OriginId, ContentDigest)>, DeliveryError> {
        let keys = (&self.token_key, self.mailboxes.content_key());
        Ok(returned::returned(
            self.reader(),
            keys,
            tokens,
            parsed,
            content,
        )?)
    }

    /// The letters of what leaves: as of what lands, also the one that a message from outside was before
    /// something was added to it there.
    pub(crate) fn letters_leaving(
        &self,
        content: &[u8],
        origin: OriginId,
        submitter: Option<AccountId>,
    ) -> Result<Vec<Letter>, DeliveryError> {
        let mut letters = self.mailboxes.letters_of(content);
        if submitter.is_some() && letters.len() > 1 {
            let known = self.carried_by(origin)?;
            for letter in letters.iter_mut().skip(1) {
                let was = known.iter().find(|was| was.digest == letter.digest);
                letter.carriage = was.map_or(letter.carriage, |was| was.carriage);
            }
        }
        let tokens = match submitter {
            Some(_) => Vec::new(),
            None => look(content, false).tokens,
        };
        if !tokens.is_empty()
            && let Some((of, digest)) =
                self.known_as(&tokens, &tern_mime::parse(content), content)?
        {
            let carriage = Some(Carriage::Returned(of));
            letters.push(Letter { digest, carriage });
        }
        Ok(letters)
    }

    fn prepare_submission(
        &self,
        origin: OriginId,
        content: &[u8],
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Prepared, DeliveryError> {
        let key = self.mailboxes.content_key();
        let mut out = Vec::with_capacity(content.len() + 256 + self.settings.hostname.len());
        out.extend_from_slice(content.get(..seen.received_end).unwrap_or_default());
        if out.last().is_some_and(|last| *last != b'\n') {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(token::HEADER.as_bytes());
        out.extend_from_slice(b": ");
        // Every token is as long as this one, which is overwritten once the digest is known.
        let blank = token::issue(&self.token_key, origin, ContentDigest([0; 16]));
        let at = out.len()..out.len() + blank.len();
        out.extend_from_slice(blank.as_bytes());
        out.extend_from_slice(b"\r\n");
        // RFC 6409 8.3
        if !seen.has_message_id {
            let field = format!("Message-ID: <{origin}@{}>\r\n", self.settings.hostname);
            out.extend_from_slice(field.as_bytes());
        }
        // RFC 6409 8.2
        if !seen.has_date {
            out.extend_from_slice(format!("Date: {}\r\n", now.rfc5322()).as_bytes());
        }
        copy_kept(&mut out, content, seen.received_end, &seen.removed);
        let digest = tern_mime::content_digest(key, &out);
        let real = token::issue(&self.token_key, origin, digest);
        if let Some(place) = out.get_mut(at)
            && place.len() == real.len()
        {
            place.copy_from_slice(real.as_bytes());
        }
        Ok(self.mailboxes.prepare_with_digest(out, digest, now)?)
    }
}

fn look(content: &[u8], submitted: bool) -> Seen {
    let mut seen = Seen::default();
    for (n, field) in tern_mime::headers(content).enumerate() {
        if n == 0 && field.is("Received") {
            seen.received_end = field.range.end;
            continue;
        }
        // RFC 5321 4.4: final delivery adds the one Return-Path.
        let mut goes = field.is("Return-Path");
        if submitted {
            // RFC 5322 3.6.3; a token is ours to give; an empty field is none.
            goes |= field.is("Bcc") || field.is("Resent-Bcc") || field.is(token::HEADER);
            let empty = field.value.trim_ascii().is_empty();
            for (name, has) in [
                ("Message-ID", &mut seen.has_message_id),
                ("Date", &mut seen.has_date),
            ] {
                if field.is(name) {
                    *has |= !empty;
                    goes |= empty;
                }
            }
        }
        if !submitted && field.is(token::HEADER) && seen.tokens.len() < limits::MAX_TOKENS {
            let text = std::str::from_utf8(field.value.trim_ascii()).unwrap_or_default();
            seen.tokens.push(text.to_owned());
        }
        if goes {
            seen.removed.push(field.range);
        } else if field.is("Delivered-To") && seen.delivered_to.len() < MAX_DELIVERED_TO {
            let text = std::str::from_utf8(field.value.trim_ascii()).unwrap_or_default();
            seen.delivered_to.extend(EmailAddress::parse(text).ok());
        }
    }
    seen
}

/// Adds the content from an offset on, without these ranges.
fn copy_kept(out: &mut Vec<u8>, content: &[u8], from: usize, removed: &[Range<usize>]) {
    let mut at = from;
    for range in removed {
        out.extend_from_slice(content.get(at..range.start).unwrap_or_default());
        at = range.end;
    }
    out.extend_from_slice(content.get(at..).unwrap_or_default());
}
