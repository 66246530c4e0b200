//! A question as Cedar sees it: principal, action, resource and context.
//!
//! Invariant: each fact is written down once, in [`of`]; what a policy is given and what a verdict
//! keeps as its inputs are both made from that list. A fact that is not known is not in it.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RestrictedExpression as Expression,
};

use crate::question::{Message, Relation};
use crate::{LocalTime, Mode, Notice, Permission, PolicyError, Question, duration, limits};

/// A fact's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Flag(bool),
    Number(u64),
    Text(String),
    Texts(Vec<String>),
    Millis(u64),
    /// An account, by its address.
    Account(String),
}

pub(crate) type Facts = Vec<(&'static str, Value)>;

/// Every fact of a question that is known, by the name that policies use.
pub(crate) fn of(question: &Question) -> Facts {
    let mut facts = Vec::with_capacity(40);
    if let (Some(message), true) = (
        &question.message,
        question.permission().is_about_a_message(),
    ) {
        of_message(question.relation(), message, &mut facts);
    }
    of_connection(question, &mut facts);
    of_time(
        "context.utc.hour",
        "context.utc.weekday",
        LocalTime::utc(question.now),
        &mut facts,
    );
    if let Some(local) = question.surroundings.local {
        of_time(
            "context.local.hour",
            "context.local.weekday",
            local,
            &mut facts,
        );
    }
    of_options(question, &mut facts);
    facts.push((
        "context.approvals",
        Value::Number(question.approvals.into()),
    ));
    if let Some(requester) = &question.requester {
        facts.push(("context.requester", Value::Account(requester.clone())));
    }
    let requests = question.requests_last_hour.into();
    facts.push(("context.requestsLastHour", Value::Number(requests)));
    facts.push(("context.frozen", Value::Flag(question.frozen)));
    facts
}

fn of_message(relation: Relation, message: &Message, facts: &mut Facts) {
    let own = relation == Relation::Own;
    let delegated = relation == Relation::Delegated;
    facts.push(("resource.isOwn", Value::Flag(own)));
    facts.push(("resource.isDelegated", Value::Flag(delegated)));
    if let Some(sender) = &message.sender {
        facts.push(("resource.sender", Value::Account(sender.clone())));
    }
    facts.push(("resource.age", Value::Millis(message.age_ms)));
    facts.push(("resource.size", Value::Number(message.size)));
    if let Some(label) = &message.label {
        facts.push(("resource.label", Value::Text(label.clone())));
    }
    facts.push(("resource.recipients", Value::Number(message.recipients)));
    facts.push(("resource.external", Value::Number(message.external)));
    if let Some(exposed) = message.exposed {
        facts.push(("resource.exposed", Value::Number(exposed)));
    }
    if let Some(unread) = message.unread {
        facts.push(("resource.unread", Value::Number(unread)));
    }
    if let Some(on_hold) = message.on_hold {
        facts.push(("resource.onHold", Value::Flag(on_hold)));
    }
    if let Some(since) = message.recalled_ms {
        facts.push(("resource.recalled", Value::Millis(since)));
    }
}

fn of_connection(question: &Question, facts: &mut Facts) {
    let authentication = &question.authentication;
    let mut text = |name, text: &String| {
        if !text.is_empty() {
            facts.push((name, Value::Text(text.clone())));
        }
    };
    text(
        "context.authentication.mechanism",
        &authentication.mechanism,
    );
    text("context.authentication.protocol", &authentication.protocol);
    let factors = &authentication.factors;
    if !factors.is_empty() {
        let app_password = factors.iter().any(|factor| factor == "app-password");
        facts.push((
            "context.authentication.factors",
            Value::Texts(factors.clone()),
        ));
        facts.push((
            "context.authentication.appPassword",
            Value::Flag(app_password),
        ));
    }
    if let Some(age) = authentication.step_up_age_ms {
        facts.push(("context.authentication.stepUpAge", Value::Millis(age)));
    }
    if let Some(tls) = authentication.tls {
        facts.push(("context.authentication.tls", Value::Flag(tls)));
    }
    let device = &authentication.device;
    if let Some(client) = &device.client {
        facts.push(("context.device.client", Value::Text(client.clone())));
    }
    if let Some(age) = device.first_seen_age_ms {
        facts.push(("context.device.firstSeen", Value::Millis(age)));
    }
    if let Some(trusted) = device.trusted {
        facts.push(("context.device.trusted", Value::Flag(trusted)));
    }
    if let Some(networks) = &question.surroundings.networks {
        facts.push(("context.networks", Value::Texts(networks.clone())));
    }
    if let Some(country) = &question.surroundings.country {
        facts.push(("context.country", Value::Text(country.clone())));
    }
}

fn of_time(hour: &'static str, weekday: &'static str, time: LocalTime, facts: &mut Facts) {
    facts.push((hour, Value::Number(time.hour.into())));
    facts.push((weekday, Value::Number(time.weekday.into())));
}

fn of_options(question: &Question, facts: &mut Facts) {
    let options = &question.options;
    if let Some(chosen) = options.chosen_recipients {
        facts.push(("context.options.recipients", Value::Number(chosen)));
    }
    let mode = match options.mode {
        Mode::Withdraw => "withdraw",
        Mode::Replace => "replace",
        Mode::ExpireAt(_) => "expire",
    };
    let notice = match options.notice {
        Notice::None => "none",
        Notice::ExposedOnly => "exposed-only",
        Notice::All => "all",
    };
    facts.push((
        "context.options.selection",
        Value::Text(options.selection.code().to_owned()),
    ));
    if !options.reach.is_empty() {
        let reach = Value::Text(options.reach.to_owned());
        facts.push(("context.options.reach", reach));
    }
    facts.push(("context.options.mode", Value::Text(mode.to_owned())));
    facts.push(("context.options.notice", Value::Text(notice.to_owned())));
    if let Some(attachment) = &options.attachment {
        let attachment = Value::Text(attachment.clone());
        facts.push(("context.options.attachment", attachment));
    }
    let reason = options.reason.as_ref();
    let has_reason = reason.is_some_and(|reason| !reason.trim().is_empty());
    facts.push(("context.options.hasReason", Value::Flag(has_reason)));
    let as_answer = Value::Flag(options.as_answer);
    facts.push(("context.options.asAnswer", as_answer));
}

/// What a verdict keeps: who asked for which permission, and every fact, as texts.
pub(crate) fn inputs(question: &Question, facts: &Facts) -> Vec<(String, String)> {
    let actor = &question.actor;
    let mut inputs = vec![
        ("principal", cut(&actor.name)),
        ("principal.roles", cut(&actor.roles.join(" "))),
        ("principal.groups", cut(&actor.groups.join(" "))),
        ("action", question.permission().code().to_owned()),
    ];
    inputs.extend(facts.iter().map(|(name, value)| (*name, text_of(value))));
    inputs
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text))
        .collect()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) | Value::Account(text) => cut(text),
        Value::Texts(texts) => cut(&texts.join(" ")),
        Value::Millis(milliseconds) => duration::text(*milliseconds),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(limits::MAX_INPUT_CHARS).collect()
}

