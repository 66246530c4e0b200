//! Loading a set: parsed, checked against the schema, its annotations read; whole or not at all.
//!
//! Invariant: every error of every file is reported, in the order of the files' names and lines.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use cedar_policy::{
    Authorizer, Policy, PolicyId as CedarId, Schema, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;
use sha2::{Digest as _, Sha256};

use crate::facts::Vocabulary;
use crate::set::{PolicySet, Rule};
use crate::{Effect, PolicyError, limits, rule};

const SCHEMA: &str = include_str!("schema.cedarschema");

impl PolicySet {
    /// Loads a set from the names and texts of its files.
    ///
    /// # Errors
    /// Everything that is wrong; nothing is loaded then.
    pub fn load<N: AsRef<str>, T: AsRef<str>>(files: &[(N, T)]) -> Result<Self, Vec<PolicyError>> {
        let mut files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (name.as_ref(), text.as_ref()))
            .collect();
        files.sort_unstable();
        let mut loading = Loading::default();
        if files.len() > limits::MAX_FILES {
            let message = format!("more than {} files", limits::MAX_FILES);
            return Err(vec![PolicyError::of_file("policies", message)]);
        }
        for (file, text) in &files {
            loading.file(file, text);
        }
        loading.finish(&files)
    }

    /// The digest that a set of these files has, see [`PolicySet::digest`].
    pub fn digest_of<N: AsRef<str>, T: AsRef<str>>(files: &[(N, T)]) -> String {
        let mut files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (name.as_ref(), text.as_ref()))
            .collect();
        files.sort_unstable();
        digest(&files)
    }
}

/// The schema, parsed.
pub(crate) fn schema() -> Result<Schema, PolicyError> {
    let parsed = Schema::from_cedarschema_str(SCHEMA);
    let (schema, _) =
        parsed.map_err(|error| PolicyError::of_file("schema.cedarschema", format!("{error}")))?;
    Ok(schema)
}

#[derive(Default)]
struct Loading {
    policies: Vec<Policy>,
    rules: BTreeMap<String, Rule>,
    errors: Vec<PolicyError>,
}

impl Loading {
    fn file(&mut self, file: &str, text: &str) {
        if text.len() > limits::MAX_FILE_BYTES {
            let message = format!("longer than {} bytes", limits::MAX_FILE_BYTES);
            self.errors.push(PolicyError::of_file(file, message));
            return;
        }
        let parsed = match cedar_policy::PolicySet::from_str(text) {
            Ok(parsed) => parsed,
            Err(errors) => {
                let errors = errors.iter().map(|error| of_diagnostic(file, text, error));
                self.errors.extend(errors);
                return;
            }
        };
        for template in parsed.templates() {
            let start = template.as_ref().loc().map_or(0, |loc| loc.start());
            let message = "a policy with a slot (?principal, ?resource) is not used here";
            self.errors
                .push(PolicyError::at(file, text, start, message));
        }
        if parsed.is_empty() {
            // As a file is that is being written: what it is to forbid must not be away meanwhile.
            let message = "there is no policy in it";
            self.errors.push(PolicyError::at(file, text, 0, message));
        }
        for policy in parsed.policies() {
            self.policy(file, text, policy);
        }
    }

    fn policy(&mut self, file: &str, text: &str, policy: &Policy) {
        let start = policy.as_ref().loc().map_or(0, |loc| loc.start());
        let written = policy.as_ref().loc().and_then(|loc| loc.snippet());
        let error = |id: Option<&str>, wrong: rule::Wrong| {
            let within = written.and_then(|text| text.find(&format!("@{}", wrong.annotation)));
            PolicyError::at(file, text, start + within.unwrap_or(0), wrong.message)
                .of_policy(id)
                .with_help(wrong.help)
        };
        let id = match rule::id(policy) {
            Ok(id) => id,
            Err(wrong) => return self.errors.push(error(policy.annotation("id"), wrong)),
        };
        if let Some(other) = self.rules.get(&id) {
            let message = format!("this id is used in {}:{}, too", other.file, other.line);
            let at = PolicyError::at(file, text, start, message);
            return self.errors.push(at.of_policy(Some(&id)));
        }
        let effect = rule::effect(policy).unwrap_or_else(|wrongs| {
            let errors = wrongs.into_iter().map(|wrong| error(Some(&id), wrong));
            self.errors.extend(errors);
            Effect::Permit
        });
        let rule = Rule {
            id: id.clone(),
            effect,
            description: policy.annotation("description").map(str::to_owned),
            file: file.to_owned(),
            line: PolicyError::at(file, text, start, "").line,
        };
        self.policies.push(policy.new_id(CedarId::new(&id)));
        self.rules.insert(id, rule);
    }

