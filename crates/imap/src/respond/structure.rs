//! ENVELOPE and BODYSTRUCTURE (RFC 9051 7.5.2) from the parsed message.
//!
//! Invariant: parentheses balance and recursion is bounded by the depth that `tern_mime` allows.

use tern_mime::{Address, Envelope, Param, Part, PartKind, whole_params};

use super::ResponseWriter;

impl ResponseWriter {
    /// RFC 9051 9 envelope, parentheses included.
    pub fn envelope<B: AsRef<[u8]>>(&mut self, envelope: &Envelope<B>) -> &mut Self {
        self.byte(b'(').value(&envelope.date);
        self.byte(b' ').value(&envelope.subject);
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
        self.byte(b' ').value(&envelope.in_reply_to);
        self.byte(b' ').value(&envelope.message_id);
        self.byte(b')')
    }

    fn value<B: AsRef<[u8]>>(&mut self, value: &Option<B>) -> &mut Self {
        self.nstring(value.as_ref().map(AsRef::as_ref))
    }

    fn addresses<B: AsRef<[u8]>>(&mut self, list: Option<&[Address<B>]>) {
        let Some(list) = list.filter(|list| !list.is_empty()) else {
            self.raw(b"NIL");
            return;
        };
        self.byte(b'(');
        for address in list {
            self.byte(b'(').value(&address.name);
            self.byte(b' ').value(&address.adl);
            self.byte(b' ').value(&address.mailbox);
            self.byte(b' ').value(&address.host).byte(b')');
        }
        self.byte(b')');
    }

    /// RFC 9051 9 body, parentheses included; `extended` for BODYSTRUCTURE.
    pub fn body_structure<B: AsRef<[u8]>>(&mut self, part: &Part<B>, extended: bool) -> &mut Self {
        self.byte(b'(');
        if let PartKind::Multipart { parts } = &part.kind {
            for inner in parts {
                self.body_structure(inner, extended);
            }
            self.byte(b' ').string(part.subtype.as_ref());
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
            self.byte(b' ').value(&part.md5);
            self.extension(part);
        }
        self.byte(b')')
    }

    /// RFC 9051 9 body-fields behind the media type.
    fn basic_fields<B: AsRef<[u8]>>(&mut self, part: &Part<B>) {
        self.string(part.media_type.as_ref())
            .byte(b' ')
            .string(part.subtype.as_ref());
        self.byte(b' ').params(&part.params);
        self.byte(b' ').value(&part.id);
        self.byte(b' ').value(&part.description);
        self.byte(b' ').string(part.encoding_or_default());
        self.byte(b' ').number(part.size());
    }

    /// Disposition, language and location, which end every extension data.
    fn extension<B: AsRef<[u8]>>(&mut self, part: &Part<B>) {
        match &part.disposition {
            Some(disposition) => {
                self.raw(b" (").string(disposition.kind.as_ref()).byte(b' ');
                self.params(&disposition.params);
                self.byte(b')');
            }
            None => {
                self.raw(b" NIL");
            }
        }
        match part.language.as_slice() {
            [] => self.raw(b" NIL"),
            [one] => self.byte(b' ').string(one.as_ref()),
            many => {
                self.raw(b" (");
                for (index, tag) in many.iter().enumerate() {
                    self.word(if index == 0 { "" } else { " " })
                        .string(tag.as_ref());
                }
                self.byte(b')')
            }
        };
        self.byte(b' ').value(&part.location);
    }

    fn params<B: AsRef<[u8]>>(&mut self, params: &[Param<B>]) {
        if params.is_empty() {
            self.raw(b"NIL");
            return;
        }
        // RFC 9051 7.5.2: what RFC 2231 cut in pieces is told whole.
        for (index, param) in whole_params(params).iter().enumerate() {
            self.byte(if index == 0 { b'(' } else { b' ' })
                .string(&param.name);
            self.byte(b' ').string(&param.value);
        }
        self.byte(b')');
    }
}
