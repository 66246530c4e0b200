//! The request and response objects (RFC 8620 3.3, 3.4).

use std::sync::Arc;

use serde_json::{Map, Value};
use tern_base::AccountId;
use tern_session::{ContentMemory, Unlimited};

use crate::budget::Held;
use crate::standard::object;
use crate::{Capability, Problem, ijson, limits, push};

/// One method call or response: name, arguments, method call id.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Invocation {
    pub(crate) name: String,
    pub(crate) args: Value,
    pub(crate) id: String,
}

impl Invocation {
    fn of(value: Value) -> Option<Self> {
        let Value::Array(parts) = value else {
            return None;
        };
        let [
            Value::String(name),
            args @ Value::Object(_),
            Value::String(id),
        ] = <[Value; 3]>::try_from(parts).ok()?
        else {
            return None;
        };
        Some(Self { name, args, id })
    }

    pub(crate) fn into_json(self) -> Value {
        Value::Array(vec![self.name.into(), self.args, self.id.into()])
    }
}

/// A request that was read as a whole.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) using: Vec<Capability>,
    pub(crate) calls: Vec<Invocation>,
    /// Ids by creation id; `None` where the client does not want them told.
    pub(crate) created: Option<Map<String, Value>>,
    /// The memory that is set aside for all that.
    pub(crate) held: Arc<Held>,
}

impl Request {
    /// Reads the body of a request, for tests and whoever else has memory without end.
    ///
    /// # Errors
    /// Why it is not looked at.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        Self::parse_within(body, &Unlimited, AccountId(0))
    }

    /// Reads the body of a request of this account, within its memory for content.
    ///
    /// # Errors
    /// Why it is not looked at.
    pub fn parse_within(
        body: &[u8],
        memory: &dyn ContentMemory,
        account: AccountId,
    ) -> Result<Self, Problem> {
        if body.len() as u64 > limits::MAX_SIZE_REQUEST {
            return Err(Problem::Limit("maxSizeRequest"));
        }
        let (value, held) = ijson::parse(body, memory, account)?;
        Ok(Self::of(value)?.holding(held))
    }

    /// With the memory that is set aside for it.
    pub(crate) fn holding(self, held: Held) -> Self {
        Self {
            held: Arc::new(held),
            ..self
        }
    }

    /// Reads a request from its JSON. Further members are passed over: RFC 8887 4.3.1 has some.
    pub fn of(value: Value) -> Result<Self, Problem> {
        let not = |why: &str| Problem::NotRequest(why.to_owned());
        let Value::Object(mut all) = value else {
            return Err(not("it is no object"));
        };
        let strings = |value: &Value| -> Option<Vec<String>> {
            let items = value.as_array()?.iter();
            items.map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let using = all.get("using").and_then(strings);
        let using = using.ok_or_else(|| not("using is no list of strings"))?;
        let Some(Value::Array(calls)) = all.remove("methodCalls") else {
            return Err(not("methodCalls is no list"));
        };
        let calls: Option<Vec<Invocation>> = calls.into_iter().map(Invocation::of).collect();
        let calls = calls.ok_or_else(|| {
            not("a method call is not [name, arguments, id]: two strings around an object")
        })?;
        let created = match all.remove("createdIds") {
            None | Some(Value::Null) => None,
            Some(Value::Object(created)) if created.values().all(Value::is_string) => Some(created),
            Some(_) => return Err(not("createdIds is no map of ids")),
        };
        let known = |uri: String| Capability::of(&uri).ok_or(Problem::UnknownCapability(uri));
        let using = using.into_iter().map(known).collect::<Result<_, _>>()?;
        if calls.len() > limits::MAX_CALLS_IN_REQUEST {
            return Err(Problem::Limit("maxCallsInRequest"));
        }
        if created
            .as_ref()
            .is_some_and(|ids| ids.len() > limits::MAX_CREATED_IDS)
        {
            return Err(Problem::NotRequest("createdIds is too long".to_owned()));
        }
        Ok(Self {
            using,
            calls,
            created,
            held: Arc::default(),
        })
    }
}

/// The answer to a request.
#[derive(Debug)]
pub struct Response {
    pub(crate) responses: Vec<Invocation>,
    pub(crate) created: Option<Map<String, Value>>,
    pub(crate) session_state: String,
    pub(crate) held: Held,
}

impl Response {
    /// Whether something may have changed that is not in the account's change log: whoever listens is
    /// to be woken for it.
    pub fn may_have_changed_apart(&self) -> bool {
        let mut names = self.responses.iter().map(|response| &response.name);
        names.any(|name| name.strip_suffix("/set").is_some_and(push::is_apart))
    }

    /// Whether push subscriptions may have been made, changed or destroyed.
    pub fn may_have_changed_subscriptions(&self) -> bool {
        let mut names = self.responses.iter().map(|response| &response.name);
        names.any(|name| name == "PushSubscription/set")
    }

    /// The memory that is set aside for it, to be held until it is written.
    pub fn take_held(&mut self) -> Held {
        std::mem::take(&mut self.held)
    }

    /// Its JSON.
    pub fn into_json(self) -> Value {
        let responses = self.responses.into_iter().map(Invocation::into_json);
        let mut all = object([
            ("methodResponses", responses.collect()),
            ("sessionState", self.session_state.into()),
        ]);
        if let (Some(created), Value::Object(all)) = (self.created, &mut all) {
            all.insert("createdIds".to_owned(), Value::Object(created));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match Request::parse(text.as_bytes()) {
            Ok(_) => "read".to_owned(),
            Err(problem) => {
                let kind = problem.to_json()["type"].as_str().map(str::to_owned);
                let kind = kind.unwrap_or_default();
                kind.rsplit(':').next().unwrap_or_default().to_owned()
            }
        }
    }

    #[test]
    fn a_request_is_read_whole_or_not_at_all() {
        let core = "urn:ietf:params:jmap:core";
        let with =
            |using: &str, calls: &str| format!(r#"{{"using":{using},"methodCalls":{calls}}}"#);
        let core = &format!("[\"{core}\"]");
        let cases = [
            (with(core, r#"[["Core/echo", {}, "a"]]"#), "read"),
            (with(core, "[]"), "read"),
            (with("[]", "[]"), "read"),
            (with(r#"["urn:x"]"#, "[]"), "unknownCapability"),
            (with(r#""x""#, "[]"), "notRequest"),
            (with("[1]", "[]"), "notRequest"),
            (with(core, r#"[["Core/echo", [], "a"]]"#), "notRequest"),
            (with(core, r#"[["Core/echo", {}]]"#), "notRequest"),
            (with(core, r#"[["Core/echo", {}, 1]]"#), "notRequest"),
            (with(core, r#"{}"#), "notRequest"),
            (
                with(
                    core,
                    &format!("[{}]", vec![r#"["Core/echo", {}, "a"]"#; 65].join(",")),
                ),
                "limit",
            ),
            (
                r#"{"using":[],"methodCalls":[],"createdIds":{"a":1}}"#.to_owned(),
                "notRequest",
            ),
            ("[]".to_owned(), "notRequest"),
            ("{".to_owned(), "notJSON"),
            (
                r#"{"using":[],"using":[],"methodCalls":[]}"#.to_owned(),
                "notJSON",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(refused(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_request_over_the_size_is_not_read() {
        let body = vec![b' '; limits::MAX_SIZE_REQUEST as usize + 1];
        assert_eq!(
            Request::parse(&body).err(),
            Some(Problem::Limit("maxSizeRequest"))
        );
    }
}
