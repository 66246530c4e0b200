//! `tern-sim`: runs seeds, and prints the first that fails with its trace.

use std::process::ExitCode;

use clap::Parser;
use tern_sim::{Options, run};

/// Runs the whole server on the in-memory engine, one run for each seed.
#[derive(Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// Steps of each run.
    #[arg(long, default_value_t = Options::default().steps)]
    steps: usize,
    /// Print the trace of every run.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut total = tern_sim::Summary::default();
    for seed in arguments.start..arguments.start.saturating_add(arguments.seeds) {
        let options = Options {
            steps: arguments.steps,
            trace: arguments.trace,
            ..Options::default()
        };
        match run(seed, options) {
            Ok((summary, trace)) => {
                trace.iter().for_each(|line| println!("{line}"));
                total += summary;
            }
            Err(_) => {
                // The same again, this time with its trace.
                let traced = Options {
                    trace: true,
                    ..options
                };
                if let Err(failure) = run(seed, traced) {
                    println!("{failure}");
                }
                return ExitCode::FAILURE;
            }
        }
    }
    let races = std::mem::take(&mut total.races);
    println!("{} seeds: {total:?}", arguments.seeds);
    for (with, count) in races {
        println!("a seal met {with}: {count}");
    }
    ExitCode::SUCCESS
}
