//! Policies as files: what is in their directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tern_policy::PolicySet;

use super::PoliciesError;

/// Loads the files of the directories; what is built in where there are no directories.
pub(crate) fn load(directories: &[PathBuf]) -> Result<Arc<PolicySet>, PoliciesError> {
    if directories.is_empty() {
        return Ok(tern_policy::built_in());
    }
    let set = PolicySet::load(&read(directories)?).map_err(PoliciesError::Wrong)?;
    Ok(Arc::new(set))
}

/// The names and texts of the `*.cedar` files in the directories, not those below them.
pub(crate) fn read(directories: &[PathBuf]) -> Result<Vec<(String, String)>, PoliciesError> {
    let mut files = Vec::new();
    for directory in directories {
        let failed = |error| PoliciesError::File(directory.clone(), error);
        for entry in fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if is_policy(&path) {
                let text = fs::read_to_string(&path);
                let text = text.map_err(|error| PoliciesError::File(path.clone(), error))?;
                files.push((path.display().to_string(), text));
            }
        }
    }
    if files.is_empty() {
        let names: Vec<String> = directories
            .iter()
            .map(|d| d.display().to_string())
            .collect();
        return Err(PoliciesError::Empty(names.join(", ")));
    }
    files.sort_unstable();
    Ok(files)
}

/// A name that begins with a dot is what an editor leaves while it writes.
fn is_policy(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| name.ends_with(".cedar") && !name.starts_with('.'))
}
