//! `tern alias` and `tern group`: addresses that lead to others.

use clap::Subcommand;

use crate::control::request::{AliasRequest, GroupRequest, Request};

#[derive(Subcommand)]
pub(crate) enum AliasCommand {
    /// Let an address lead to others.
    Add {
        address: String,
        /// Addresses of this server or elsewhere.
        #[arg(required = true)]
        targets: Vec<String>,
        /// In the place of those that the alias leads to already.
        #[arg(long)]
        replace: bool,
    },
    /// Remove an alias.
    Remove { address: String },
    /// Show every alias.
    List,
}

#[derive(Subcommand)]
pub(crate) enum GroupCommand {
    /// Add a group.
    Add {
        address: String,
        /// Its first members.
        members: Vec<String>,
        /// The name that people read.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Remove a group.
    Remove { address: String },
    /// Add members.
    AddMember {
        address: String,
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Remove members.
    RemoveMember {
        address: String,
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Show every group, or the members of one.
    List { address: Option<String> },
}

impl AliasCommand {
    pub(super) fn request(&self) -> Request {
        Request::Alias(match self {
            Self::Add {
                address,
                targets,
                replace,
            } => AliasRequest::Add {
                address: address.clone(),
                targets: targets.clone(),
                replace: *replace,
            },
            Self::Remove { address } => AliasRequest::Remove {
                address: address.clone(),
            },
            Self::List => AliasRequest::List,
        })
    }
}

impl GroupCommand {
    pub(super) fn request(&self) -> Request {
        Request::Group(match self {
            Self::Add {
                address,
                members,
                name,
            } => GroupRequest::Add {
                address: address.clone(),
                name: name.clone(),
                members: members.clone(),
            },
            Self::Remove { address } => GroupRequest::Remove {
                address: address.clone(),
            },
            Self::AddMember { address, members } => GroupRequest::AddMember {
                address: address.clone(),
                members: members.clone(),
            },
            Self::RemoveMember { address, members } => GroupRequest::RemoveMember {
                address: address.clone(),
                members: members.clone(),
            },
            Self::List { address } => GroupRequest::List {
                address: address.clone(),
            },
        })
    }
}
