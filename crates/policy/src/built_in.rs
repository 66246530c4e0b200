//! The policies that ship, as the files under `config/policies/` say them.

use std::sync::{Arc, OnceLock};

use crate::PolicySet;

/// A file's name and text.
type File = (&'static str, &'static str);

const ROLES: File = (
    "roles/roles.cedar",
    include_str!("../../../config/policies/roles/roles.cedar"),
);
const AGE: File = (
    "default/age.cedar",
    include_str!("../../../config/policies/default/age.cedar"),
);
const EXPOSED: File = (
    "default/exposed.cedar",
    include_str!("../../../config/policies/default/exposed.cedar"),
);
const FROZEN: File = (
    "default/frozen.cedar",
    include_str!("../../../config/policies/default/frozen.cedar"),
);
const RATE: File = (
    "default/rate.cedar",
    include_str!("../../../config/policies/default/rate.cedar"),
);
const RECIPIENTS: File = (
    "default/recipients.cedar",
    include_str!("../../../config/policies/default/recipients.cedar"),
);
const RESTORE: File = (
    "default/restore.cedar",
    include_str!("../../../config/policies/default/restore.cedar"),
);

/// The default policy as it ships: the roles and every sentence of the default.
pub const SHIPPED_DEFAULT: &[File] = &[ROLES, AGE, EXPOSED, FROZEN, RATE, RECIPIENTS, RESTORE];

/// The part of it under which nobody but the requester has a say: for a demo, a simulation and tests
/// that have nobody to show a second factor, or to approve.
pub const UNATTENDED: &[File] = &[ROLES, AGE, RATE, RESTORE];

/// The set that is in force where the configuration names no policies: the whole default.
pub fn built_in() -> Arc<PolicySet> {
    static SET: OnceLock<Arc<PolicySet>> = OnceLock::new();
    Arc::clone(SET.get_or_init(|| load(SHIPPED_DEFAULT)))
}

/// The set of [`UNATTENDED`].
pub fn unattended() -> Arc<PolicySet> {
    static SET: OnceLock<Arc<PolicySet>> = OnceLock::new();
    Arc::clone(SET.get_or_init(|| load(UNATTENDED)))
}

/// # Panics
/// Never: a test loads both sets.
fn load(files: &[File]) -> Arc<PolicySet> {
    match PolicySet::load(files) {
        Ok(set) => Arc::new(set),
        Err(errors) => panic!("the built-in policies are wrong: {errors:?}"),
    }
}
