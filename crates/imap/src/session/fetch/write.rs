//! One FETCH response, item by item, with literals in pieces.
//!
//! Invariants: the header of a literal is written only together with its first piece, so that a
//! sealed message leaves its content items out and the line still ends properly. Seals are asked for at each
//! piece, whether it is read then or was made before.

use std::ops::Range;

use tern_base::AccountId;
use tern_mailbox::{Entry, MailboxError, MessageRow};
use tern_session::Reservation;
use tern_store::StoreError;

use super::super::answer::Failure;
use super::Message;
use super::content::{Content, Reader, Source};
use crate::fetch::FetchItem;
use crate::limits::CONTENT_PIECE;
use crate::respond::ResponseWriter;
use crate::respond::fetch::FetchWriter;
use tern_session::ids::{write_email_id, write_thread_id};

/// A response that is being written.
pub(super) struct Open {
    message: Message,
    condstore: bool,
    next_item: usize,
    /// Something of the line is written.
    begun: bool,
    /// The rest of the literal that is being written.
    literal: Option<Literal>,
    noted: Noted,
}

/// The rest of a literal.
enum Literal {
    /// To be read from the message; `true` for a literal8.
    Octets(Range<u64>, bool),
    /// At hand.
    Made(Made),
}

/// What was made of a message, and how much of it is written.
struct Made {
    octets: Vec<u8>,
    written: usize,
    /// In a literal8.
    eight: bool,
    /// The memory that was set aside for it.
    _held: Option<Reservation>,
}

impl Made {
    /// Writes its next piece. It was made of what was read before, and is asked for like what is read now.
    fn write_piece(
        &mut self,
        by: Reader<'_>,
        row: &MessageRow,
        out: &mut ResponseWriter,
        header: impl FnOnce(&mut ResponseWriter),
    ) -> Result<(), MailboxError> {
        if by.stored.mailboxes.is_sealed(by.stored.owner, row) {
            return Err(MailboxError::Sealed);
        }
        header(out);
        let to = self.octets.len().min(self.written + CONTENT_PIECE as usize);
        let piece = self.octets.get(self.written..to).unwrap_or_default();
        write_piece(out, piece, self.eight);
        self.written = to;
        Ok(())
    }

    const fn is_written(&self) -> bool {
        self.written >= self.octets.len()
    }
}

/// What the command's answer has to say about a message.
#[derive(Clone, Copy, Default)]
pub(super) struct Noted {
    pub(super) sealed: bool,
    pub(super) unknown_encoding: bool,
}

/// An item that the view answers.
pub(super) fn entry_item(
    out: &mut FetchWriter<'_>,
    item: &FetchItem,
    entry: &Entry,
    account: AccountId,
    id: &mut String,
) {
    match item {
        FetchItem::Flags => {
            out.flags(entry.flags.system_bits(), entry.flags.keywords());
        }
        FetchItem::Uid => {
            out.uid(entry.uid.0);
        }
        FetchItem::InternalDate => {
            out.internal_date(entry.received);
        }
        FetchItem::Size => {
            out.size(entry.size.into());
        }
        FetchItem::Modseq => {
            out.modseq(entry.modseq.0);
        }
        FetchItem::SaveDate => {
            out.save_date(Some(entry.saved));
        }
        FetchItem::EmailId => {
            write_email_id(id, account, entry.message);
            out.email_id(id);
        }
        _ => {}
    }
}

impl Open {
    pub(super) fn new(message: Message, condstore: bool) -> Self {
        Self {
            message,
            condstore,
            next_item: 0,
            begun: false,
            literal: None,
            noted: Noted::default(),
        }
    }

    /// The message that is being written.
    pub(super) const fn message(&mut self) -> &mut Message {
        &mut self.message
    }

    /// Writes until the line ends or the output is full. What there is to note once it has ended.
    pub(super) fn advance(
        &mut self,
        items: &[FetchItem],
        by: Reader<'_>,
        out: &mut ResponseWriter,
    ) -> Result<Option<Noted>, Failure> {
        loop {
            if self.literal.is_some() {
                self.write_literal(by, out)?;
                if by.budget.is_spent(out) {
                    return Ok(None);
                }
                continue;
            }
            let Some(item) = items.get(self.next_item) else {
                break;
            };
            self.next_item += 1;
            match self.write_item(item, by, out) {
                Ok(()) => {}
                Err(MailboxError::Sealed) => self.noted.sealed = true,
                Err(error) => return Err(self.fail(error, out)),
            }
            // More than this many octets in one line: large headers, or many sections; or little that was
            // made of much.
            if by.budget.is_spent(out) && self.next_item < items.len() {
                return Ok(None);
            }
        }
        if self.message.seen_now {
            self.write_seen(items, out);
        }
        if self.begun {
            out.raw(b")\r\n");
        }
        Ok(Some(self.noted))
    }

