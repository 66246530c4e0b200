//! How far a recall reaches beyond the letter itself.
//!
//! Refuses to leave what a server elsewhere added something to: that is the letter.

use tern_base::codec::Damaged;
use tern_mailbox::Carriage;

/// How far a recall reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reach {
    /// Copies of the letter, and no message that has it inside.
    Copies = 0,
    /// The messages too that have it inside, forwarded as an attachment.
    #[default]
    Attached = 1,
}

impl Reach {
    /// The name that requests and reports use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Copies => "copies",
            Self::Attached => "attached",
        }
    }

    /// Whether it reaches a message that carries the letter so; `None` is the letter.
    pub fn reaches(self, carriage: Option<Carriage>) -> bool {
        self == Self::Attached || !carriage.is_some_and(Carriage::is_attached)
    }

    pub(crate) fn from_number(number: u8) -> Result<Self, Damaged> {
        match number {
            0 => Ok(Self::Copies),
            1 => Ok(Self::Attached),
            _ => Err(Damaged),
        }
    }
}
