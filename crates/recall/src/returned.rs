//! Copies that come back: as they were sent, or from outside with something added.
//!
//! What comes back as it was bears the token that this server issued for that submission of that very
//! content ([`crate::token`]): nothing else is needed, and nothing less will do, for whoever has a letter
//! from elsewhere can send it from here word for word.
//!
//! A mailing list that an address of ours is
//! on puts its footer below and its tag before the subject, so that they are another letter by their
//! digest. Such a message is a copy of a submission when three things hold: it bears a token that this server
//! issued for that submission ([`crate::token`]), it has that submission's Message-ID, and one of its
//! text parts begins with the whole text that was submitted. The token alone proves nothing of what it
//! arrives with, since whoever received the message can put it on another; with the text below it the
//! message says all that the submission said. What was added does not make it another message.
//!
//! Refuses to look at what comes without a token, and to make anything of a text that is empty. It can
//! only add a message to what a recall of that very submission covers.

use std::sync::Arc;

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, OriginId};
use tern_mailbox::{MailboxError, Recogniser};
use tern_mime::{ParsedMessage, Part, PartKind};
use tern_store::{Engine, Read, StoreError};

use crate::{limits, submission, token};

/// By which a text is known again with something below it: the keyed digest of its lines, white
/// space at their ends and empty ones left aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPrint {
    lines: u32,
    digest: [u8; 16],
}

impl TextPrint {
    /// That of a message's text; `None` where it has none.
    pub fn of(key: &[u8; 32], parsed: &ParsedMessage, content: &[u8]) -> Option<Self> {
        let text = texts(&parsed.body, content).into_iter().next()?;
        let mut length = 0;
        let known = lines(&text).take_while(|line| {
            length += line.len();
            length <= limits::MAX_PRINTED
        });
        let lines = u32::try_from(known.count()).ok()?;
        Some(Self {
            lines,
            digest: digest(key, &text, lines)?,
        })
    }

    /// Whether a text begins with this one.
    fn begins(&self, key: &[u8; 32], text: &str) -> bool {
        digest(key, text, self.lines) == Some(self.digest)
    }

    pub(crate) fn write(self, w: &mut Writer) {
        w.number(self.lines.into()).array(&self.digest);
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            lines: r.number32()?,
            digest: r.array()?,
        })
    }
}

/// The lines of a text that count.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.lines().map(str::trim_end);
    ends.filter(|line| !line.is_empty())
}

/// The digest of so many lines; `None` where there are none, or fewer.
fn digest(key: &[u8; 32], text: &str, count: u32) -> Option<[u8; 16]> {
    let mut hasher = tern_mime::BlobHasher::new(key);
    let mut seen = 0;
    for line in lines(text).take(count as usize) {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
        seen += 1;
    }
    let whole = hasher.finish();
    let known = seen > 0 && seen == count;
    known.then(|| *whole.0.first_chunk().unwrap_or(&[0; 16]))
}

/// The first texts of a message that stand in no message inside it.
fn texts(part: &Part, content: &[u8]) -> Vec<String> {
    let parts = own_texts(part).into_iter();
    parts
        .map(|part| tern_mime::part_text(part, content))
        .collect()
}

/// The first text parts of a message that stand in no message inside it.
pub(crate) fn own_texts(part: &Part) -> Vec<&Part> {
    let mut found = Vec::new();
    let mut parts = vec![part];
    while let Some(part) = parts.pop() {
        if found.len() >= limits::MAX_PRINTED_PARTS {
            break;
        }
        match part.kind {
            PartKind::Text => found.push(part),
            PartKind::Message { .. } => {}
            _ => parts.extend(part.children().iter().rev()),
        }
    }
    found
}

/// Looks at what clients bring as at what comes in: it may have come back to an account elsewhere.
pub struct Returns {
    engine: Arc<dyn Engine>,
    token_key: [u8; 32],
    content_key: [u8; 32],
}

impl std::fmt::Debug for Returns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Returns")
    }
}

impl Returns {
    /// Over the submissions of a store, whose tokens and texts are keyed by these.
    pub const fn new(engine: Arc<dyn Engine>, token_key: [u8; 32], content_key: [u8; 32]) -> Self {
        Self {
            engine,
            token_key,
            content_key,
        }
    }
}

impl Recogniser for Returns {
    fn sent_by(&self, digest: ContentDigest, octets: &[u8]) -> Option<OriginId> {
        let tokens = token::tokens_of(octets);
        sent_by(&self.token_key, &tokens, digest)
    }

    fn submitted_by(
        &self,
        account: AccountId,
        digest: ContentDigest,
    ) -> Result<Option<OriginId>, MailboxError> {
        let found = submission::by_digest(&*self.engine, account, digest)?;
        Ok(found.map(|found| found.id))
    }

    fn came_back(
        &self,
        parsed: &ParsedMessage,
        content: &[u8],
    ) -> Result<Option<(ContentDigest, OriginId)>, MailboxError> {
        let tokens = token::tokens_of(content);
        let keys = (&self.token_key, &self.content_key);
        let known = returned(&*self.engine, keys, &tokens, parsed, content)?;
        Ok(known.map(|(of, digest)| (digest, of)))
    }
}

/// The submission that sent out a letter which bears these tokens, as it was: one of them was issued for that
/// submission of this very content.
pub fn sent_by(token_key: &[u8; 32], tokens: &[String], digest: ContentDigest) -> Option<OriginId> {
    let mut tokens = tokens.iter().take(limits::MAX_TOKENS);
    tokens.find_map(|text| {
        let id = token::submission_of(text)?;
        token::is_genuine(token_key, text, id, digest).then_some(id)
    })
}

/// The submission, and its letter, that a message which was brought here with these tokens is.
pub fn returned(
    reader: &dyn Read,
    (token_key, content_key): (&[u8; 32], &[u8; 32]),
    tokens: &[String],
    parsed: &ParsedMessage,
    content: &[u8],
) -> Result<Option<(OriginId, ContentDigest)>, StoreError> {
    if tokens.is_empty() {
        return Ok(None);
    }
    let digest = tern_mime::content_digest(content_key, content);
    if let Some(id) = sent_by(token_key, tokens, digest) {
        return Ok(Some((id, digest)));
    }
    for text in tokens.iter().take(limits::MAX_TOKENS) {
        let Some(id) = token::submission_of(text) else {
            continue;
        };
        let Some(sent) = submission::submission(reader, id)? else {
            continue;
        };
        let genuine = token::is_genuine(token_key, text, id, sent.digest);
        let same_id = parsed.message_id.as_deref() == Some(sent.message_id.as_str());
        let Some(print) = sent.text.filter(|_| genuine && same_id) else {
            continue;
        };
        let texts = texts(&parsed.body, content);
        if texts.iter().any(|text| print.begins(content_key, text)) {
            return Ok(Some((id, sent.digest)));
        }
    }
    Ok(None)
}
