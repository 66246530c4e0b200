//! Flags of a command to flags of the mailboxes.

use tern_mailbox::{Flags, SystemFlag};

use super::answer::{Answer, Failure};
use crate::command::Flag;
use crate::respond::status::CodeName;

/// The flags of a command; refused where the mailboxes can't keep them.
pub(super) fn flags_of(flags: &[Flag]) -> Result<Flags, Failure> {
    let mut out = Flags::empty();
    for flag in flags {
        match system_flag(flag) {
            Some(system) => out.set(system, true),
            None if out.add_keyword(flag.as_str()) => {}
            None => {
                return Err(Answer::no(CodeName::Limit, "A keyword too long, or too many").into());
            }
        }
    }
    Ok(out)
}

/// The system flag, where it is one.
pub(super) const fn system_flag(flag: &Flag) -> Option<SystemFlag> {
    Some(match flag {
        Flag::Seen => SystemFlag::Seen,
        Flag::Answered => SystemFlag::Answered,
        Flag::Flagged => SystemFlag::Flagged,
        Flag::Deleted => SystemFlag::Deleted,
        Flag::Draft => SystemFlag::Draft,
        Flag::Keyword(_) => return None,
    })
}
