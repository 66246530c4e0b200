//! `cargo xtask test`: every test of the workspace, doc tests included. Interop tests find the
//! clients and the server by environment variables, so they name no machine's paths: `TERN_BIN` is
//! the built server, and [`clients::Clients`] has the rest.

use std::process::Command;

use crate::context::{Context, Outcome, run, succeeds};
use crate::{clients, demo, setup};

/// With arguments: only what they select, and no doc tests.
pub(crate) fn run_verb(context: &mut Context, rest: &[String]) -> Outcome {
    setup::run_verb(context)?;
    let clients = clients::ensure(context)?;
    let server = demo::build_for_tests(context)?;
    let prepare = |mut command: Command| {
        clients.tell(&mut command);
        if let Some(server) = &server {
            command.env("TERN_BIN", server);
        }
        command
    };
    let mut arguments: Vec<&str> = rest.iter().map(String::as_str).collect();
    if !selects_package(rest) {
        arguments.insert(0, "--workspace");
    }
    if !succeeds(&mut context.cargo_raw(&["nextest", "--version"])) {
        // cargo test runs the doc tests too.
        return run(prepare(context.cargo(&["test", "--no-fail-fast"])).args(arguments));
    }
    if rest.is_empty() {
        // First, so that the long list of empty results does not bury the summary of the rest.
        let doc_tests = ["test", "--workspace", "--doc", "--quiet"];
        run(&mut prepare(context.cargo(&doc_tests)))?;
    }
    run(prepare(context.cargo(&["nextest", "run", "--no-fail-fast"])).args(arguments))
}

/// `--workspace` would widen a selection again.
fn selects_package(arguments: &[String]) -> bool {
    let own = arguments.iter().take_while(|argument| *argument != "--");
    own.into_iter().any(|argument| {
        argument.starts_with("-p") || argument.starts_with("--package") || argument == "--workspace"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_selection_is_recognised() {
        let cases = [
            (&["-p", "tern-imap"][..], true),
            (&["-ptern-imap"], true),
            (&["--package=tern-imap", "append"], true),
            (&["append"], false),
            (&["append", "--", "-p"], false),
            (&[], false),
        ];
        for (words, expected) in cases {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(selects_package(&words), expected, "{words:?}");
        }
    }
}