    fn finish(mut self, files: &[(&str, &str)]) -> Result<PolicySet, Vec<PolicyError>> {
        if self.rules.len() > limits::MAX_POLICIES {
            let message = format!("more than {} policies", limits::MAX_POLICIES);
            self.errors.push(PolicyError::of_file("policies", message));
        }
        let schema = schema().map_err(|error| vec![error])?;
        let vocabulary = Vocabulary::new().map_err(|error| vec![error])?;
        self.validate(schema, files);
        if !self.errors.is_empty() {
            self.errors.sort_unstable();
            self.errors.dedup();
            return Err(self.errors);
        }
        let looks_at_unread = self
            .policies
            .iter()
            .any(|policy| rule::names(policy, "unread"));
        let is_permit = |policy: &Policy| policy.effect() == cedar_policy::Effect::Permit;
        let (permits, forbids): (Vec<_>, Vec<_>) = self.policies.into_iter().partition(is_permit);
        if permits.is_empty() {
            // Conditions alone: whoever wrote them left out what they are conditions of.
            let message = "no policy permits anything, so nobody could do anything: the roles are in \
                           config/policies/roles";
            return Err(vec![PolicyError::of_file("policies", message)]);
        }
        let set = |policies| {
            cedar_policy::PolicySet::from_policies(policies)
                .map_err(|error| vec![PolicyError::of_file("policies", error.to_string())])
        };
        Ok(PolicySet {
            permits: set(permits)?,
            forbids: set(forbids)?,
            rules: self.rules,
            vocabulary,
            authorizer: Authorizer::new(),
            digest: digest(files),
            looks_at_unread,
        })
    }

    /// Strict validation. A policy that can never apply is an error: whoever wrote it meant
    /// something else.
    fn validate(&mut self, schema: Schema, files: &[(&str, &str)]) {
        let policies = cedar_policy::PolicySet::from_policies(self.policies.iter().cloned());
        let Ok(policies) = policies else { return };
        let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
        let never = |warning: &&ValidationWarning| {
            matches!(
                warning,
                ValidationWarning::ImpossiblePolicy(_)
                    | ValidationWarning::InvalidActionApplication(_)
            )
        };
        let errors = result
            .validation_errors()
            .map(|error| (error.policy_id(), error as &dyn Diagnostic));
        let warnings = result
            .validation_warnings()
            .filter(never)
            .map(|warning| (warning.policy_id(), warning as &dyn Diagnostic));
        for (id, diagnostic) in errors.chain(warnings) {
            let id: &str = id.as_ref();
            let Some(rule) = self.rules.get(id) else {
                continue;
            };
            let text = files.iter().find(|(name, _)| *name == rule.file);
            let text = text.map_or("", |(_, text)| text);
            let mut error = of_diagnostic(&rule.file, text, diagnostic).of_policy(Some(id));
            if let Some(rest) = error.message.strip_prefix(&format!("for policy `{id}`, ")) {
                error.message = rest.to_owned();
            }
            if error.line == 0 {
                error.line = rule.line;
                error.column = 1;
            }
            self.errors.push(error);
        }
    }
}

/// What Cedar says, at the place that it names.
fn of_diagnostic(file: &str, text: &str, diagnostic: &(impl Diagnostic + ?Sized)) -> PolicyError {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let message = diagnostic.to_string();
    let help = diagnostic.help().map(|help| help.to_string());
    match label {
        Some(label) => PolicyError::at(file, text, label.offset(), message),
        None => PolicyError::of_file(file, message),
    }
    .with_help(help)
}

fn digest(files: &[(&str, &str)]) -> String {
    let mut digest = Sha256::new();
    for (name, text) in files {
        for part in [name, text] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
    }
    digest
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
