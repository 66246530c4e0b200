//! `tern recall replay`: what an audit log that was kept elsewhere says was taken back is asked for
//! again, where the store does not know it.
//!
//! The lines are those of `tern audit export`, in any order, also twice, as syslog brings them; other
//! lines are refused. Refuses a line that is not what its hash says. Whose the log is, is not proven here:
//! the operator who gives it may take back everything anyhow.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use serde_json::{Value, json};

use super::ask::Door;
use super::{Outcome, print, say};
use crate::config::Config;
use crate::control::request::{RecallAgain, Request};
use crate::evidence;

/// Asks for each recall of a log that was carried out and not undone, the oldest first.
pub(super) fn replay(config: &Config, file: &Path, json: bool) -> Result<Outcome> {
    let lines: Box<dyn BufRead> = match file.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(
            File::open(file)
                .into_diagnostic()
                .wrap_err_with(|| file.display().to_string())?,
        )),
    };
    let recalls = read(lines)?;
    let mut door = Door::open(config)?;
    let (mut data, mut failed) = (Vec::new(), 0);
    for (id, again) in recalls {
        let answer = again.and_then(|again| door.ask(&Request::RecallAgain(again)));
        let (text, answer) = match answer {
            Ok(answer) => (answer.text, answer.data),
            Err(error) => {
                failed += 1;
                let text = format!("recall {id} could not be asked for again: {error}");
                let data =
                    json!({"result": "failed", "recall": {"id": id}, "why": error.to_string()});
                (text, data)
            }
        };
        if !json {
            say(&text)?;
        }
        data.push(answer);
    }
    let of = |result: &str| data.iter().filter(|one| one["result"] == result).count();
    let (again, known, missing) = (of("asked-again"), of("known"), of("not-found"));
    let kept_out = of("kept-out");
    match json {
        true => print(&format!("{}\n", json!({ "recalls": data })))?,
        false => print(&format!(
            "{again} asked for again, {known} known, {kept_out} of messages that are not here and are kept out, \
             {missing} of others that are not here, {failed} failed\n"
        ))?,
    };
    Ok(match failed {
        0 => Outcome::Done,
        _ => Outcome::FoundWrong,
    })
}

/// What a log says of one recall.
#[derive(Default)]
struct Told {
    asked: Option<Result<RecallAgain>>,
    sealed: bool,
    undone: bool,
}

fn read(lines: impl BufRead) -> Result<Vec<(String, Result<RecallAgain>)>> {
    let mut recalls: BTreeMap<String, Told> = BTreeMap::new();
    for (line, number) in lines.lines().zip(1..) {
        let line = line.into_diagnostic()?;
        if line.trim().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(&line)
            .into_diagnostic()
            .wrap_err_with(|| format!("line {number}"))?;
        if evidence::hashed(&value).is_none() {
            return Err(miette!("line {number} is not what its hash says"));
        }
        note(&mut recalls, &value["entry"]);
    }
    let done = |(id, told): (String, Told)| {
        let asked = told.asked.filter(|_| told.sealed && !told.undone)?;
        Some((id, asked))
    };
    // Ids begin with the time.
    Ok(recalls.into_iter().filter_map(done).collect())
}

/// Notes what an entry says of a recall, if it does.
fn note(recalls: &mut BTreeMap<String, Told>, entry: &Value) {
    let Some(id) = entry["target"]
        .as_str()
        .and_then(|target| target.strip_prefix("recall "))
    else {
        return;
    };
    let told = recalls.entry(id.to_owned()).or_default();
    let allowed = entry["details"]["verdict"] == "allow";
    match entry["action"].as_str().unwrap_or_default() {
        "recall.request" => {
            told.asked = asked(id, entry);
            told.sealed |= allowed;
        }
        "recall.verdict" => told.sealed |= allowed,
        "recall.restore" => told.undone = true,
        _ => {}
    }
}

/// The request that an entry records; one that found no message has none. Refuses one that the entry does
/// not tell whole: less must not be taken back than was.
fn asked(id: &str, entry: &Value) -> Option<Result<RecallAgain>> {
    let details = &entry["details"];
    let detail = |name: &str| details[name].as_str().map(str::to_owned);
    let actor = &entry["actor"];
    let actor = ["address", "name", "kind"]
        .iter()
        .find_map(|name| actor[name].as_str());
    let recipients = chosen(details);
    let attachment = detail("attachment-part").or_else(|| detail("attachment"));
    let submission = detail("submission")?;
    if recipients
        .iter()
        .chain(&attachment)
        .any(|text| tern_audit::is_cut(text))
    {
        return Some(Err(miette!("its entry of the log is not whole")));
    }
    Some(Ok(RecallAgain {
        id: id.to_owned(),
        submission,
        letter: detail("letter"),
        message_id: detail("message-id").unwrap_or_default(),
        sender: detail("sender"),
        recipients,
        only: detail("only").map(|only| only.trim_start_matches("only-").to_owned()),
        copies_only: details["reach"] == "copies",
        attachment,
        asked_by: actor.unwrap_or_default().to_owned(),
        asked_at: entry["time"].as_str().unwrap_or_default().to_owned(),
    }))
}

/// The recipients that were chosen, which may stand in several details.
fn chosen(details: &Value) -> Vec<String> {
    (1..)
        .map_while(|number| details[tern_audit::numbered("chosen", number)].as_str())
        .flat_map(|names| names.split(' ').map(str::to_owned))
        .collect()
}
