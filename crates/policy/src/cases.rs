//! Cases: this actor, these facts, this verdict. They are data, so that an organisation tests its
//! policies as the house tests its own.
//!
//! A file is TOML. `[given]` holds what every case begins with; each `[[case]]` says what differs,
//! and what is expected:
//!
//! ```toml
//! [given]
//! actor.address = "anna@example.org"
//! message = { from = "anna@example.org", age = "1h", recipients = 3 }
//!
//! [[case]]
//! name = "after two days"
//! message.age = "2d"
//! verdict = "too-old"
//! policies = ["default.age"]
//! ```
//!
//! Invariant: what a case does not say is not known, or zero where it is a number that the server
//! always knows. An unknown key is an error.

use std::collections::BTreeMap;

use serde::Deserialize;
use tern_base::{AccountId, Timestamp};

use crate::{
    Actor, Authentication, Device, LocalTime, Message, Mode, Notice, Operation, Options,
    Permission, Policy, Question, Relation, Selection, Surroundings, duration,
};

/// What one case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// The expected verdict and policies.
    pub expected: (String, Vec<String>),
    /// The verdict and policies that it got.
    pub got: (String, Vec<String>),

    /// Whether they are the same.
    pub passed: bool,
}

/// Tries every case of a file's text.
///
/// # Errors
/// Says which case is not understood.
pub fn run(policy: &dyn Policy, text: &str) -> Result<Vec<Tried>, String> {
    let file: CaseFile = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut tried = Vec::new();
    for (number, row) in file.case.into_iter().enumerate() {
        let name = row.get("name").and_then(toml::Value::as_str);
        let name = name.map_or_else(|| format!("case {}", number + 1), str::to_owned);
        let wrong = |error: String| format!("{name}: {error}");
        let row = merge(file.given.clone(), row);
        let case = Case::deserialize(toml::Value::Table(row));
        let case = case.map_err(|error| wrong(error.to_string()))?;
        tried.push(case.run(policy).map_err(wrong)?);
    }
    if tried.is_empty() {
        return Err(String::from("there is no [[case]]"));
    }
    Ok(tried)
}

