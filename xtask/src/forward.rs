//! `sim`, `kill` and `bench`: verbs that belong to a package of their own. The arguments are the
//! package's, passed through unread.

use crate::context::{Context, Outcome, run};
use crate::{metadata, setup};

/// Runs the package's binary in release.
pub(crate) fn run_verb(context: &mut Context, verb: &str, rest: &[String]) -> Outcome {
    if !exists(context, verb)? {
        return Err(format!(
            "the workspace has no package `tern-{verb}` with a binary yet"
        ));
    }
    setup::run_verb(context)?;
    let package = format!("tern-{verb}");
    let mut cargo = context.cargo(&["run", "--release", "--quiet", "--package", &package]);
    run(cargo.arg("--").args(rest))
}

/// Whether the verb's package exists and has something to run.
pub(crate) fn exists(context: &Context, verb: &str) -> Outcome<bool> {
    let package = format!("tern-{verb}");
    let packages = metadata::packages(context)?;
    Ok(packages
        .iter()
        .any(|found| found.name == package && !found.binaries.is_empty()))
}
