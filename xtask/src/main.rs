//! The project's own commands: `cargo xtask <verb>`. One verb, one file; this one only chooses.
//! Refuses unknown verbs and arguments instead of guessing.

mod ci;
mod clients;
mod context;
mod demo;
mod forward;
mod fuzz;
mod metadata;
mod rfc;
mod rocksdb;
mod rust_source;
mod setup;
mod sweep;
mod test;
mod tidy;

use std::process::ExitCode;

use context::{Context, Outcome};

const USAGE: &str = "\
cargo xtask <verb>

  setup             install what the build needs; build the RocksDB library once for this machine
  build             build the server in release, and say where it is
  demo [--once]     build the server and run its demo (--once: run it through and stop)
  test [args]       all tests; with arguments, what they select (-p tern-imap, a name, ...)
  ci                everything that a change must pass: fmt, tidy, rfc, clippy, test, fuzz;
                    what earlier clones built of these crates leaves the build cache
  tidy              the house rules that no other tool checks
  rfc [--check]     collect RFC citations into docs/rfc.md (--check: fail if it is stale)
  sim [args]        the whole server on one seed, with faults      (--seeds N)
  kill [args]       kill the real server at random points and check what is left
  fuzz [args]       fuzz what a peer can send                      (--seconds N, --target NAME)
  bench [args]      the load generator

Environment: TERN_BUILD_CACHE (default ~/.cache/tern-build), CARGO_TARGET_DIR.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (verb, rest) = match args.split_first() {
        Some((verb, rest)) => (verb.as_str(), rest),
        None => ("help", &[] as &[String]),
    };
    match dispatch(verb, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {verb}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(verb: &str, rest: &[String]) -> Outcome {
    if matches!(verb, "help" | "-h" | "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    let mut context = Context::from_env()?;
    match (verb, rest) {
        ("setup", []) => {
            setup::run_verb(&mut context)?;
            println!("setup: this machine can build. Next: cargo xtask demo");
            Ok(())
        }
        ("build", []) => demo::build(&mut context),
        ("demo", _) => demo::run_verb(&mut context, rest),
        ("test", _) => test::run_verb(&mut context, rest),
        ("ci", []) => ci::run_verb(&mut context),
        ("tidy", []) => tidy::run_verb(&context),
        ("rfc", []) => rfc::write(&context),
        ("rfc", [flag]) if flag == "--check" => rfc::check(&context),
        ("fuzz", _) => fuzz::run_verb(&context, rest),
        ("sim" | "kill" | "bench", _) => forward::run_verb(&mut context, verb, rest),
        ("setup" | "build" | "ci" | "tidy" | "rfc", _) => {
            Err(format!("does not take {rest:?}\n\n{USAGE}"))
        }
        _ => Err(format!("no such verb\n\n{USAGE}")),
    }
}
