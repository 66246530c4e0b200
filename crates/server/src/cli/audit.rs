//! `tern audit`: what comes in pages is put together here, and files are read here.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use tern_audit::{Checkpoint, Note};
use tern_base::Timestamp;

use super::args::parse_time;
use super::ask::{Door, ask, show};
use super::{Outcome, print};
use crate::config::Config;
use crate::control::audit::{AuditFilter, AuditRequest};
use crate::control::request::Request;

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Prove the log, its checkpoints and keys, or name the first entry that breaks it.
    Verify {
        /// A file with checkpoints that were kept elsewhere: the log must continue them.
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
        /// A key that was kept elsewhere: it must be the log's.
        #[arg(long)]
        key: Option<String>,
    },
    /// Show entries, the newest first. Reading the log is on record.
    #[command(visible_alias = "list")]
    Search(SearchArgs),
    /// Write the whole log as JSON Lines.
    Export {
        /// By the permission of this account.
        #[arg(long = "as", value_name = "ADDRESS")]
        by: Option<String>,
    },
    /// Sign the log as it is now, and print the checkpoint. Keep it elsewhere.
    Checkpoint {
        /// Print every checkpoint there is.
        #[arg(long)]
        all: bool,
    },
    /// Print the public keys that sign the log, the one in force last.
    Key {
        /// Make a new one, which the old one signs.
        #[arg(long)]
        rotate: bool,
    },
}

#[derive(ClapArgs)]
pub(crate) struct SearchArgs {
    /// At most so many entries.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// From this entry backwards.
    #[arg(long)]
    from: Option<u64>,
    /// Only by this actor: an operator's name, an address, or `server`.
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, or those below it: `account` or `account.add`.
    #[arg(long)]
    action: Option<String>,
    /// Only on this target.
    #[arg(long)]
    target: Option<String>,
    /// Only from this time on: `2026-11-21` or `2026-11-21T22:06:00Z`, in UTC.
    #[arg(long, value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Only before this time.
    #[arg(long, visible_alias = "until", value_parser = parse_time)]
    before: Option<Timestamp>,
    /// By the permission of this account.
    #[arg(long = "as", value_name = "ADDRESS")]
    by: Option<String>,
}

impl AuditCommand {
    pub(super) fn run(&self, config: &Config, json: bool) -> Result<Outcome> {
        let request = match self {
            Self::Verify { checkpoints, key } => {
                let notes = checkpoints.iter().map(|file| read_notes(file));
                let notes = notes.collect::<Result<Vec<_>>>()?.concat();
                return verify(&mut Door::open(config)?, key.as_ref(), notes, json);
            }
            Self::Search(args) => args.request(),
            Self::Export { by } => {
                let page = |from| AuditRequest::Export {
                    from,
                    by: by.clone(),
                };
                return pages(config, "", page);
            }
            Self::Checkpoint { all: false } => AuditRequest::Checkpoint,
            Self::Checkpoint { all: true } => {
                return pages(config, "\n", |from| AuditRequest::Checkpoints { from });
            }
            Self::Key { rotate: false } => AuditRequest::Keys,
            Self::Key { rotate: true } => AuditRequest::RotateKey,
        };
        ask(config, &Request::Audit(request), json)
    }
}

impl SearchArgs {
    fn request(&self) -> AuditRequest {
        AuditRequest::Search {
            limit: self.limit,
            from: self.from,
            by: self.by.clone(),
            filter: AuditFilter {
                actor: self.actor.clone(),
                action: self.action.clone(),
                target: self.target.clone(),
                since: self.since.map(Timestamp::as_millis),
                before: self.before.map(Timestamp::as_millis),
            },
        }
    }
}

/// Prints page after page.
fn pages(config: &Config, between: &str, request: impl Fn(u64) -> AuditRequest) -> Result<Outcome> {
    let mut door = Door::open(config)?;
    let mut next = Some(1);
    while let Some(from) = next {
        let answer = door.ask(&Request::Audit(request(from)))?;
        if !answer.text.is_empty() {
            let before = if from == 1 { "" } else { between };
            print(&format!("{before}{}\n", answer.text))?;
        }
        next = answer.data.get("next").and_then(serde_json::Value::as_u64);
    }
    Ok(Outcome::Done)
}

/// Octets of notes that go into one request.
const NOTES_AT_ONCE: usize = 256 * 1024;

/// Proves the log; of many checkpoints so many at a time.
fn verify(
    door: &mut Door,
    key: Option<&String>,
    mut notes: Vec<String>,
    json: bool,
) -> Result<Outcome> {
    let (mut given, mut past_proof) = (0, 0);
    loop {
        let mut octets = 0;
        let fitting = notes.iter().take_while(|note| {
            octets += note.len();
            octets <= NOTES_AT_ONCE
        });
        let fitting = fitting.count().max(1).min(notes.len());
        let later = notes.split_off(fitting);
        let request = AuditRequest::Verify {
            key: key.cloned(),
            checkpoints: std::mem::replace(&mut notes, later),
        };
        let mut answer = door.ask(&Request::Audit(request))?;
        let number = |name: &str| answer.data[name].as_u64().unwrap_or(0);
        given += number("given");
        past_proof += number("pastProof");
        if !answer.found_wrong && !notes.is_empty() {
            continue;
        }
        if !answer.found_wrong && given > 0 {
            answer.data["given"] = given.into();
            answer.data["pastProof"] = past_proof.into();
            let checkpoints = |n| match n {
                1 => String::from("1 checkpoint"),
                n => format!("{n} checkpoints"),
            };
            let continued = checkpoints(given - past_proof);
            answer.text += &format!("\nit continues the {continued} that were given");
            if past_proof > 0 {
                let past = checkpoints(past_proof);
                answer.text += &format!(
                    ", but for {past} that can't be compared any more: those entries were removed since"
                );
            }
        }
        return show(&answer, json);
    }
}

/// The signed notes of a file: each a text, an empty line, and the signatures.
fn read_notes(file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file)
        .into_diagnostic()
        .wrap_err_with(|| file.display().to_string())?;
    let parts: Vec<&str> = text.trim().split("\n\n").collect();
    let note = |parts: &[&str]| format!("{}\n", parts.join("\n\n"));
    let notes: Vec<String> = parts.chunks(2).map(note).collect();
    // A wrong file says nothing about the log.
    let is_one = |note: &String| {
        let parsed = Note::parse(note);
        parsed.is_some_and(|parsed| Checkpoint::parse(&parsed.text).is_some())
    };
    match notes.iter().all(is_one) {
        true => Ok(notes),
        false => Err(miette!("{} is not a checkpoint", file.display())),
    }
}
