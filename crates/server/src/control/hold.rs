//! What can be asked about legal holds.

use serde::{Deserialize, Serialize};

/// What a hold is over, as it is asked for: whatever fits every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HoldWhich {
    /// In the mailboxes of this account.
    pub account: Option<String>,
    /// With this Message-ID.
    pub message_id: Option<String>,
    /// With this content digest, in hexadecimal.
    pub digest: Option<String>,
    /// The letter of this submission, by its id.
    pub submission: Option<String>,
    /// Sent by this address.
    pub from: Option<String>,
    /// Whose subject has this in it.
    pub subject: Option<String>,
    /// Sent or received at this time or later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Sent or received before this time, in milliseconds since 1970.
    pub before: Option<u64>,
}

/// A request about legal holds; `acting` is the account whose roles count, none for the operator.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HoldRequest {
    /// Place one.
    Add {
        /// What it is over.
        which: HoldWhich,
        /// Why.
        why: String,
        /// When it ends, in milliseconds since 1970.
        until: Option<u64>,
        /// What it holds may not be hidden either.
        visible: bool,
        /// Whose roles count.
        acting: Option<String>,
    },
    /// Those that there are.
    List {
        /// Whose roles count.
        acting: Option<String>,
    },
    /// One, and how much is kept.
    Show {
        /// Its id.
        id: String,
        /// Whose roles count.
        acting: Option<String>,
    },
    /// End one.
    Release {
        /// Its id.
        id: String,
        /// Whose roles count.
        acting: Option<String>,
    },
    /// Some of what is under one, with contents.
    Export {
        /// Its id.
        id: String,
        /// How far it was read.
        from: Reached,
        /// Whose roles count.
        acting: Option<String>,
    },
}

/// How far what is under a hold was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// Which part of the store.
    pub stage: u8,
    /// The account and the message that came last.
    pub last: Option<(u32, u64)>,
}
