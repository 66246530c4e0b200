//! Which items one SMTP transaction can carry.
//!
//! Invariant: what travels together is the same to the server that takes it, octet for octet and
//! parameter for parameter, but for the recipients. Refuses to know where an item goes: that both go to
//! one server is for the shell to say.

use crate::Item;
use crate::limits::MAX_SHARED_PREFIX;

impl Item {
    /// How many of them one attempt may carry, of the `most` that any may: half as many as failed
    /// together before, so that whatever they fail of together, each goes alone in the end.
    pub fn most_together(&self, most: usize) -> usize {
        self.at_most.map_or(most, |it| most.min(it as usize)).max(1)
    }

    /// Whether one transaction can carry both.
    pub fn travels_with(&self, other: &Self) -> bool {
        // A recipient that needs SMTPUTF8 is no reason to ask for it on behalf of another.
        let utf8 = |item: &Self| (item.smtputf8, item.recipient.needs_smtputf8());
        self.origin == other.origin
            && self.account == other.account
            && self.blob == other.blob
            && utf8(self) == utf8(other)
            && self.mail_from == other.mail_from
            && (self.dsn.ret, &self.dsn.envid) == (other.dsn.ret, &other.dsn.envid)
            && self.prefix == other.prefix
            && self.prefix.len() <= MAX_SHARED_PREFIX
    }
}