    /// An error: between two items the line is ended, so that the answer can be written; within a literal
    /// nothing may be written in the place of the octets that were announced.
    pub(super) fn fail(&mut self, error: MailboxError, out: &mut ResponseWriter) -> Failure {
        if self.literal.is_some() {
            return Failure::Torn;
        }
        if std::mem::take(&mut self.begun) {
            out.raw(b")\r\n");
        }
        error.into()
    }

    fn line<'w>(&mut self, out: &'w mut ResponseWriter) -> FetchWriter<'w> {
        if std::mem::replace(&mut self.begun, true) {
            out.fetch_again()
        } else {
            out.fetch(self.message.number)
        }
    }

    /// RFC 9051 6.4.5: the flags that the command itself changed are told with it.
    fn write_seen(&mut self, items: &[FetchItem], out: &mut ResponseWriter) {
        let flags = self.message.entry.flags.clone();
        let modseq = self.message.entry.modseq.0;
        let mut line = self.line(out);
        if !items.contains(&FetchItem::Flags) {
            line.flags(flags.system_bits(), flags.keywords());
        }
        if self.condstore && !items.contains(&FetchItem::Modseq) {
            self.line(out).modseq(modseq);
        }
    }

    fn write_item(
        &mut self,
        item: &FetchItem,
        by: Reader<'_>,
        out: &mut ResponseWriter,
    ) -> Result<(), MailboxError> {
        if !super::needs_row(item) {
            let entry = self.message.entry.clone();
            let mut id = String::new();
            entry_item(&mut self.line(out), item, &entry, by.stored.owner, &mut id);
            return Ok(());
        }
        // Taken out, so that the line can be written while the row is read; put back below.
        let Some(row) = self.message.row.take() else {
            return Err(MailboxError::Sealed);
        };
        let structure = self.message.structure.take();
        let ahead = self.message.ahead.take();
        let content = Content {
            by,
            row: &row,
            structure: structure.as_ref(),
            ahead: ahead.as_ref(),
        };
        let written = self.write_content(item, &content, out);
        self.message.row = Some(row);
        self.message.structure = structure;
        self.message.ahead = ahead;
        written
    }

    fn write_content(
        &mut self,
        item: &FetchItem,
        content: &Content<'_>,
        out: &mut ResponseWriter,
    ) -> Result<(), MailboxError> {
        match item {
            FetchItem::Section(section) => {
                let source = content.section(section)?;
                let name = |line: &mut FetchWriter<'_>| line.section_name(section);
                self.write_source(source, content, out, false, name)
            }
            FetchItem::Rfc822 | FetchItem::Rfc822Header | FetchItem::Rfc822Text => {
                let (word, section) = rfc822(item);
                let source = content.section(&section)?;
                let name = |line: &mut FetchWriter<'_>| line.rfc822_name(word);
                self.write_source(source, content, out, false, name)
            }
            FetchItem::Binary { path, partial, .. } => {
                let source = content.binary(path, *partial)?;
                let name = |line: &mut FetchWriter<'_>| line.binary_name(path, *partial);
                self.write_source(source, content, out, true, name)
            }
            FetchItem::BinarySize(path) => {
                match content.binary_size(path)? {
                    Some(size) => {
                        self.line(out).binary_size(path, size);
                    }
                    None => self.noted.unknown_encoding = true,
                }
                Ok(())
            }
            FetchItem::ThreadId => {
                let mut id = String::new();
                write_thread_id(&mut id, content.by.stored.owner, content.row.thread);
                self.line(out).thread_id(&id);
                Ok(())
            }
            item => self.write_structure(item, content, out),
        }
    }

    /// The items that were made when the message came.
    fn write_structure(
        &mut self,
        item: &FetchItem,
        content: &Content<'_>,
        out: &mut ResponseWriter,
    ) -> Result<(), MailboxError> {
        let row = content.row;
        let structure = content.structure()?;
        // Asked last, as for octets.
        let sealed = content
            .by
            .stored
            .mailboxes
            .is_sealed(content.by.stored.owner, row);
        if sealed {
            return Err(MailboxError::Sealed);
        }
        match item {
            FetchItem::Envelope => {
                let envelope = structure.envelope().ok_or(StoreError::Damaged)?;
                self.line(out).envelope(&envelope);
            }
            FetchItem::Body | FetchItem::BodyStructure => {
                let extended = *item == FetchItem::BodyStructure;
                let body = structure.body().ok_or(StoreError::Damaged)?;
                self.line(out).body_structure(&body, extended);
            }
            // RFC 8970 3.1: it is at hand, so LAZY or not is the same.
            _ => {
                let parsed = structure.view().ok_or(StoreError::Damaged)?;
                self.line(out).preview(Some(parsed.preview));
            }
        }
        Ok(())
    }

    /// Writes an item's name and its content: NIL, a literal, or the start of a long one.
    fn write_source(
        &mut self,
        source: Source,
        content: &Content<'_>,
        out: &mut ResponseWriter,
        binary: bool,
        name: impl FnOnce(&mut FetchWriter<'_>),
    ) -> Result<(), MailboxError> {
        match source {
            Source::UnknownEncoding => {
                self.noted.unknown_encoding = true;
                return Ok(());
            }
            Source::Nothing => {
                name(&mut self.line(out));
                out.raw(b"NIL");
            }
            Source::Octets(range) => {
                let prefix = content.row.prefix.len() as u64;
                let first = first_piece(&range, prefix);
                let piece = content.read(first.clone())?;
                let size = range.end - range.start;
                // RFC 9051 4.3: whether NUL comes later is not known yet, so it is a literal8.
                let streamed = first.end < range.end;
                let eight = binary && (streamed || memchr::memchr(0, &piece).is_some());
                name(&mut self.line(out));
                write_header(out, size, eight);
                write_piece(out, &piece, eight);
                if streamed {
                    self.literal = Some(Literal::Octets(first.end..range.end, eight));
                }
            }
            Source::Made(octets, held) => {
                let (size, eight) = (
                    octets.len() as u64,
                    binary && memchr::memchr(0, &octets).is_some(),
                );
                let mut made = Made {
                    octets,
                    written: 0,
                    eight,
                    _held: held,
                };
                let header = |out: &mut ResponseWriter| {
                    name(&mut self.line(out));
                    write_header(out, size, eight);
                };
                made.write_piece(content.by, content.row, out, header)?;
                if !made.is_written() {
                    self.literal = Some(Literal::Made(made));
                }
            }
        }
        Ok(())
    }

    /// The next piece of the literal.
    fn write_literal(&mut self, by: Reader<'_>, out: &mut ResponseWriter) -> Result<(), Failure> {
        match self.literal.take() {
            Some(Literal::Octets(range, eight)) => {
                let Some(row) = &self.message.row else {
                    return Err(Failure::Torn);
                };
                let content = Content {
                    by,
                    row,
                    structure: None,
                    ahead: self.message.ahead.as_ref(),
                };
                let first = first_piece(&range, row.prefix.len() as u64);
                // The announced octets can't be sent, and nothing else may be in their place.
                let piece = content.read(first.clone()).map_err(|_| Failure::Torn)?;
                write_piece(out, &piece, eight);
                if first.end < range.end {
                    self.literal = Some(Literal::Octets(first.end..range.end, eight));
                }
            }
            Some(Literal::Made(mut made)) => {
                let row = self.message.row.as_ref().ok_or(Failure::Torn)?;
                let written = made.write_piece(by, row, out, |_| {});
                written.map_err(|_| Failure::Torn)?;
                if !made.is_written() {
                    self.literal = Some(Literal::Made(made));
                }
            }
            None => {}
        }
        Ok(())
    }
}