/// The names of the schema, parsed once.
pub(crate) struct Vocabulary {
    account: EntityTypeName,
    operator: EntityTypeName,
    role: EntityTypeName,
    group: EntityTypeName,
    domain: EntityTypeName,
    message: EntityUid,
    server: EntityUid,
    actions: BTreeMap<Permission, EntityUid>,
}

impl Vocabulary {
    pub(crate) fn new() -> Result<Self, PolicyError> {
        let of_type = |name: &str| {
            let parsed = format!("Tern::{name}").parse::<EntityTypeName>();
            parsed.map_err(|error| PolicyError::of_file("schema.cedarschema", error.to_string()))
        };
        let action = of_type("Action")?;
        let uid = |permission: Permission| (permission, entity(&action, permission.code()));
        Ok(Self {
            account: of_type("Account")?,
            operator: of_type("Operator")?,
            role: of_type("Role")?,
            group: of_type("Group")?,
            domain: of_type("Domain")?,
            message: entity(&of_type("Message")?, "this"),
            server: entity(&of_type("Server")?, "this"),
            actions: Permission::ALL.into_iter().map(uid).collect(),
        })
    }

    /// The question in Cedar's words; `None` if it can't be put so, which is for the caller to
    /// deny.
    pub(crate) fn ask(&self, question: &Question, facts: Facts) -> Option<(Request, Entities)> {
        let names = [&question.actor.groups, &question.actor.roles];
        if names.iter().any(|names| names.len() > limits::MAX_NAMES) {
            return None;
        }
        let permission = question.permission();
        let principal = self.principal(question);
        let resource = match permission.is_about_a_message() {
            true => &self.message,
            false => &self.server,
        };
        let (resource_facts, context) = self.records(facts);
        let resource_entity = Entity::new(resource.clone(), resource_facts, HashSet::new()).ok()?;
        let request = Request::new(
            principal.uid(),
            self.actions.get(&permission)?.clone(),
            resource.clone(),
            Context::from_pairs(context).ok()?,
            None,
        )
        .ok()?;
        let sender = self
            .sender(question)
            .filter(|sender| sender.uid() != principal.uid());
        let entities = [Some(principal), Some(resource_entity), sender];
        let entities = Entities::from_entities(entities.into_iter().flatten(), None).ok()?;
        Some((request, entities))
    }

