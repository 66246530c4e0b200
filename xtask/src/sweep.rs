//! What earlier clones left in the build cache goes before a new one is built: a clone builds its
//! own crates anew whatever the cache holds, and nothing else ever removes what it built. What
//! was compiled of other people's crates stays, so that a later run is fast.

use std::path::Path;
use std::process::Command;

use crate::context::{Context, Outcome, output, run};

/// What the tests of the whole workspace were seen to take, third-party crates included, in GiB.
const ROOM: u64 = 10;

/// Cleans the workspace's packages, and says so where the rest of the disk looks too small: a
/// linker that finds no room says "bus error".
pub(crate) fn run_verb(context: &mut Context) -> Outcome {
    for profile in ["dev", "release"] {
        run(&mut context.cargo_raw(&["clean", "--quiet", "--workspace", "--profile", profile]))?;
    }
    let free = free(&context.cache)?;
    if free < ROOM {
        let cache = context.cache.display();
        eprintln!("warning: {free} GiB are free at {cache}; a build was seen to take {ROOM}");
    }
    Ok(())
}

/// The room that is left where a folder is or would be made, in GiB.
fn free(folder: &Path) -> Outcome<u64> {
    let there = folder.ancestors().find(|folder| folder.exists());
    let folder = there.unwrap_or(Path::new("/"));
    let table = output(Command::new("df").arg("-Pk").arg(folder))?;
    available(&table).ok_or_else(|| format!("`df` printed no table: {table:?}"))
}

/// The fourth column of POSIX `df -P`, second line.
fn available(table: &str) -> Option<u64> {
    let column = table.lines().nth(1)?.split_ascii_whitespace().nth(3)?;
    Some(column.parse::<u64>().ok()? >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_the_fourth_column() {
        let table = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                     /dev/sda1 263174212 94371840 12582912 89% /\n";
        assert_eq!(available(table), Some(12));
        assert_eq!(available("df: no such folder\n"), None);
    }
}
