//! `tern recall evidence` and `verify-evidence`: the file and its page are written here, and files are
//! verified without any server or configuration.
//!
//! Refuses to write over evidence that is there.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use serde_json::json;
use tern_audit::VerifyingKey;

use super::ask::Door;
use super::{Outcome, print, private};
use crate::config::Config;
use crate::control::request::Request;
use crate::evidence::{page, verify};

#[derive(ClapArgs)]
pub(crate) struct EvidenceArgs {
    /// The recall.
    id: String,
    /// Write it into this directory, with a page to print beside it; without it, to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// With the message itself, from the vault.
    #[arg(long)]
    with_content: bool,
    /// By the permission of this account.
    #[arg(long = "as", value_name = "ADDRESS")]
    by: Option<String>,
}

#[derive(ClapArgs)]
pub(crate) struct VerifyArgs {
    /// The file.
    file: PathBuf,
    /// The server's key, kept elsewhere.
    #[arg(long)]
    key: Option<String>,
}

impl EvidenceArgs {
    pub(super) fn request(&self) -> Request {
        Request::RecallEvidence {
            id: self.id.clone(),
            with_content: self.with_content,
            by: self.by.clone(),
        }
    }

    pub(super) fn run(&self, config: &Config) -> Result<Outcome> {
        let answer = Door::open(config)?.ask(&self.request())?;
        let text = format!("{}\n", answer.text);
        let Some(directory) = &self.out else {
            return print(&text);
        };
        private::directory(directory)?;
        for (ending, text) in [("json", text), ("html", page::page(&answer.data))] {
            let file = directory.join(format!("evidence-{}.{ending}", self.id));
            private::write_new(&file, text.as_bytes())?;
            println!("{}", file.display());
        }
        Ok(Outcome::Done)
    }
}

impl VerifyArgs {
    pub(super) fn run(&self, as_json: bool) -> Result<Outcome> {
        let parse = |text: &String| {
            VerifyingKey::parse(text).ok_or_else(|| miette!("`{text}` is not a key"))
        };
        let key = self.key.as_ref().map(parse).transpose()?;
        let (text, data, outcome) = verified(&self.file, key.as_ref())?;
        match as_json {
            true => println!("{data}"),
            false => println!("{text}"),
        }
        Ok(outcome)
    }
}

fn verified(
    file: &Path,
    key: Option<&VerifyingKey>,
) -> Result<(String, serde_json::Value, Outcome)> {
    let read = fs::read_to_string(file).into_diagnostic();
    let read = read.wrap_err_with(|| file.display().to_string())?;
    Ok(match verify(&read, key) {
        Err(why) => {
            let data = json!({"holds": false, "why": why});
            (
                format!("it does not hold: {why}"),
                data,
                Outcome::FoundWrong,
            )
        }
        Ok(found) => {
            let time = found.checkpoint.time.unwrap_or_default();
            let mut text = format!(
                "it holds: recall {}, {} entries of the log under the checkpoint of {} entries, {time}\n\
                 key {}",
                found.recall, found.entries, found.checkpoint.entries, found.key
            );
            if !found.key_was_given {
                text.push_str(
                    "\nthe key is the file's own word: compare it with one you had before",
                );
            }
            let data = json!({"holds": true, "recall": found.recall, "entries": found.entries,
                "checkpoint": found.checkpoint.entries, "key": found.key.to_string(),
                "keyWasGiven": found.key_was_given});
            (text, data, Outcome::Done)
        }
    })
}
