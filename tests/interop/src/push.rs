//! A foreign push service with the device behind it: PyPI's http-ece reads what was encrypted, and
//! py-vapid verifies who signed it.

use std::path::Path;
use std::process::Command;

use crate::process::program_of;
use crate::{Agent, client_script};

/// The service, whose certificate is put into this directory. It trusts what is in `server`, once that is
/// there.
#[track_caller]
pub fn push_service(directory: &Path, server: &Path) -> Agent {
    let mut command = Command::new(program_of("TERN_TEST_PYTHON"));
    command.arg(client_script("push_agent.py")).arg(directory);
    command.env("REQUESTS_CA_BUNDLE", server);
    Agent::start("push service", &mut command)
}
