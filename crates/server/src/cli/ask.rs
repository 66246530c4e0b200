//! Carries a request out: by the server that runs, or on the store itself where none does.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use miette::{IntoDiagnostic as _, Result, miette};
use nix::unistd::Uid;
use tern_mailbox::NoListener;

use super::{Outcome, print, say};
use crate::admin::Admin;
use crate::clock::{self, OsEntropy};
use crate::config::Config;
use crate::control::request::{Answer, Request, Response};
use crate::control::{Client, user_name};
use crate::parts;

/// Where requests go.
pub(super) enum Door {
    Server(Client),
    Store(Box<Admin>),
}

impl Door {
    pub(super) fn open(config: &Config) -> Result<Self> {
        let data_dir = &config.server.data_dir;
        if let Some(client) = Client::connect(data_dir).into_diagnostic()? {
            return Ok(Self::Server(client));
        }
        if !parts::has_store(data_dir) {
            return Err(miette!(
                help = "`tern init` makes one; `--config` names another configuration",
                "there is no store in {}",
                data_dir.display()
            ));
        }
        is_whose_store_it_is(data_dir)?;
        let parts = parts::open(config, Arc::new(NoListener), &mut OsEntropy).into_diagnostic()?;
        Ok(Self::Store(Box::new(Admin::alone(&parts))))
    }

    pub(super) fn ask(&mut self, request: &Request) -> Result<Answer> {
        let response = match self {
            Self::Server(client) => client.ask(request).into_diagnostic()?,
            Self::Store(admin) => {
                let operator = user_name(Uid::current());
                admin.execute(request, &operator, clock::now(), &mut OsEntropy)
            }
        };
        match response {
            Response::Done(answer) => Ok(answer),
            Response::Failed(why) => Err(miette!("{why}")),
        }
    }
}

/// What another user, `root` above all, writes into the store, the server could not open.
fn is_whose_store_it_is(data_dir: &Path) -> Result<()> {
    let owner = Uid::from_raw(fs::metadata(data_dir).into_diagnostic()?.uid());
    if owner == Uid::effective() {
        return Ok(());
    }
    let name = user_name(owner);
    Err(miette!(
        help = "`sudo -u {name} tern …`, or ask the server while it runs",
        "{} is {name}'s: what you write into it, its server could not read",
        data_dir.display()
    ))
}

/// Carries a request out and shows the answer.
pub(super) fn ask(config: &Config, request: &Request, json: bool) -> Result<Outcome> {
    show(&Door::open(config)?.ask(request)?, json)
}

/// Shows an answer.
pub(super) fn show(answer: &Answer, json: bool) -> Result<Outcome> {
    if json {
        let shown = serde_json::to_string_pretty(&answer.data).into_diagnostic()?;
        print(&format!("{shown}\n"))?;
    } else if !answer.text.is_empty() {
        say(&answer.text)?;
    }
    Ok(match answer.found_wrong {
        true => Outcome::FoundWrong,
        false => Outcome::Done,
    })
}
