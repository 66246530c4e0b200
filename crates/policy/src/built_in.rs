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

/// The default policy as it ships: the roles and every sentence of the default.
pub const SHIPPED_DEFAULT: &[File] = &[ROLES, AGE, EXPOSED, FROZEN, RATE, RECIPIENTS];

/// The part of it that works before a step-up or an approval can be completed: a refusal that
/// nobody can do anything about would help nobody.
const WITHOUT_STEP_UP_AND_APPROVAL: &[File] = &[ROLES, AGE, RATE];

/// What is in force where the configuration names no policies. Once recalls wait for step-up and
/// approval, this line becomes [`SHIPPED_DEFAULT`].
const BUILT_IN: &[File] = WITHOUT_STEP_UP_AND_APPROVAL;

/// The set that is in force where the configuration names no policies.
///
/// # Panics
/// Never: a test loads it.
pub fn built_in() -> Arc<PolicySet> {
    static SET: OnceLock<Arc<PolicySet>> = OnceLock::new();
    let load = || match PolicySet::load(BUILT_IN) {
        Ok(set) => Arc::new(set),
        Err(errors) => panic!("the built-in policies are wrong: {errors:?}"),
    };
    Arc::clone(SET.get_or_init(load))
}
