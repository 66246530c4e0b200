//! `cargo xtask build` and `cargo xtask demo`: from a fresh clone to the server, or to one that runs, in one
//! command.

use std::path::PathBuf;

use crate::context::{Context, Outcome, replace, run};
use crate::{metadata, setup};

const NO_SERVER: &str = "the workspace has no binary `tern` yet";

/// Builds `tern` in release, for whoever installs it.
pub(crate) fn build(context: &mut Context) -> Outcome {
    setup::run_verb(context)?;
    let Some(package) = server_package(context)? else {
        return Err(NO_SERVER.to_owned());
    };
    run(&mut context.cargo(&["build", "--release", "--package", &package, "--bin", "tern"]))?;
    println!("build: {}", context.target.join("release/tern").display());
    Ok(())
}

/// Builds `tern` in release and runs its `demo` with the rest of the arguments.
pub(crate) fn run_verb(context: &mut Context, rest: &[String]) -> Outcome {
    setup::run_verb(context)?;
    let Some(package) = server_package(context)? else {
        return Err(NO_SERVER.to_owned());
    };
    let mut cargo = context.cargo(&["run", "--release", "--package", &package, "--bin", "tern"]);
    replace(cargo.args(["--", "demo"]).args(rest))
}

/// Builds `tern` in the dev profile for the tests that drive the real binary, and says where it is;
/// none while the workspace has no such binary.
pub(crate) fn build_for_tests(context: &Context) -> Outcome<Option<PathBuf>> {
    let Some(package) = server_package(context)? else {
        return Ok(None);
    };
    run(&mut context.cargo(&["build", "--quiet", "--package", &package, "--bin", "tern"]))?;
    Ok(Some(context.target.join("debug/tern")))
}

fn server_package(context: &Context) -> Outcome<Option<String>> {
    let packages = metadata::packages(context)?;
    let with_tern = |package: &metadata::Package| package.binaries.iter().any(|bin| bin == "tern");
    Ok(packages
        .into_iter()
        .find(with_tern)
        .map(|package| package.name))
}
