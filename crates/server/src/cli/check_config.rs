//! `tern config check`: what `tern serve` would refuse, found without opening a port or the store.
//!
//! What is right but names somebody who is not there is a warning: they may come.

use std::path::Path;

use miette::{Result, miette};
use serde_json::Value;

use super::Outcome;
use super::ask::Door;
use crate::config::Config;
use crate::control::request::{GroupRequest, Request};
use crate::policies::Policies;
use crate::tls::Certificates;
use crate::{parts, relay, syslog};

/// Says whether the configuration is right.
pub(super) fn check(config: &Config, path: &Path) -> Result<Outcome> {
    let wrong = wrong(config);
    if !wrong.is_empty() {
        let name = path.display();
        return Err(miette!("{name} would not be served:\n{}", wrong.join("\n")));
    }
    for warning in warnings(config)? {
        eprintln!("warning: {warning}");
    }
    println!("{} is right", path.display());
    Ok(Outcome::Done)
}

/// What is in the way of serving.
fn wrong(config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut note = |error: Option<String>| wrong.extend(error);
    note(
        Certificates::check(&config.tls)
            .err()
            .map(|error| error.to_string()),
    );
    note(
        relay::check(&config.relay)
            .err()
            .map(|error| error.to_string()),
    );
    note(
        syslog::check(&config.syslog)
            .err()
            .map(|error| error.to_string()),
    );
    match Policies::open(&config.policy) {
        Err(error) => note(Some(error.to_string())),
        Ok(policies) if !policies.current().permits_operators() => {
            eprintln!(
                "warning: no policy permits operators anything, not even to read the audit log"
            );
        }
        Ok(_) => {}
    }
    wrong
}

/// What names nobody.
fn warnings(config: &Config) -> Result<Vec<String>> {
    let names = &config.recall.vault_days_of;
    if names.is_empty() || !parts::has_store(&config.server.data_dir) {
        return Ok(Vec::new());
    }
    let mut door = Door::open(config)?;
    let mut known: Vec<String> = Vec::new();
    for (request, field) in [
        (Request::DomainList, "domain"),
        (
            Request::Group(GroupRequest::List { address: None }),
            "address",
        ),
    ] {
        let answer = door.ask(&request)?.data;
        let all = answer.as_array().into_iter().flatten();
        let all = all.filter_map(|one| one.get(field).and_then(Value::as_str));
        known.extend(all.map(str::to_lowercase));
    }
    let unknown = names.keys().map(|whose| whose.as_str().to_lowercase());
    let unknown = unknown.filter(|whose| !known.contains(whose));
    Ok(unknown
        .map(|whose| format!("`[recall] vault_days_of`: there is no domain or group `{whose}`"))
        .collect())
}