    fn principal(&self, question: &Question) -> Entity {
        let actor = &question.actor;
        let roles = actor.roles.iter().map(|role| entity(&self.role, role));
        if actor.account.is_none() {
            return Entity::new_no_attrs(entity(&self.operator, &actor.name), HashSet::new());
        }
        let mut parents = self.places(&actor.name, &actor.groups);
        parents.extend(roles);
        // One account is one entity: as the sender it is in no other groups.
        if let Some(message) = &question.message
            && message.sender.as_ref() == Some(&actor.name)
        {
            parents.extend(self.places(&actor.name, &message.sender_groups));
        }
        Entity::new_no_attrs(entity(&self.account, &actor.name), parents)
    }

    fn sender(&self, question: &Question) -> Option<Entity> {
        let message = question.message.as_ref()?;
        let sender = message.sender.as_ref()?;
        let parents = self.places(sender, &message.sender_groups);
        Some(Entity::new_no_attrs(entity(&self.account, sender), parents))
    }

    /// The domain and the groups of an account.
    fn places(&self, address: &str, groups: &[String]) -> HashSet<EntityUid> {
        let domain = address.rsplit_once('@').map(|(_, domain)| domain);
        let domain = domain.map(|domain| entity(&self.domain, domain));
        let groups = groups.iter().map(|group| entity(&self.group, group));
        groups.chain(domain).collect()
    }

    /// The attributes of the resource, and the context.
    fn records(&self, facts: Facts) -> (HashMap<String, Expression>, Vec<(String, Expression)>) {
        let mut resource = HashMap::new();
        let mut context = Vec::new();
        // These are there even when nothing of them is known.
        let mut records: BTreeMap<&str, Vec<(String, Expression)>> =
            BTreeMap::from([("authentication", Vec::new()), ("device", Vec::new())]);
        for (name, value) in facts {
            let value = self.expression(value);
            if let Some(name) = name.strip_prefix("resource.") {
                resource.insert(name.to_owned(), value);
            } else if let Some(name) = name.strip_prefix("context.") {
                match name.split_once('.') {
                    None => context.push((name.to_owned(), value)),
                    Some((record, field)) => {
                        records
                            .entry(record)
                            .or_default()
                            .push((field.to_owned(), value));
                    }
                }
            }
        }
        for (name, fields) in records {
            if let Ok(record) = Expression::new_record(fields) {
                context.push((name.to_owned(), record));
            }
        }
        (resource, context)
    }

    fn expression(&self, value: Value) -> Expression {
        // More than Cedar's numbers hold is as good as the most they hold.
        let long = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        match value {
            Value::Flag(flag) => Expression::new_bool(flag),
            Value::Number(number) => Expression::new_long(long(number)),
            Value::Text(text) => Expression::new_string(text),
            Value::Texts(texts) => {
                Expression::new_set(texts.into_iter().map(Expression::new_string))
            }
            Value::Millis(milliseconds) => {
                Expression::new_duration(format!("{}ms", long(milliseconds)))
            }
            Value::Account(address) => Expression::new_entity_uid(entity(&self.account, &address)),
        }
    }
}

