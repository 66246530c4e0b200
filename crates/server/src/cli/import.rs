//! `tern account import`: accounts as JSON Lines, sent in pages.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use miette::{IntoDiagnostic as _, Report, Result, WrapErr as _, miette};
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
        false => Box::new(BufReader::new(
            File::open(file)
                .into_diagnostic()
                .wrap_err_with(|| file.display().to_string())?,
        )),
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
    let mut broken: Option<Report> = None;
    for (line, number) in lines.lines().zip(1..) {
        let line = line.into_diagnostic()?;
        let parsed = match line.trim() {
            "" => None,
            text => Some(serde_json::from_str(text)),
        };
        match parsed {
            Some(Ok(account)) => {
                if page.is_empty() {
                    first = number;
                }
                page.push(account);
            }
            // Lines are counted from the first of a page.
            None => {}
            Some(Err(error)) => broken = Some(miette!("line {number}: {error}")),
        }
        let is_whole = page.len() == IMPORT_PAGE || line.trim().is_empty() || broken.is_some();
        if is_whole
            && !page.is_empty()
            && let Err(error) = send(&mut page, first)
        {
            broken = Some(error);
        }
        if broken.is_some() {
            break;
        }
    }
    if broken.is_none() && !page.is_empty() {
        broken = send(&mut page, first).err();
    }
    match json {
        true => print(&format!("{}\n", json!({"added": added, "known": known})))?,
        false => print(&format!("{added} added, {known} there already\n"))?,
    };
    broken.map_or(Ok(Outcome::Done), Err)
}
