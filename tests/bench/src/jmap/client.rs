//! A JMAP client that times its method calls.
//!
//! Invariant: the time of a call is from before its request is written until its answer has been read
//! whole; making the request and reading the JSON are outside.

use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::http::{Http, HttpTarget};
use super::session::{MAIL, Session};
use crate::error::{Error, Result};

/// One account over one connection.
pub(super) struct Client {
    pub(super) http: Http,
    pub(super) session: Session,
}

/// What a call answered.
pub(super) struct Called {
    /// How long it took.
    pub(super) took: Duration,
    /// Octets of the answer's body.
    pub(super) octets: usize,
    /// The response's arguments.
    pub(super) arguments: Value,
}

impl Called {
    /// The ids, or objects, of one argument; empty where it is null or absent.
    pub(super) fn list(&self, name: &str) -> &[Value] {
        let list = self.arguments.get(name).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    }

    /// A text among the arguments.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        let text = self.arguments.get(name).and_then(Value::as_str);
        text.map(str::to_owned)
            .ok_or_else(|| Error::Usage(format!("the answer has no {name}")))
    }
}

impl Client {
    /// Connects, signs in, and reads the session.
    pub(super) async fn open(target: &HttpTarget, account: usize) -> Result<Self> {
        let mut http = Http::open(target, account).await?;
        let text = http.get("session", "/.well-known/jmap").await?;
        let session = Session::parse(&text)?;
        Ok(Self { http, session })
    }

    /// One method call.
    pub(super) async fn call(
        &mut self,
        method: &'static str,
        mut arguments: Value,
    ) -> Result<Called> {
        if let Some(arguments) = arguments.as_object_mut() {
            let account = self.session.account.as_str().into();
            arguments.insert("accountId".to_owned(), account);
        }
        let request = json!({
            "using": ["urn:ietf:params:jmap:core", MAIL],
            "methodCalls": [[method, arguments, "0"]],
        });
        let request = Bytes::from(request.to_string());
        let start = Instant::now();
        let text = self
            .http
            .post(method, &self.session.api, "application/json", request)
            .await?;
        let took = start.elapsed();
        Ok(Called {
            took,
            octets: text.len(),
            arguments: response(method, &text)?,
        })
    }

    /// The id of a mailbox at the top.
    pub(super) async fn mailbox(&mut self, name: &str) -> Result<Value> {
        let all = json!({"ids": null, "properties": ["id", "name", "parentId"]});
        let got = self.call("Mailbox/get", all).await?;
        let found = got
            .list("list")
            .iter()
            .find(|mailbox| mailbox.get("name").is_some_and(|it| it == name));
        found
            .and_then(|mailbox| mailbox.get("id").cloned())
            .ok_or_else(|| Error::Usage(format!("there is no mailbox {name}")))
    }

    /// The ids of the newest messages of a mailbox; there must be so many.
    pub(super) async fn newest(&mut self, mailbox: &Value, count: usize) -> Result<Vec<Value>> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let query = json!({
                "filter": {"inMailbox": mailbox},
                "sort": [{"property": "receivedAt", "isAscending": false}],
                "position": ids.len(), "limit": count - ids.len(),
            });
            let found = self.call("Email/query", query).await?;
            if found.list("ids").is_empty() {
                break;
            }
            ids.extend_from_slice(found.list("ids"));
        }
        require("messages", ids.len(), count)?;
        Ok(ids)
    }
}

/// The arguments of the only response, which must be the method's.
fn response(method: &'static str, text: &[u8]) -> Result<Value> {
    let refused = || Error::Refused {
        step: method,
        reply: String::from_utf8_lossy(text.get(..500).unwrap_or(text)).into_owned(),
    };
    let mut value: Value = serde_json::from_slice(text).map_err(|_| refused())?;
    match value.pointer_mut("/methodResponses/0") {
        Some(Value::Array(response)) if response.first().is_some_and(|name| name == method) => {
            Ok(response.get_mut(1).map(Value::take).unwrap_or_default())
        }
        _ => Err(refused()),
    }
}

/// A figure for an answer that was not whole would be worth nothing.
pub(super) fn require(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{found} {what} where {expected} were due"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_methods_own_response_counts() {
        let fine = br#"{"methodResponses":[["Email/get",{"list":[1]},"0"]]}"#;
        assert_eq!(response("Email/get", fine).unwrap(), json!({"list": [1]}));
        for wrong in [
            &br#"{"methodResponses":[["error",{"type":"serverFail"},"0"]]}"#[..],
            br#"{"type":"urn:ietf:params:jmap:error:limit"}"#,
            b"no JSON",
        ] {
            let error = response("Email/get", wrong).unwrap_err();
            assert!(matches!(error, Error::Refused { .. }), "{error}");
        }
    }
}
