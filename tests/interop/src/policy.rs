//! Configurations that ask more of a requester than a login.

use std::path::Path;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/policies");

/// The shipped default, whatever is built in: what was opened needs a second factor.
pub fn by_default_policy() -> String {
    format!("[policy]\ndirectories = [\"{SHIPPED}/roles\", \"{SHIPPED}/default\"]\n")
}

/// Every recall waits for somebody else, for this long (`1h`); the rule is written into `rules`.
pub fn four_eyes(rules: &Path, expires: &str) -> String {
    let rule = format!(
        "@id(\"house.four-eyes\")\n@approval(\"{expires}\")\n@approvers(\"1\")\n\
         forbid (principal, action == Tern::Action::\"recall.own\", resource)\n\
         unless {{ context.approvals >= 1 }};\n"
    );
    let file = rules.join("rules.cedar");
    std::fs::write(&file, rule).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    format!("[policy]\ndirectories = [\"{SHIPPED}/roles\", {rules:?}]\n")
}
