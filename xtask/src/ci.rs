//! `cargo xtask ci`: what a change must pass, cheap steps first, stopping at the first that fails.
//! The last lines are the summary: each step with its time, then one word.

use std::time::{Duration, Instant};

use crate::context::{Context, Outcome, run};
use crate::{fuzz, rfc, setup, sweep, test, tidy};

type Step = (&'static str, fn(&mut Context) -> Outcome);

const STEPS: [Step; 8] = [
    ("fmt", fmt),
    ("tidy", |context| tidy::run_verb(context)),
    ("rfc", |context| rfc::check(context)),
    ("sweep", sweep::run_verb),
    ("setup", setup::run_verb),
    ("clippy", clippy),
    ("test", |context| test::run_verb(context, &[])),
    ("fuzz", run_fuzz),
];

const FUZZ_SECONDS: &str = "60";

/// Runs the steps and prints the summary, also when one fails.
pub(crate) fn run_verb(context: &mut Context) -> Outcome {
    let mut summary = Vec::new();
    let mut failure = None;
    for (name, step) in STEPS {
        eprintln!("\n== {name}");
        let started = now();
        let outcome = step(context);
        summary.push((name, outcome.is_ok(), started.elapsed()));
        if let Err(error) = outcome {
            eprintln!("{name}: {error}");
            failure = Some(name);
            break;
        }
    }
    print!("{}", render(&summary));
    match failure {
        None => Ok(()),
        Some(name) => Err(format!(
            "step `{name}` failed; what it said is above the summary"
        )),
    }
}

#[allow(clippy::disallowed_methods, reason = "xtask measures its own steps")]
fn now() -> Instant {
    Instant::now()
}

fn fmt(context: &mut Context) -> Outcome {
    run(&mut context.cargo_raw(&["fmt", "--all", "--check"]))
}

fn clippy(context: &mut Context) -> Outcome {
    let mut cargo = context.cargo(&["clippy", "--workspace", "--all-targets", "--quiet"]);
    run(cargo.args(["--", "-D", "warnings"]))
}

fn run_fuzz(context: &mut Context) -> Outcome {
    fuzz::run_verb(context, &["--seconds".to_owned(), FUZZ_SECONDS.to_owned()])
}

fn render(summary: &[(&str, bool, Duration)]) -> String {
    let mut text = String::from("\n== ci summary\n");
    for (name, passed, time) in summary {
        let word = if *passed { "passed" } else { "FAILED" };
        text += &format!("  {name:<8} {word}  {:>7.1} s\n", time.as_secs_f64());
    }
    for (name, _) in STEPS.iter().skip(summary.len()) {
        text += &format!("  {name:<8} not run\n");
    }
    let total: Duration = summary.iter().map(|(_, _, time)| *time).sum();
    let passed = summary.len() == STEPS.len() && summary.iter().all(|(_, passed, _)| *passed);
    let word = if passed { "passed" } else { "FAILED" };
    text + &format!("ci {word} in {:.1} s\n", total.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_every_step_once() {
        let second = Duration::from_secs(1);
        let failed = render(&[("fmt", true, second), ("tidy", false, second)]);
        assert!(failed.contains("fmt      passed"), "{failed}");
        assert!(failed.contains("tidy     FAILED"), "{failed}");
        assert!(failed.contains("test     not run"), "{failed}");
        assert!(failed.ends_with("ci FAILED in 2.0 s\n"), "{failed}");
        let all: Vec<_> = STEPS
            .iter()
            .map(|(name, _)| (*name, true, second))
            .collect();
        assert!(render(&all).ends_with("ci passed in 8.0 s\n"));
    }
}
