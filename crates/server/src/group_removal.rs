//! What is left to do of a group that was removed: what its members were given, and who they were.
//!
//! Invariant: the group is gone already, for everybody; whatever cuts this off, the server goes on with it within a minute, or at its next start.

use tern_directory::GroupId;
use tern_mailbox::{Grantee, Upkeep};
use tern_store::Engine;

use crate::admin::AdminError;

/// Finishes the removal of a group.
pub(crate) fn finish(
    engine: &dyn Engine,
    upkeep: &Upkeep,
    group: GroupId,
) -> Result<(), AdminError> {
    upkeep.drop_grants_of(Grantee::Group(group.0))?;
    // Last: until then the removal is found.
    Ok(tern_directory::finish_group_removal(engine, group)?)
}

/// Goes on with every removal that was cut off. Answers how many there were.
pub(crate) fn resume(engine: &dyn Engine, upkeep: &Upkeep) -> Result<usize, AdminError> {
    let groups = tern_directory::groups_being_removed(engine)?;
    for group in &groups {
        finish(engine, upkeep, *group)?;
    }
    Ok(groups.len())
}
