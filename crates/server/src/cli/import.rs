//! `tern account import`: accounts as JSON Lines, sent in pages.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use miette::{IntoDiagnostic as _, Result, miette};
use serde_json::{Value, json};

use super::ask::Door;
use super::{Outcome, print};
use crate::admin::IMPORT_PAGE;
use crate::config::Config;
use crate::control::request::{ImportedAccount, Request};

/// Imports what a file holds, or standard input where it is `-`. What stands before a line that
/// can't be used is imported; running it again passes over what is there.
pub(super) fn import(config: &Config, file: &Path, json: bool) -> Result<Outcome> {
    let lines: Box<dyn BufRead> = match file.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(file).into_diagnostic()?)),
    };
    let mut door = Door::open(config)?;
    let (mut added, mut known) = (0, 0);
    let (mut page, mut first) = (Vec::new(), 1);
    let mut send = |page: &mut Vec<ImportedAccount>, first| -> Result<()> {
        let accounts = std::mem::take(page);
        let answer = door.ask(&Request::AccountImport { accounts, first })?;
        let number = |name: &str| answer.data.get(name).and_then(Value::as_u64).unwrap_or(0);
        added += number("added");
        known += number("known");
        Ok(())
    };
    let mut broken = None;
    for (line, number) in lines.lines().zip(1..) {
        let line = line.into_diagnostic()?;
        if page.is_empty() {
            first = number;
        }
        match serde_json::from_str(&line) {
            Ok(account) => page.push(account),
            Err(_) if line.trim().is_empty() && page.is_empty() => {}
            Err(error) => {
                broken = Some(miette!("line {number}: {error}"));
                break;
            }
        }
        if page.len() == IMPORT_PAGE {
            send(&mut page, first)?;
        }
    }
    if !page.is_empty() {
        send(&mut page, first)?;
    }
    match json {
        true => print(&format!("{}\n", json!({"added": added, "known": known})))?,
        false => print(&format!("{added} added, {known} there already\n"))?,
    };
    broken.map_or(Ok(Outcome::Done), Err)
}
