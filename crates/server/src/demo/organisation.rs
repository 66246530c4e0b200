//! The sample organisation.

use std::sync::Arc;

use miette::{IntoDiagnostic as _, Result, miette};
use tern_mailbox::NoListener;

use crate::admin::Admin;
use crate::clock::{self, OsEntropy};
use crate::config::Config;
use crate::control::request::{AliasRequest, GroupRequest, Request, Response};
use crate::parts;

/// The accounts, by the part of their address before the `@`.
pub(super) const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// Everybody's password.
pub(super) const PASSWORD: &str = "tern-demo";
/// A group of dave and erin.
pub(super) const TEAM: &str = "team@example.org";
/// An alias of alice.
pub(super) const INFO: &str = "info@example.org";

/// The address of one of [`PEOPLE`].
pub(super) fn address(name: &str) -> String {
    format!("{name}@example.org")
}

/// Makes the organisation, unless the store holds one already.
pub(super) fn set_up(config: &Config) -> Result<()> {
    let existed = parts::has_store(&config.server.data_dir);
    let parts = parts::open(config, Arc::new(NoListener), &mut OsEntropy).into_diagnostic()?;
    if existed {
        return Ok(());
    }
    let admin = Admin::alone(&parts);
    for request in requests() {
        let response = admin.execute(&request, "demo", clock::now(), &mut OsEntropy);
        if let Response::Failed(why) = response {
            return Err(miette!("the sample organisation could not be made: {why}"));
        }
    }
    Ok(())
}

fn requests() -> Vec<Request> {
    let mut requests = vec![Request::DomainAdd {
        domain: String::from("example.org"),
    }];
    requests.extend(PEOPLE.iter().map(|name| Request::AccountAdd {
        address: address(name),
        name: (*name).to_owned(),
        quota_bytes: 0,
        password: PASSWORD.to_owned(),
    }));
    requests.push(Request::Group(GroupRequest::Add {
        address: TEAM.to_owned(),
        name: String::from("The team"),
        members: Vec::new(),
    }));
    requests.push(Request::Group(GroupRequest::AddMember {
        address: TEAM.to_owned(),
        members: vec![address("dave"), address("erin")],
    }));
    requests.push(Request::Alias(AliasRequest::Add {
        replace: false,
        address: INFO.to_owned(),
        targets: vec![address("alice")],
    }));
    requests
}
