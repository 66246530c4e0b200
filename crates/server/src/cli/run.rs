//! `tern recall run`: what is more than one message is confirmed first, by whoever sits at the terminal or by
//! an argument. A word too few would take back what nobody meant.

use std::io::{self, BufRead as _, IsTerminal as _};

use miette::{IntoDiagnostic as _, Result, miette};
use serde_json::Value;

use super::ask::{Door, show};
use super::{Outcome, say};
use crate::config::Config;
use crate::control::request::{RecallRun, Request};

/// Asks for it; where another number of messages fits than was said, once more with that number, if whoever
/// asks says yes to it.
pub(super) fn run(config: &Config, mut run: RecallRun, json: bool) -> Result<Outcome> {
    let mut door = Door::open(config)?;
    let answer = door.ask(&Request::RecallRun(run.clone()))?;
    let unexpected = answer.data.get("unexpected").and_then(Value::as_u64);
    let Some(found) = unexpected else {
        return show(&answer, json);
    };
    let asked = run.expected.unwrap_or_default();
    let not_done = || {
        miette!(
            help = format!("`--expect {found}` takes back these, `--yes` whatever fits then"),
            "{found} messages fit, not {asked}: nothing was taken back"
        )
    };
    if json {
        show(&answer, json)?;
        return Err(not_done());
    }
    say(&answer.text)?;
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(not_done());
    }
    eprint!("Take back these {found} messages? (yes or no) ");
    let mut said = String::new();
    io::stdin().lock().read_line(&mut said).into_diagnostic()?;
    if said.trim() != "yes" {
        return Err(not_done());
    }
    run.expected = Some(found);
    show(&door.ask(&Request::RecallRun(run))?, json)
}