/// The piece at the start of a range that the store reads at once.
fn first_piece(range: &Range<u64>, prefix: u64) -> Range<u64> {
    let in_content = range.start.saturating_sub(prefix);
    let piece_end = (in_content / CONTENT_PIECE + 1) * CONTENT_PIECE + prefix;
    range.start..piece_end.min(range.end)
}

fn write_header(out: &mut ResponseWriter, size: u64, eight: bool) {
    if eight {
        out.byte(b'~');
    }
    out.literal_header(size);
}

fn write_piece(out: &mut ResponseWriter, piece: &[u8], eight: bool) {
    if eight {
        out.raw(piece);
    } else {
        out.literal_content(piece);
    }
}

/// RFC 3501 6.4.5: the old names of sections.
fn rfc822(item: &FetchItem) -> (&'static str, crate::fetch::BodySection) {
    use crate::fetch::{BodySection, SectionText};
    let (word, text) = match item {
        FetchItem::Rfc822Header => ("RFC822.HEADER", SectionText::Header),
        FetchItem::Rfc822Text => ("RFC822.TEXT", SectionText::Text),
        _ => ("RFC822", SectionText::All),
    };
    let section = BodySection {
        path: Vec::new(),
        text,
        partial: None,
        peek: false,
    };
    (word, section)
}