fn entity(of_type: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of_type.clone(), EntityId::new(id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cedar_policy::SchemaFragment;
    use serde_json::Value as Json;
    use tern_base::{AccountId, Timestamp};

    use super::*;
    use crate::load::schema;
    use crate::{Actor, Authentication, Device, Operation, Options, Surroundings};

    /// A question of which everything is known.
    fn full() -> Question {
        let text = || Some(String::from("text"));
        let texts = || vec![String::from("text")];
        Question {
            operation: Operation::Recall,
            now: Timestamp(1),
            actor: Actor {
                account: Some(AccountId(1)),
                name: String::from("anna@example.org"),
                groups: texts(),
                roles: vec![String::from("user")],
                delegate_of: Vec::new(),
            },
            authentication: Authentication {
                mechanism: String::from("PLAIN"),
                factors: texts(),
                step_up_age_ms: Some(u64::MAX),
                peer: text(),
                protocol: String::from("imap"),
                tls: Some(true),
                device: Device {
                    client: text(),
                    first_seen_age_ms: Some(1),
                    trusted: Some(true),
                },
            },
            surroundings: Surroundings {
                networks: Some(texts()),
                country: text(),
                local: Some(LocalTime {
                    hour: 1,
                    weekday: 1,
                }),
            },
            message: Some(Message {
                submitter: Some(AccountId(2)),
                sender: Some(String::from("boris@example.org")),
                sender_groups: texts(),
                age_ms: u64::MAX,
                label: text(),
                exposed: Some(u64::MAX),
                unread: Some(1),
                on_hold: Some(true),
                recalled_ms: Some(1),
                ..Message::default()
            }),
            options: Options {
                chosen_recipients: Some(1),
                attachment: Some("plan.pdf".into()),
                reach: "attached",
                ..Options::default()
            },
            approvals: 1,
            requester: Some(String::from("boris@example.org")),
            requests_last_hour: 1,
            frozen: false,
        }
    }

    /// Every name of the schema that a policy can ask for.
    fn names_of_the_schema() -> BTreeSet<String> {
        let source = include_str!("schema.cedarschema");
        let (fragment, _) = SchemaFragment::from_cedarschema_str(source).expect("sound");
        let json = fragment.to_json_value().expect("as JSON");
        let tern = json.get("Tern").expect("the namespace");
        let of = |path: &str| {
            let fields = tern.pointer(path).and_then(Json::as_object);
            let fields = fields.unwrap_or_else(|| panic!("no {path}"));
            fields.clone().into_iter().collect::<Vec<_>>()
        };
        let mut names = BTreeSet::new();
        for (name, _) in of("/entityTypes/Message/shape/attributes") {
            names.insert(format!("resource.{name}"));
        }
        for (name, described) in of("/commonTypes/Context/attributes") {
            let type_name = described.get("name").or(described.get("type"));
            let type_name = type_name.and_then(Json::as_str).unwrap_or_default();
            let record = format!("/commonTypes/{type_name}/attributes");
            if tern.pointer(&record).is_none() {
                names.insert(format!("context.{name}"));
                continue;
            }
            for (field, _) in of(&record) {
                names.insert(format!("context.{name}.{field}"));
            }
        }
        names
    }

    #[test]
    fn the_facts_are_those_of_the_schema() {
        let facts = of(&full());
        let names: BTreeSet<String> = facts.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names, names_of_the_schema());
    }

    #[test]
    fn every_question_fits_the_schema() {
        let schema = schema().expect("sound");
        let vocabulary = Vocabulary::new().expect("sound");
        let uses = Permission::ALL.map(Operation::Use);
        let operations = [Operation::Plan, Operation::Recall, Operation::Restore];
        for operation in operations.into_iter().chain(uses) {
            for account in [Some(AccountId(1)), Some(AccountId(2)), None] {
                let mut question = full();
                question.operation = operation;
                question.actor.account = account;
                let (request, entities) = vocabulary
                    .ask(&question, of(&question))
                    .expect("it can be put");
                Request::new(
                    request.principal().expect("known").clone(),
                    request.action().expect("known").clone(),
                    request.resource().expect("known").clone(),
                    request.context().expect("known").clone(),
                    Some(&schema),
                )
                .expect("of the schema");
                Entities::from_entities(entities, Some(&schema)).expect("of the schema");
            }
        }
    }
}
