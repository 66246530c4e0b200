//! Untagged data about the server, mailboxes and the selected mailbox (RFC 9051 7.2 to 7.4).
//!
//! Invariant: one call writes one line, except where the doc says that nothing is written for
//! nothing to tell.

use super::ResponseWriter;
use crate::command::{SpecialUse, StatusItem, Tag};
use crate::name::SEPARATOR;
use crate::partial::Partial;

/// One mailbox as LIST and LSUB tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its name, in UTF-8.
    pub name: String,
    /// The attributes without backslashes: `Noselect`, `HasChildren`, `Subscribed` and so on.
    pub attributes: Vec<&'static str>,
    /// What it is for.
    pub special_use: Vec<SpecialUse>,
    /// CHILDINFO: the options by which a mailbox below is selected and this one may not be (RFC 5258 3.5).
    pub child_info: Vec<&'static str>,
}

/// The result of a SEARCH with RETURN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Esearch<'a> {
    /// The results are UIDs.
    pub uid: bool,
    /// `MIN`, where asked and found.
    pub min: Option<u32>,
    /// `MAX`, where asked and found.
    pub max: Option<u32>,
    /// `ALL`, where asked; nothing is written for none found.
    pub all: Option<&'a [(u32, u32)]>,
    /// `PARTIAL`, where asked: the range, and what is in it (RFC 9394 4).
    pub partial: Option<(Partial, &'a [(u32, u32)])>,
    /// `COUNT`, where asked.
    pub count: Option<u32>,
    /// `MODSEQ`, where the search named MODSEQ and something was found (RFC 7162 3.1.5).
    pub modseq: Option<u64>,
}

/// One resource of a quota root, usage and limit in the resource's own unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaResource {
    /// `STORAGE` (in units of 1,024 octets) or `MESSAGE`.
    pub name: &'static str,
    /// What is used.
    pub usage: u64,
    /// What may be used.
    pub limit: u64,
}

impl ResponseWriter {
    /// `* CAPABILITY …`
    pub fn capability(&mut self, list: &str) {
        self.raw(b"* CAPABILITY ").text(list).end_line();
    }

    /// `* ENABLED …`, which may name none (RFC 9051 7.2.1).
    pub fn enabled(&mut self, names: &[&str]) {
        self.raw(b"* ENABLED");
        for name in names {
            self.byte(b' ').word(name);
        }
        self.end_line();
    }

    /// `* ID (…)` (RFC 2971 3.2)
    pub fn id(&mut self, fields: &[(&str, &str)]) {
        self.raw(b"* ID ");
        if fields.is_empty() {
            self.raw(b"NIL");
        } else {
            for (index, (name, value)) in fields.iter().enumerate() {
                self.byte(if index == 0 { b'(' } else { b' ' })
                    .string(name.as_bytes());
                self.byte(b' ').string(value.as_bytes());
            }
            self.byte(b')');
        }
        self.end_line();
    }

    /// `* NAMESPACE` with one personal namespace without a prefix, and those of other users and shared
    /// ones (RFC 9051 6.3.10).
    pub fn namespace(&mut self, others: &[&str], shared: &[&str]) {
        self.raw(b"* NAMESPACE ((\"\" \"/\")) ");
        self.namespaces(others);
        self.byte(b' ');
        self.namespaces(shared);
        self.end_line();
    }

    fn namespaces(&mut self, prefixes: &[&str]) {
        if prefixes.is_empty() {
            self.raw(b"NIL");
        } else {
            self.byte(b'(');
            for prefix in prefixes {
                self.byte(b'(');
                // A prefix is a string, never an atom.
                let mut wire = Vec::new();
                if self.utf8 {
                    wire.extend_from_slice(prefix.as_bytes());
                } else {
                    crate::name::encode_utf7(prefix, &mut wire);
                }
                self.string(&wire).raw(b" \"/\")");
            }
            self.byte(b')');
        }
    }

    /// `* ACL …` (RFC 4314 3.6)
    pub fn acl(&mut self, mailbox: &str, list: &[(String, String)]) {
        self.raw(b"* ACL ").mailbox(mailbox);
        for (who, rights) in list {
            self.byte(b' ').astring(who.as_bytes());
            self.byte(b' ').astring(rights.as_bytes());
        }
        self.end_line();
    }

    /// `* LISTRIGHTS …` (RFC 4314 3.7): what is always given, and what can be, each by itself.
    pub fn list_rights(&mut self, mailbox: &str, who: &str, always: &str, each: &str) {
        self.raw(b"* LISTRIGHTS ").mailbox(mailbox);
        self.byte(b' ').astring(who.as_bytes());
        self.byte(b' ').astring(always.as_bytes());
        for right in each.bytes() {
            self.byte(b' ').byte(right);
        }
        self.end_line();
    }

    /// `* MYRIGHTS …` (RFC 4314 3.8)
    pub fn my_rights(&mut self, mailbox: &str, rights: &str) {
        self.raw(b"* MYRIGHTS ").mailbox(mailbox);
        self.byte(b' ').astring(rights.as_bytes());
        self.end_line();
    }

