//! What of a message a FETCH serves, put on record before the octets leave.
//!
//! Invariant: the level is that of the most telling item. A whole message counts as downloaded,
//! and so does the last piece of one that is fetched in pieces. The share is of the octets that the
//! body's items name; a part whose encoding is undone counts whole.

use tern_base::AccountId;
use tern_mailbox::{ExposureLevel, MailboxError, MessageRow, Served, Share, Viewer};
use tern_mime::MessageView;

use super::super::Context;
use super::super::answer::Failure;
use super::content::{cut, range};
use super::{FetchTask, Message};
use crate::fetch::{BodySection, FetchItem, SectionText};
use crate::limits::STRUCTURES_PER_READ;

/// How often a record is tried again without the messages that were sealed, or removed, meanwhile.
const ATTEMPTS: usize = 8;

impl FetchTask {
    /// Records what is about to be served of a batch. Messages that are sealed or gone by then lose
    /// their row.
    pub(super) fn record(
        &mut self,
        batch: &mut [Message],
        account: AccountId,
        viewer: &Viewer,
        cx: &Context<'_>,
    ) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let served = self.served(batch, account, cx)?;
            if served.is_empty() {
                return Ok(());
            }
            match cx.mailboxes.record_served(&served, viewer, cx.now) {
                Ok(()) => return Ok(()),
                Err(MailboxError::Sealed) => drop_missing(batch.iter_mut(), account, cx)?,
                Err(error) => return Err(error.into()),
            }
        }
        // Seals come and go faster than records are made: withhold.
        for message in batch {
            message.row = None;
        }
        Ok(())
    }

    fn served(
        &self,
        batch: &[Message],
        account: AccountId,
        cx: &Context<'_>,
    ) -> Result<Vec<Served>, MailboxError> {
        let mut served = Vec::with_capacity(batch.len());
        let by_parts = self.items.iter().any(depends_on_parts);
        for batch in batch.chunks(STRUCTURES_PER_READ) {
            let there = batch
                .iter()
                .filter(|message| !message.removed)
                .filter_map(|message| Some((message, message.row.as_ref()?)));
            let rows: Vec<&MessageRow> = there.clone().map(|(_, row)| row).collect();
            let structures = match by_parts {
                true => cx.mailboxes.structures(&rows)?,
                false => vec![None; rows.len()],
            };
            for ((message, row), structure) in there.zip(structures) {
                let structure = match structure {
                    None if by_parts => Some(cx.budget.structure(cx.mailboxes, row, None)?),
                    structure => structure,
                };
                let parsed = structure.as_ref().and_then(|structure| structure.view());
                let of_item = |item| level(item, row, parsed.as_ref());
                let Some(level) = self.items.iter().filter_map(of_item).max() else {
                    continue;
                };
                let shares = self
                    .items
                    .iter()
                    .map(|item| share(item, row, parsed.as_ref()));
                served.push(Served::of(
                    (account, message.entry.message),
                    row,
                    level,
                    shares.fold(Share::NONE, Share::with),
                ));
            }
        }
        Ok(served)
    }
}

/// Takes the rows of what is sealed, or was withdrawn. What its owner removed is marked: it is withheld from
/// nobody who began to read it, since its content is there for a while.
pub(super) fn drop_missing<'m>(
    messages: impl Iterator<Item = &'m mut Message>,
    account: AccountId,
    cx: &Context<'_>,
) -> Result<(), MailboxError> {
    let messages: Vec<&mut Message> = messages.collect();
    let id = |message: &&mut Message| message.entry.message;
    let ids: Vec<_> = messages.iter().map(id).collect();
    let rows = cx.mailboxes.messages(account, &ids)?;
    for (message, row) in messages.into_iter().zip(rows) {
        match (row, &message.row) {
            (Some(Ok(_)), _) => {}
            (None, Some(had)) => {
                let id = message.entry.message;
                let withdrawn = cx.mailboxes.was_withdrawn(account, id, had, cx.now)?;
                message.removed = !withdrawn;
                if withdrawn {
                    message.row = None;
                }
            }
            _ => message.row = None,
        }
    }
    Ok(())
}

/// Whether an item serves octets of bodies, whole or in part.
pub(super) fn serves_body(item: &FetchItem) -> bool {
    match item {
        FetchItem::Rfc822 | FetchItem::Rfc822Text | FetchItem::Binary { .. } => true,
        FetchItem::Section(section) => {
            matches!(section.text, SectionText::All | SectionText::Text)
        }
        _ => false,
    }
}

