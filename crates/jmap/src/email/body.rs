//! The structure of a message's body (RFC 8621 4.1.4): what to show as its text, and what is attached.

use tern_mime::{Part, PartKind};

/// A part, and where it is: positions from the outside to the inside.
pub(crate) struct Located<'a, B> {
    pub(crate) part: &'a Part<B>,
    pub(crate) path: Vec<u32>,
}

impl<B> Clone for Located<'_, B> {
    fn clone(&self) -> Self {
        Self {
            part: self.part,
            path: self.path.clone(),
        }
    }
}

impl<'a, B: AsRef<[u8]>> Located<'a, B> {
    /// The root part of a message.
    pub(crate) const fn root(part: &'a Part<B>) -> Self {
        Self {
            part,
            path: Vec::new(),
        }
    }

    /// The parts of a multipart. A message within the message is a whole, not a part of it.
    pub(crate) fn parts(&self) -> Vec<Self> {
        let PartKind::Multipart { parts } = &self.part.kind else {
            return Vec::new();
        };
        let part = |(number, part)| {
            let mut path = self.path.clone();
            path.push(number);
            Self { part, path }
        };
        (1..).zip(parts).map(part).collect()
    }

    pub(crate) const fn is_multipart(&self) -> bool {
        matches!(self.part.kind, PartKind::Multipart { .. })
    }

    fn is_type(&self, media_type: &str, subtype: &str) -> bool {
        self.part.is_type(media_type, subtype)
    }

    /// Whether it is text that a person reads.
    pub(crate) fn is_text(&self) -> bool {
        self.part.media_type.as_ref().eq_ignore_ascii_case(b"text")
    }

    /// Whether it is shown in the place where it stands: a picture, sound, a film.
    fn is_inline_media(&self) -> bool {
        let kinds: [&[u8]; 3] = [b"image", b"audio", b"video"];
        let media_type = self.part.media_type.as_ref();
        kinds
            .iter()
            .any(|kind| media_type.eq_ignore_ascii_case(kind))
    }

    /// The part that a path leads to.
    pub(crate) fn find(&self, path: &[u32]) -> Option<Self> {
        let Some((number, rest)) = path.split_first() else {
            return Some(self.clone());
        };
        let index = usize::try_from(*number).ok()?.checked_sub(1)?;
        self.parts().into_iter().nth(index)?.find(rest)
    }
}

/// What a message is shown as.
pub(crate) struct Body<'a, B> {
    pub(crate) text: Vec<Located<'a, B>>,
    pub(crate) html: Vec<Located<'a, B>>,
    pub(crate) attachments: Vec<Located<'a, B>>,
}

impl<'a, B: AsRef<[u8]>> Body<'a, B> {
    /// Sorts the parts of a message as RFC 8621 4.1.4 does.
    pub(crate) fn of(root: &'a Part<B>) -> Self {
        let mut sorter = Sorter {
            text: Vec::new(),
            html: Vec::new(),
            attachments: Vec::new(),
        };
        sorter.sort(&[Located::root(root)], "mixed", false, true, true);
        Self {
            text: sorter.text,
            html: sorter.html,
            attachments: sorter.attachments,
        }
    }
}

struct Sorter<'a, B> {
    text: Vec<Located<'a, B>>,
    html: Vec<Located<'a, B>>,
    attachments: Vec<Located<'a, B>>,
}

impl<'a, B: AsRef<[u8]>> Sorter<'a, B> {
    /// `into_text` and `into_html`: whether what is found belongs to that body; within an alternative
    /// each form belongs to its own.
    fn sort(
        &mut self,
        parts: &[Located<'a, B>],
        multipart: &str,
        in_alternative: bool,
        into_text: bool,
        into_html: bool,
    ) {
        let (texts, htmls) = (self.text.len(), self.html.len());
        let (mut into_text, mut into_html) = (into_text, into_html);
        for (position, part) in parts.iter().enumerate() {
            if part.is_multipart() {
                let subtype = String::from_utf8_lossy(part.part.subtype.as_ref());
                let subtype = subtype.to_ascii_lowercase();
                let in_alternative = in_alternative || subtype == "alternative";
                self.sort(
                    &part.parts(),
                    &subtype,
                    in_alternative,
                    into_text,
                    into_html,
                );
                continue;
            }
            if !is_inline(part, position, multipart) {
                self.attachments.push(part.clone());
                continue;
            }
            if multipart == "alternative" {
                match (part.is_type("text", "plain"), part.is_type("text", "html")) {
                    (true, _) if into_text => self.text.push(part.clone()),
                    (_, true) if into_html => self.html.push(part.clone()),
                    (true, _) | (_, true) => {}
                    _ => self.attachments.push(part.clone()),
                }
                continue;
            }
            if in_alternative {
                into_html &= !part.is_type("text", "plain");
                into_text &= !part.is_type("text", "html");
            }
            if into_text {
                self.text.push(part.clone());
            }
            if into_html {
                self.html.push(part.clone());
            }
            if (!into_text || !into_html) && part.is_inline_media() {
                self.attachments.push(part.clone());
            }
        }
        // An alternative with only one of the two forms is both.
        if multipart == "alternative" && into_text && into_html {
            if texts == self.text.len() && htmls != self.html.len() {
                let forms = self.html.get(htmls..).unwrap_or_default();
                self.text.extend(forms.iter().cloned());
            }
            if htmls == self.html.len() && texts != self.text.len() {
                let forms = self.text.get(texts..).unwrap_or_default();
                self.html.extend(forms.iter().cloned());
            }
        }
    }
}

/// Whether a part is read where it stands, rather than attached.
fn is_inline<B: AsRef<[u8]>>(part: &Located<'_, B>, position: usize, multipart: &str) -> bool {
    let is_shown =
        part.is_type("text", "plain") || part.is_type("text", "html") || part.is_inline_media();
    let follows_unnamed = position == 0
        || (multipart != "related" && (part.is_inline_media() || part.part.file_name().is_none()));
    !part.part.is_disposition("attachment") && is_shown && follows_unnamed
}