    /// `* LIST …`. `returns` says whether special uses were asked for.
    pub fn list(&mut self, mailbox: &Listed) {
        self.raw(b"* LIST (");
        self.list_entry(mailbox);
        // RFC 9051 9 mbox-list-extended
        for (index, option) in mailbox.child_info.iter().enumerate() {
            let before = match index {
                0 => " (\"CHILDINFO\" (\"",
                _ => " \"",
            };
            self.word(before).word(option).byte(b'"');
        }
        if !mailbox.child_info.is_empty() {
            self.raw(b"))");
        }
        self.end_line();
    }

    /// `* LSUB …` (RFC 3501 7.2.3)
    pub fn lsub(&mut self, mailbox: &Listed) {
        self.raw(b"* LSUB (");
        self.list_entry(mailbox);
        self.end_line();
    }

    fn list_entry(&mut self, mailbox: &Listed) {
        let uses = mailbox.special_use.iter().map(|one| one.as_str());
        for (index, name) in mailbox.attributes.iter().copied().chain(uses).enumerate() {
            self.word(if index == 0 { "\\" } else { " \\" }).word(name);
        }
        self.raw(b") \"")
            .byte(SEPARATOR as u8)
            .raw(b"\" ")
            .mailbox(&mailbox.name);
    }

    /// `* STATUS mailbox (…)`. MAILBOXID, the one item that is no number, is `mailbox_id`.
    pub fn status(&mut self, mailbox: &str, items: &[(StatusItem, u64)], mailbox_id: Option<&str>) {
        self.raw(b"* STATUS ").mailbox(mailbox).raw(b" (");
        for (index, (item, value)) in items.iter().enumerate() {
            self.word(if index == 0 { "" } else { " " })
                .word(item.as_str());
            self.byte(b' ').number(*value);
        }
        if let Some(id) = mailbox_id {
            self.word(if items.is_empty() { "" } else { " " });
            self.raw(b"MAILBOXID (").word(id).byte(b')');
        }
        self.byte(b')').end_line();
    }

    /// `* FLAGS (…)`
    pub fn flags(&mut self, flags: &[&str]) {
        self.raw(b"* FLAGS (")
            .word(&flags.join(" "))
            .byte(b')')
            .end_line();
    }

    /// `* n EXISTS`
    pub fn exists(&mut self, count: u32) {
        self.raw(b"* ").number(count).raw(b" EXISTS\r\n");
    }

    /// `* n RECENT` (RFC 3501 7.3.2)
    pub fn recent(&mut self, count: u32) {
        self.raw(b"* ").number(count).raw(b" RECENT\r\n");
    }

    /// `* n EXPUNGE`
    pub fn expunge(&mut self, number: u32) {
        self.raw(b"* ").number(number).raw(b" EXPUNGE\r\n");
    }

    /// `* VANISHED …` (RFC 7162 3.2.10); nothing for no UIDs.
    pub fn vanished(&mut self, earlier: bool, uids: &[(u32, u32)]) {
        if !uids.is_empty() {
            self.word(if earlier {
                "* VANISHED (EARLIER) "
            } else {
                "* VANISHED "
            });
            self.ranges(uids).end_line();
        }
    }

    /// `* ESEARCH (TAG …) …` (RFC 9051 7.3.4)
    pub fn esearch(&mut self, tag: &Tag, result: &Esearch<'_>) {
        self.raw(b"* ESEARCH (TAG ")
            .string(tag.as_str().as_bytes())
            .byte(b')');
        if result.uid {
            self.raw(b" UID");
        }
        if let Some(min) = result.min {
            self.raw(b" MIN ").number(min);
        }
        if let Some(max) = result.max {
            self.raw(b" MAX ").number(max);
        }
        if let Some(all) = result.all.filter(|all| !all.is_empty()) {
            self.raw(b" ALL ").ranges(all);
        }
        if let Some((range, part)) = result.partial {
            self.raw(b" PARTIAL (").word(&range.to_string()).byte(b' ');
            match part {
                [] => self.raw(b"NIL"),
                part => self.ranges(part),
            };
            self.byte(b')');
        }
        if let Some(count) = result.count {
            self.raw(b" COUNT ").number(count);
        }
        if let Some(modseq) = result.modseq {
            self.raw(b" MODSEQ ").number(modseq);
        }
        self.end_line();
    }

    /// `* QUOTA root (…)` (RFC 9208 4.2.1)
    pub fn quota(&mut self, root: &str, resources: &[QuotaResource]) {
        self.raw(b"* QUOTA ").astring(root.as_bytes()).raw(b" (");
        for (index, resource) in resources.iter().enumerate() {
            self.word(if index == 0 { "" } else { " " })
                .word(resource.name)
                .byte(b' ');
            self.number(resource.usage)
                .byte(b' ')
                .number(resource.limit);
        }
        self.byte(b')').end_line();
    }

    /// `* QUOTAROOT mailbox root …` (RFC 9208 4.2.2)
    pub fn quota_root(&mut self, mailbox: &str, roots: &[&str]) {
        self.raw(b"* QUOTAROOT ").mailbox(mailbox);
        for root in roots {
            self.byte(b' ').astring(root.as_bytes());
        }
        self.end_line();
    }
}

impl StatusItem {
    /// The item as written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Deleted => "DELETED",
            Self::Size => "SIZE",
            Self::HighestModseq => "HIGHESTMODSEQ",
            Self::MailboxId => "MAILBOXID",
            Self::AppendLimit => "APPENDLIMIT",
            Self::DeletedStorage => "DELETED-STORAGE",
        }
    }
}