/// Whether the level of an item follows from the message's structure.
pub(super) fn depends_on_parts(item: &FetchItem) -> bool {
    match item {
        FetchItem::Section(section) => {
            section.text == SectionText::Text || !section.path.is_empty()
        }
        FetchItem::Rfc822Text => true,
        FetchItem::Binary { path, .. } => !path.is_empty(),
        _ => false,
    }
}

/// What an item serves of a message. Body structures, sizes, dates and flags serve nothing.
fn level(
    item: &FetchItem,
    row: &MessageRow,
    parsed: Option<&MessageView<'_>>,
) -> Option<ExposureLevel> {
    Some(match item {
        FetchItem::Envelope | FetchItem::Rfc822Header => ExposureLevel::Headers,
        FetchItem::Preview => ExposureLevel::Preview,
        FetchItem::Rfc822 => ExposureLevel::Downloaded,
        FetchItem::Rfc822Text => of_text(parsed),
        FetchItem::Section(section) => of_section(section, row, parsed),
        FetchItem::Binary { path, partial, .. } if path.is_empty() => of_whole(*partial, row),
        FetchItem::Binary { path, .. } => of_part(path, parsed),
        _ => return None,
    })
}

/// How much of the message's octets an item serves. Header fields and the preview are told by the
/// level alone.
fn share(item: &FetchItem, row: &MessageRow, parsed: Option<&MessageView<'_>>) -> Share {
    let size = u64::from(row.size);
    let of = |section: &BodySection| {
        let range = parsed.and_then(|parsed| range(row, section, parsed));
        range.map_or(Share::NONE, |range| {
            Share::of(&cut(range, section.partial), size)
        })
    };
    match item {
        FetchItem::Rfc822 => Share::ALL,
        FetchItem::Rfc822Text => of(&whole(&[], SectionText::Text)),
        FetchItem::Section(section) => match (&section.text, section.path.is_empty()) {
            (SectionText::All, true) => Share::of(&cut(0..size, section.partial), size),
            (SectionText::Text, true) => of(section),
            (_, true) | (SectionText::Mime, false) => Share::NONE,
            (SectionText::All | SectionText::Text, false) => of(section),
            // The header of a message within this one, of which the fields are a choice.
            (_, false) => of(&whole(&section.path, SectionText::Header)),
        },
        FetchItem::Binary { path, partial, .. } if path.is_empty() => {
            Share::of(&cut(0..size, *partial), size)
        }
        FetchItem::Binary { path, .. } => of(&whole(path, SectionText::All)),
        _ => Share::NONE,
    }
}

/// A section without a partial.
fn whole(path: &[u32], text: SectionText) -> BodySection {
    BodySection {
        path: path.to_vec(),
        text,
        partial: None,
        peek: true,
    }
}

fn of_section(
    section: &BodySection,
    row: &MessageRow,
    parsed: Option<&MessageView<'_>>,
) -> ExposureLevel {
    match (&section.text, section.path.is_empty()) {
        (SectionText::All, true) => of_whole(section.partial, row),
        (SectionText::Text, true) => of_text(parsed),
        (_, true) | (SectionText::Mime, false) => ExposureLevel::Headers,
        (_, false) => of_part(&section.path, parsed),
    }
}

fn of_whole(partial: Option<(u64, u64)>, row: &MessageRow) -> ExposureLevel {
    match partial {
        Some((offset, length)) if offset.saturating_add(length) < u64::from(row.size) => {
            ExposureLevel::Body
        }
        _ => ExposureLevel::Downloaded,
    }
}

fn of_text(parsed: Option<&MessageView<'_>>) -> ExposureLevel {
    if parsed.is_some_and(|parsed| parsed.has_attachment) {
        ExposureLevel::Attachment
    } else {
        ExposureLevel::Body
    }
}

fn of_part(path: &[u32], parsed: Option<&MessageView<'_>>) -> ExposureLevel {
    let section = parsed.and_then(|parsed| tern_mime::section(parsed, path));
    if section.is_some_and(|section| section.part.is_disposition("attachment")) {
        ExposureLevel::Attachment
    } else {
        ExposureLevel::Body
    }
}
