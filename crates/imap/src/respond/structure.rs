//! ENVELOPE and BODYSTRUCTURE (RFC 9051 7.5.2) from the parsed message.
//!
//! Invariant: parentheses balance and recursion is bounded by the depth that `tern_mime` allows.

use tern_mime::{Address, Envelope, Param, Part, PartKind};

use super::ResponseWriter;

impl ResponseWriter {
    /// RFC 9051 9 envelope, parentheses included.
    pub fn envelope(&mut self, envelope: &Envelope) -> &mut Self {
        self.byte(b'(').nstring(envelope.date.as_deref());
        self.byte(b' ').nstring(envelope.subject.as_deref());
        let lists = [
            &envelope.from,
            &envelope.sender,
            &envelope.reply_to,
            &envelope.to,
            &envelope.cc,
            &envelope.bcc,
        ];
        for list in lists {
            self.byte(b' ').addresses(list.as_deref());
        }
        self.byte(b' ').nstring(envelope.in_reply_to.as_deref());
        self.byte(b' ').nstring(envelope.message_id.as_deref());
        self.byte(b')')
    }

    fn addresses(&mut self, list: Option<&[Address]>) {
        let Some(list) = list.filter(|list| !list.is_empty()) else {
            self.raw(b"NIL");
            return;
        };
        self.byte(b'(');
        for address in list {
            self.byte(b'(').nstring(address.name.as_deref());
            self.byte(b' ').nstring(address.adl.as_deref());
            self.byte(b' ').nstring(address.mailbox.as_deref());
            self.byte(b' ').nstring(address.host.as_deref()).byte(b')');
        }
        self.byte(b')');
    }

    /// RFC 9051 9 body, parentheses included; `extended` for BODYSTRUCTURE.
    pub fn body_structure(&mut self, part: &Part, extended: bool) -> &mut Self {
        self.byte(b'(');
        if let PartKind::Multipart { parts } = &part.kind {
            for inner in parts {
                self.body_structure(inner, extended);
            }
            self.byte(b' ').string(&part.subtype);
            if extended {
                self.byte(b' ').params(&part.params);
                self.extension(part);
            }
            return self.byte(b')');
        }
        self.basic_fields(part);
        match &part.kind {
            PartKind::Message { envelope, body } => {
                self.byte(b' ').envelope(envelope);
                self.byte(b' ').body_structure(body, extended);
                self.byte(b' ').number(part.lines);
            }
            PartKind::Text => {
                self.byte(b' ').number(part.lines);
            }
            PartKind::Multipart { .. } | PartKind::Basic => {}
        }
        if extended {
            self.byte(b' ').nstring(part.md5.as_deref());
            self.extension(part);
        }
        self.byte(b')')
    }

    /// RFC 9051 9 body-fields behind the media type.
    fn basic_fields(&mut self, part: &Part) {
        self.string(&part.media_type)
            .byte(b' ')
            .string(&part.subtype);
        self.byte(b' ').params(&part.params);
        self.byte(b' ').nstring(part.id.as_deref());
        self.byte(b' ').nstring(part.description.as_deref());
        self.byte(b' ').string(part.encoding_or_default());
        self.byte(b' ').number(part.size());
    }

    /// Disposition, language and location, which end every extension data.
    fn extension(&mut self, part: &Part) {
        match &part.disposition {
            Some(disposition) => {
                self.raw(b" (").string(&disposition.kind).byte(b' ');
                self.params(&disposition.params);
                self.byte(b')');
            }
            None => {
                self.raw(b" NIL");
            }
        }
        match part.language.as_slice() {
            [] => self.raw(b" NIL"),
            [one] => self.byte(b' ').string(one),
            many => {
                self.raw(b" (");
                for (index, tag) in many.iter().enumerate() {
                    self.word(if index == 0 { "" } else { " " }).string(tag);
                }
                self.byte(b')')
            }
        };
        self.byte(b' ').nstring(part.location.as_deref());
    }

    fn params(&mut self, params: &[Param]) {
        if params.is_empty() {
            self.raw(b"NIL");
            return;
        }
        for (index, param) in params.iter().enumerate() {
            self.byte(if index == 0 { b'(' } else { b' ' })
                .string(&param.name);
            self.byte(b' ').string(&param.value);
        }
        self.byte(b')');
    }
}
