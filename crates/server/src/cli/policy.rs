//! `tern policy` and `tern role`. Checking and testing read files alone; the rest is asked of the
//! server.

use std::fs;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use tern_policy::cases;

use super::{Outcome, print};
use crate::control::request::{Asked, PolicyRequest, Request, RoleRequest};
use crate::policies::{PoliciesError, files};

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say whether policies are right, and where they are not.
    Check {
        /// Their directories; without any, those of the configuration.
        directories: Vec<PathBuf>,
    },
    /// Try cases: this actor, these facts, this verdict.
    Test {
        /// The file with the cases.
        cases: PathBuf,
        /// The directories of the policies; without any, those of the configuration.
        directories: Vec<PathBuf>,
    },
    /// Say why a recall was, or would be, decided as it was: by which policies, on what.
    Explain(ExplainArgs),
    /// Show the policies in force.
    List,
}

#[derive(ClapArgs)]
pub(crate) struct ExplainArgs {
    /// A recall's id, or with `--by` the Message-ID of a message.
    which: String,
    /// The account that sent the message.
    #[arg(long)]
    by: Option<String>,
    /// Who would ask; without it, you.
    #[arg(long, requires = "by")]
    actor: Option<String>,
    /// The protocol they would use.
    #[arg(long, requires = "by")]
    protocol: Option<String>,
    /// The address they would come from.
    #[arg(long, requires = "by")]
    peer: Option<String>,
}

impl PolicyCommand {
    /// What is asked of the server; `None` where files alone are looked at.
    pub(super) fn request(&self) -> Option<Request> {
        let request = match self {
            Self::Check { .. } | Self::Test { .. } => return None,
            Self::List => PolicyRequest::List,
            Self::Explain(args) => match &args.by {
                None => PolicyRequest::ExplainRecall {
                    id: args.which.clone(),
                },
                Some(by) => PolicyRequest::Explain(Asked {
                    by: by.clone(),
                    message_id: args.which.clone(),
                    actor: args.actor.clone(),
                    protocol: args.protocol.clone(),
                    peer: args.peer.clone(),
                }),
            },
        };
        Some(Request::Policy(request))
    }

    /// Looks at files; `configured` are the directories of the configuration.
    pub(super) fn look(&self, configured: impl Fn() -> Result<Vec<PathBuf>>) -> Result<Outcome> {
        match self {
            Self::Check { directories } => check(&directories_of(directories, configured)?),
            Self::Test { cases, directories } => {
                test(cases, &directories_of(directories, configured)?)
            }
            Self::Explain(_) | Self::List => Ok(Outcome::Done),
        }
    }
}

fn directories_of(
    named: &[PathBuf],
    configured: impl Fn() -> Result<Vec<PathBuf>>,
) -> Result<Vec<PathBuf>> {
    match named.is_empty() {
        true => configured(),
        false => Ok(named.to_vec()),
    }
}

fn check(directories: &[PathBuf]) -> Result<Outcome> {
    match files::load(directories) {
        Ok(set) => {
            if !set.permits_operators() {
                eprintln!(
                    "warning: no policy permits operators anything, not even to read the audit log"
                );
            }
            let (number, digest) = (set.rules().count(), set.digest());
            let are = if number == 1 {
                "policy is"
            } else {
                "policies are"
            };
            print(&format!("{number} {are} right: set {digest}\n"))
        }
        Err(PoliciesError::Wrong(errors)) => {
            for error in errors {
                print(&format!("{error}\n"))?;
            }
            Ok(Outcome::FoundWrong)
        }
        Err(error) => Err(error).into_diagnostic(),
    }
}

fn test(path: &PathBuf, directories: &[PathBuf]) -> Result<Outcome> {
    let set = files::load(directories).into_diagnostic()?;
    let text = fs::read_to_string(path)
        .into_diagnostic()
        .wrap_err_with(|| path.display().to_string())?;
    let tried = cases::run(&*set, &text);
    let tried = tried.map_err(|error| miette!("{}: {error}", path.display()))?;
    let shown =
        |(code, policies): &(String, Vec<String>)| format!("{code} by {}", policies.join(" "));
    let mut wrong = 0;
    for case in &tried {
        if case.passed {
            print(&format!("right  {}\n", case.name))?;
        } else {
            wrong += 1;
            let (expected, got) = (shown(&case.expected), shown(&case.got));
            print(&format!(
                "WRONG  {}\n       expected {expected}\n       got      {got}\n",
                case.name
            ))?;
        }
    }
    print(&format!("{} cases, {wrong} wrong\n", tried.len()))?;
    Ok(match wrong {
        0 => Outcome::Done,
        _ => Outcome::FoundWrong,
    })
}

#[derive(Subcommand)]
pub(crate) enum RoleCommand {
    /// Give a role to an account.
    Grant(RoleArgs),
    /// Take a role away.
    Revoke(RoleArgs),
    /// Show who holds which role, or the roles of one account.
    List { address: Option<String> },
}

#[derive(ClapArgs)]
pub(crate) struct RoleArgs {
    /// manager, operator, compliance-officer, auditor or administrator.
    role: String,
    /// The account.
    address: String,
    /// Over whom: `everyone`, a domain, or the address of a group.
    #[arg(long)]
    over: String,
}

impl RoleCommand {
    pub(super) fn request(&self) -> Request {
        Request::Role(match self {
            Self::Grant(args) => RoleRequest::Grant {
                role: args.role.clone(),
                address: args.address.clone(),
                over: args.over.clone(),
            },
            Self::Revoke(args) => RoleRequest::Revoke {
                role: args.role.clone(),
                address: args.address.clone(),
                over: args.over.clone(),
            },
            Self::List { address } => RoleRequest::List {
                address: address.clone(),
            },
        })
    }
}
