//! A tiny JMAP client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http::Answer;
use super::{House, PASSWORD, address};

/// Somebody's client.
pub(crate) struct JmapClient<'a> {
    house: &'a House,
    login: String,
    pub(crate) account: String,
}

impl House {
    /// A client that has read its session.
    pub(crate) fn jmap(&self, name: &str) -> JmapClient<'_> {
        self.jmap_by(basic(&address(name), PASSWORD))
    }

    /// The same by a bearer token.
    pub(crate) fn jmap_by_token(&self, token: &str) -> JmapClient<'_> {
        self.jmap_by(format!("Authorization: Bearer {token}"))
    }

    fn jmap_by(&self, login: String) -> JmapClient<'_> {
        let session = self.http("GET", "/.well-known/jmap", &[&login], "");
        assert_eq!(session.status, 200, "{}", session.body);
        let session: Value = serde_json::from_str(&session.body).expect("JSON");
        let account = &session["primaryAccounts"]["urn:ietf:params:jmap:mail"];
        JmapClient {
            house: self,
            login,
            account: account.as_str().expect("an account").to_owned(),
        }
    }
}

/// The field of a login.
pub(crate) fn basic(name: &str, password: &str) -> String {
    format!(
        "Authorization: Basic {}",
        STANDARD.encode(format!("{name}:{password}"))
    )
}

impl JmapClient<'_> {
    /// One request of HTTP with the login.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> Answer {
        let fields = [
            self.login.as_str(),
            "Content-Type: application/json",
            "User-Agent: Probe/1.0",
        ];
        self.house.http(method, path, &fields, body)
    }

    /// A request of these method calls; the answer of HTTP.
    pub(crate) fn send(&self, calls: &Value) -> Answer {
        let using: Vec<&str> = tern_jmap::Capability::ALL
            .iter()
            .map(|it| it.uri())
            .collect();
        let request = json!({"using": using, "methodCalls": calls});
        self.http("POST", "/jmap/api/", &request.to_string())
    }

    /// The responses to these method calls.
    pub(crate) fn calls(&self, calls: &Value) -> Vec<Value> {
        let answer = self.send(calls);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let response: Value = serde_json::from_str(&answer.body).expect("JSON");
        response["methodResponses"]
            .as_array()
            .expect("responses")
            .clone()
    }

    /// The response to one call on the client's own account: its name and arguments.
    pub(crate) fn try_call(&self, name: &str, mut args: Value) -> (String, Value) {
        let all = args.as_object_mut().expect("arguments");
        all.entry("accountId").or_insert(json!(self.account));
        let mut responses = self.calls(&json!([[name, args, "c"]]));
        let response = responses.swap_remove(0);
        let name = response[0].as_str().expect("a name").to_owned();
        (name, response[1].clone())
    }

    /// The arguments of the response to a call that succeeds.
    pub(crate) fn call(&self, name: &str, args: Value) -> Value {
        let (answered, args) = self.try_call(name, args);
        assert_eq!(answered, name, "{args}");
        args
    }

    /// The type of the error that a call answers.
    pub(crate) fn error(&self, name: &str, args: Value) -> String {
        let (answered, args) = self.try_call(name, args);
        assert_eq!(answered, "error", "{args}");
        args["type"].as_str().expect("a type").to_owned()
    }
}
