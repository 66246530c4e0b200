//! `tern hold export`: what is under a hold is written out, a message at a time.
//!
//! Invariant: every line of the manifest is about a file that is written whole. A file that is there
//! already is never overwritten.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args as ClapArgs;
use miette::{IntoDiagnostic as _, Result, miette};
use serde_json::{Value, json};

use super::ask::Door;
use super::hold::Acting;
use super::private::{new_directory, new_file, write_new};
use super::{Outcome, print};
use crate::config::Config;
use crate::control::hold::{HoldRequest, Reached};
use crate::control::request::Request;

/// The list of what was written: JSON Lines.
const MANIFEST: &str = "manifest.jsonl";

#[derive(ClapArgs)]
pub(crate) struct ExportArgs {
    /// The hold.
    id: String,
    /// A directory that is not there yet; `-` for JSON Lines on standard output, each with its message
    /// in base64.
    directory: PathBuf,
    #[command(flatten)]
    acting: Acting,
}

/// Where copies go.
enum Sink {
    Output,
    Directory { path: PathBuf, manifest: File },
}

impl ExportArgs {
    pub(super) fn request(&self, from: Reached) -> HoldRequest {
        HoldRequest::Export {
            id: self.id.clone(),
            from,
            acting: self.acting.acting.clone(),
        }
    }

    pub(super) fn run(&self, config: &Config) -> Result<Outcome> {
        let mut door = Door::open(config)?;
        let mut sink = None;
        let (mut seen, mut withheld) = (BTreeSet::new(), 0);
        let mut next = Some(Reached::default());
        while let Some(from) = next {
            let answer = door.ask(&Request::Hold(self.request(from)))?.data;
            // Not before the first answer: a refusal leaves no directory behind.
            let sink = match &mut sink {
                Some(sink) => sink,
                none => none.insert(Sink::open(&self.directory)?),
            };
            for copy in answer["copies"].as_array().into_iter().flatten() {
                let name = copy["name"].as_str().unwrap_or_default();
                if seen.insert(name.to_owned()) {
                    sink.put(name, copy)?;
                }
            }
            withheld += answer["withheld"].as_u64().unwrap_or_default();
            next = serde_json::from_value(answer["next"].clone()).into_diagnostic()?;
        }
        if let Some(Sink::Directory { path, manifest }) = sink {
            manifest.sync_all().into_diagnostic()?;
            let copies = match seen.len() {
                1 => String::from("1 copy"),
                n => format!("{n} copies"),
            };
            let path = path.display();
            print(&format!(
                "{copies} written to {path}, {withheld} not permitted\n"
            ))?;
        }
        Ok(match withheld {
            0 => Outcome::Done,
            _ => Outcome::FoundWrong,
        })
    }
}

impl Sink {
    fn open(directory: &Path) -> Result<Self> {
        if directory == Path::new("-") {
            return Ok(Self::Output);
        }
        new_directory(directory)?;
        Ok(Self::Directory {
            manifest: new_file(&directory.join(MANIFEST))?,
            path: directory.to_owned(),
        })
    }

    fn put(&mut self, name: &str, copy: &Value) -> Result<()> {
        match self {
            Self::Output => print(&format!("{copy}\n")).map(|_| ()),
            Self::Directory { path, manifest } => {
                let octets = copy["base64"]
                    .as_str()
                    .and_then(|text| BASE64.decode(text).ok());
                let octets = octets.ok_or_else(|| miette!("{name} came damaged"))?;
                write_new(&path.join(name), &octets)?;
                let line = json!({"file": name, "sha256": copy["sha256"], "about": copy["about"]});
                writeln!(manifest, "{line}").into_diagnostic()
            }
        }
    }
}