/// `over` on top of `base`, table by table.
fn merge(mut base: toml::Table, over: toml::Table) -> toml::Table {
    for (key, value) in over {
        let value = match (base.remove(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => {
                toml::Value::Table(merge(below, above))
            }
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(default)]
    given: toml::Table,
    #[serde(default)]
    case: Vec<toml::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    #[serde(default)]
    name: String,
    /// `recall`, `plan`, `restore`, or a permission.
    #[serde(default = "recall")]
    operation: String,
    actor: ActorRow,
    #[serde(default)]
    authentication: AuthenticationRow,
    #[serde(default)]
    device: DeviceRow,
    networks: Option<Vec<String>>,
    country: Option<String>,
    #[serde(default = "monday_noon")]
    utc: TimeRow,
    local: Option<TimeRow>,
    message: Option<MessageRow>,
    #[serde(default)]
    options: OptionsRow,
    #[serde(default)]
    approvals: u32,
    requester: Option<String>,
    #[serde(default)]
    requests_last_hour: u32,
    #[serde(default)]
    frozen: bool,
    verdict: String,
    /// How much they see of what became of the message: `full`, `outcomes`, `aggregate:10`, or
    /// `nothing`.
    visibility: Option<String>,
    policies: Vec<String>,
}

fn recall() -> String {
    String::from("recall")
}

fn monday_noon() -> TimeRow {
    TimeRow {
        weekday: 1,
        hour: 12,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ActorRow {
    /// An account; or `operator`, who has none.
    address: Option<String>,
    operator: Option<String>,
    /// Besides `user`, which every account is.
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    delegate_of: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct AuthenticationRow {
    mechanism: String,
    protocol: String,
    factors: Vec<String>,
    step_up_age: Option<Span>,
    tls: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct DeviceRow {
    client: Option<String>,
    first_seen: Option<Span>,
    trusted: Option<bool>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeRow {
    weekday: u8,
    hour: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MessageRow {
    /// None when it came from outside.
    from: Option<String>,
    #[serde(default)]
    from_groups: Vec<String>,
    age: Span,
    #[serde(default)]
    size: u64,
    label: Option<String>,
    recipients: u64,
    #[serde(default)]
    external: u64,
    exposed: Option<u64>,
    unread: Option<u64>,
    on_hold: Option<bool>,
    recalled: Option<Span>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct OptionsRow {
    recipients: Option<u64>,
    selection: Option<String>,
    reach: Option<String>,
    mode: Option<String>,
    notice: Option<String>,
    attachment: Option<String>,
    reason: Option<String>,
    as_answer: bool,
}

/// A duration, in milliseconds.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Span(u64);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration like 15m, 72h or 3d");
        duration::parse(&text).map(Self).ok_or_else(wrong)
    }
}

impl Case {
    fn run(self, policy: &dyn Policy) -> Result<Tried, String> {
        let question = self.question()?;
        let verdict = policy.decide(&question);
        let mut expected = self.policies;
        expected.sort_unstable();
        let mut decided: Vec<String> = verdict.policies.into_iter().map(|id| id.0).collect();
        decided.sort_unstable();
        let mut got = (verdict.decision.code().to_owned(), decided);
        let mut expected = (self.verdict, expected);
        if let Some(visibility) = self.visibility {
            let seen = policy.visibility(&question, question.relation() == Relation::Own);
            let seen = seen.map_or_else(|| String::from("nothing"), |seen| seen.to_string());
            let with = |verdict: &str, seen: &str| format!("{verdict}, sees {seen}");
            got.0 = with(&got.0, &seen);
            expected.0 = with(&expected.0, &visibility);
        }
        Ok(Tried {
            name: self.name,
            passed: got == expected,
            expected,
            got,
        })
    }

    fn question(&self) -> Result<Question, String> {
        let mut ids = Ids::default();
        let authentication = &self.authentication;
        Ok(Question {
            operation: operation(&self.operation)?,
            now: self.utc.timestamp()?,
            actor: self.actor(&mut ids)?,
            authentication: Authentication {
                mechanism: authentication.mechanism.clone(),
                factors: authentication.factors.clone(),
                step_up_age_ms: authentication.step_up_age.map(|age| age.0),
                peer: None,
                protocol: authentication.protocol.clone(),
                tls: authentication.tls,
                device: Device {
                    client: self.device.client.clone(),
                    first_seen_age_ms: self.device.first_seen.map(|age| age.0),
                    trusted: self.device.trusted,
                },
            },
            surroundings: Surroundings {
                networks: self.networks.clone(),
                country: self.country.clone(),
                local: self.local.map(TimeRow::local),
            },
            message: self.message.as_ref().map(|row| row.message(&mut ids)),
            options: self.options.options()?,
            approvals: self.approvals,
            requester: self.requester.clone(),
            requests_last_hour: self.requests_last_hour,
            frozen: self.frozen,
        })
    }

    fn actor(&self, ids: &mut Ids) -> Result<Actor, String> {
        let row = &self.actor;
        let mut roles = row.roles.clone();
        let (account, name) = match (&row.address, &row.operator) {
            (Some(address), None) => {
                roles.push(String::from("user"));
                (Some(ids.of(address)), address)
            }
            (None, Some(name)) => (None, name),
            _ => return Err(String::from("an actor has an address, or is an operator")),
        };
        Ok(Actor {
            account,
            name: name.clone(),
            groups: row.groups.clone(),
            roles,
            delegate_of: row
                .delegate_of
                .iter()
                .map(|address| ids.of(address))
                .collect(),
        })
    }
}

impl MessageRow {
    fn message(&self, ids: &mut Ids) -> Message {
        Message {
            submitter: self.from.as_ref().map(|from| ids.of(from)),
            sender: self.from.clone(),
            sender_groups: self.from_groups.clone(),
            age_ms: self.age.0,
            size: self.size,
            label: self.label.clone(),
            recipients: self.recipients,
            external: self.external,
            exposed: self.exposed,
            unread: self.unread,
            on_hold: self.on_hold,
            recalled_ms: self.recalled.map(|span| span.0),
        }
    }
}

impl OptionsRow {
    fn options(&self) -> Result<Options, String> {
        let wrong = |text: &str| Err(format!("`{text}` is not an option"));
        Ok(Options {
            chosen_recipients: self.recipients,
            selection: match self.selection.as_deref() {
                None | Some("any") => Selection::Any,
                Some("only-unexposed") => Selection::OnlyUnexposed,
                Some("only-unread") => Selection::OnlyUnread,
                Some(other) => return wrong(other),
            },
            reach: match self.reach.as_deref() {
                Some("copies") => "copies",
                None | Some("attached") => "attached",
                Some(other) => return wrong(other),
            },
            mode: match self.mode.as_deref() {
                None | Some("withdraw") => Mode::Withdraw,
                Some("replace") => Mode::Replace,
                Some("expire") => Mode::ExpireAt(Timestamp(0)),
                Some(other) => return wrong(other),
            },
            notice: match self.notice.as_deref() {
                Some("none") => Notice::None,
                None | Some("exposed-only") => Notice::ExposedOnly,
                Some("all") => Notice::All,
                Some(other) => return wrong(other),
            },
            attachment: self.attachment.clone(),
            reason: self.reason.clone(),
            as_answer: self.as_answer,
        })
    }
}

impl TimeRow {
    const fn local(self) -> LocalTime {
        LocalTime {
            hour: self.hour,
            weekday: self.weekday,
        }
    }

    /// A moment at this time of the week.
    fn timestamp(self) -> Result<Timestamp, String> {
        const HOUR_MS: u64 = 60 * 60 * 1000;
        /// A Monday, in days since the first one.
        const MONDAY: u64 = 20_003;
        if !(1..=7).contains(&self.weekday) || self.hour > 23 {
            return Err(String::from("a weekday is 1 to 7, an hour 0 to 23"));
        }
        let days = MONDAY + u64::from(self.weekday) - 1;
        Ok(Timestamp((days * 24 + u64::from(self.hour)) * HOUR_MS))
    }
}

fn operation(text: &str) -> Result<Operation, String> {
    match text {
        "recall" => Ok(Operation::Recall),
        "plan" => Ok(Operation::Plan),
        "restore" => Ok(Operation::Restore),
        other => match Permission::from_code(other) {
            Some(permission) => Ok(Operation::Use(permission)),
            None => Err(format!("`{other}` is no operation and no permission")),
        },
    }
}

/// The addresses of a case, numbered.
#[derive(Default)]
struct Ids(BTreeMap<String, AccountId>);

impl Ids {
    fn of(&mut self, address: &str) -> AccountId {
        let next = AccountId(self.0.len() as u32 + 1);
        *self.0.entry(address.to_owned()).or_insert(next)
    }
}
