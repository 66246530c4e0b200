//! What is said over a WebSocket (RFC 8887 4.3): requests and their responses, and what changed.
//!
//! Refuses to know frames: a message is a text, whole.

use serde_json::{Map, Value};
use tern_base::AccountId;
use tern_session::ContentMemory;

use crate::push::Wanted;
use crate::{Problem, Request, Response, ijson, limits};

/// What a client says.
#[derive(Clone, Debug)]
pub enum Message {
    /// A request, and the client's id for it.
    Request(Request, Option<String>),
    /// RFC 8887 4.3.5.2: changes of these types are to be told, from the state on that a client knows.
    PushEnable(Wanted, Option<String>),
    /// RFC 8887 4.3.5.3: no more.
    PushDisable,
}

impl Message {
    /// Reads a message of this account, within its memory for content.
    ///
    /// # Errors
    /// Why it was not looked at, and the client's id for it.
    pub fn parse(
        text: &[u8],
        memory: &dyn ContentMemory,
        account: AccountId,
    ) -> Result<Self, (Problem, Option<String>)> {
        if text.len() as u64 > limits::MAX_SIZE_REQUEST {
            return Err((Problem::Limit("maxSizeRequest"), None));
        }
        let (value, held) = ijson::parse(text, memory, account).map_err(|why| (why, None))?;
        let id = value.get("id").and_then(Value::as_str).map(str::to_owned);
        let not = |why: &str| Err((Problem::NotRequest(why.to_owned()), id.clone()));
        match value.get("@type").and_then(Value::as_str) {
            Some("Request") => match Request::of(value) {
                Ok(request) => Ok(Self::Request(request.holding(held), id)),
                Err(problem) => Err((problem, id)),
            },
            Some("WebSocketPushEnable") => match enable(&value) {
                Some(enable) => Ok(enable),
                None => not("dataTypes is no list of types, or pushState no text"),
            },
            Some("WebSocketPushDisable") => Ok(Self::PushDisable),
            _ => not("its @type is none that a client can send"),
        }
    }
}

/// The client's id for a message that is not looked at, for which nothing else of it is kept.
pub fn id_of(text: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: Option<String>,
    }
    let named: Option<Named> = serde_json::from_slice(text).ok();
    named?.id
}

fn enable(value: &Value) -> Option<Message> {
    let wanted = match value.get("dataTypes") {
        None | Some(Value::Null) => Wanted::ALL,
        Some(types) => {
            let names = types.as_array()?.iter().map(Value::as_str);
            Wanted::of(names.collect::<Option<Vec<&str>>>()?)?
        }
    };
    let state = match value.get("pushState") {
        None | Some(Value::Null) => None,
        Some(state) => Some(state.as_str()?.to_owned()),
    };
    Some(Message::PushEnable(wanted, state))
}

/// The response to a request (RFC 8887 4.3.2).
pub fn response(response: Response, id: Option<String>) -> Value {
    tagged("Response", response.into_json(), |all| {
        if let Some(id) = id {
            all.insert("requestId".to_owned(), id.into());
        }
    })
}

/// That a message was not looked at (RFC 8887 4.3.4).
pub fn request_error(problem: &Problem, id: Option<String>) -> Value {
    tagged("RequestError", problem.to_json(), |all| {
        all.insert("requestId".to_owned(), id.into());
    })
}

/// What changed (RFC 8887 4.3.5.1), and the state from which a client may ask again.
pub fn state_change(change: Value, push_state: String) -> Value {
    tagged("StateChange", change, |all| {
        all.insert("pushState".to_owned(), push_state.into());
    })
}

fn tagged(kind: &str, value: Value, add: impl FnOnce(&mut Map<String, Value>)) -> Value {
    let mut all = match value {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    all.insert("@type".to_owned(), kind.into());
    add(&mut all);
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use tern_session::Unlimited;

    use super::*;

    fn refused(text: &str) -> (String, Value) {
        let (problem, id) =
            Message::parse(text.as_bytes(), &Unlimited, AccountId(1)).expect_err("refused");
        let error = request_error(&problem, id);
        assert_eq!(error["@type"], "RequestError");
        let kind = error["type"]
            .as_str()
            .and_then(|kind| kind.rsplit(':').next());
        (
            kind.unwrap_or_default().to_owned(),
            error["requestId"].clone(),
        )
    }

    #[test]
    fn what_is_no_message_is_told_under_its_id() {
        let kind = |text: &str| refused(text).0;
        assert_eq!(kind("{"), "notJSON");
        assert_eq!(kind("[]"), "notRequest");
        assert_eq!(kind("{}"), "notRequest");
        assert_eq!(kind(r#"{"@type":"Response"}"#), "notRequest");
        assert_eq!(
            kind(r#"{"@type":"WebSocketPushEnable","dataTypes":1}"#),
            "notRequest"
        );
        assert_eq!(
            kind(r#"{"@type":"WebSocketPushEnable","dataTypes":[1]}"#),
            "notRequest"
        );
        assert_eq!(
            kind(r#"{"@type":"WebSocketPushEnable","pushState":1}"#),
            "notRequest"
        );
        let unknown = r#"{"@type":"Request","id":"R1","using":["urn:x"],"methodCalls":[]}"#;
        assert_eq!(
            refused(unknown),
            ("unknownCapability".to_owned(), "R1".into())
        );
        assert_eq!(refused("{").1, Value::Null);
        assert_eq!(id_of(unknown.as_bytes()), Some("R1".to_owned()));
        assert_eq!(id_of(b"{}"), None);
        assert_eq!(id_of(b"{\"id\":1}"), None);
    }

    #[test]
    fn a_message_is_read_by_its_type() {
        let read = |text: &str| {
            Message::parse(text.as_bytes(), &Unlimited, AccountId(1)).expect("a message")
        };
        let request = read(r#"{"@type":"Request","id":"R1","using":[],"methodCalls":[]}"#);
        assert!(matches!(request, Message::Request(_, Some(id)) if id == "R1"));
        let enable =
            read(r#"{"@type":"WebSocketPushEnable","dataTypes":["Email"],"pushState":"s"}"#);
        let Message::PushEnable(wanted, Some(state)) = enable else {
            panic!("it enables: {enable:?}");
        };
        assert!(wanted.has("Email") && !wanted.has("Mailbox") && state == "s");
        let all = read(r#"{"@type":"WebSocketPushEnable","dataTypes":null}"#);
        assert!(matches!(all, Message::PushEnable(wanted, None) if wanted == Wanted::ALL));
        let disable = read(r#"{"@type":"WebSocketPushDisable"}"#);
        assert!(matches!(disable, Message::PushDisable));
    }
}
