//! A tiny blocking JMAP client for the demo's scenes: one method call in each request.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::client::{Watcher, Wire};

/// Somebody's session.
pub(super) struct JmapClient {
    wire: Wire,
    watcher: Watcher,
    authorization: String,
    account: String,
}

impl JmapClient {
    /// Reads the session; the connection has done its TLS handshake.
    pub(super) fn new(
        wire: Wire,
        watcher: Watcher,
        login: &str,
        password: &str,
    ) -> io::Result<Self> {
        let mut client = Self {
            wire,
            watcher,
            authorization: STANDARD.encode(format!("{login}:{password}")),
            account: String::new(),
        };
        (client.watcher)(true, &format!("GET /.well-known/jmap ({login})"));
        let session = client.http("GET", "/.well-known/jmap", "")?;
        let account = &session["primaryAccounts"]["urn:ietf:params:jmap:mail"];
        client.account = account.as_str().unwrap_or_default().to_owned();
        Ok(client)
    }

    /// One method call on the account's mail, and the arguments of its response.
    pub(super) fn call(&mut self, method: &str, mut args: Value) -> io::Result<Value> {
        (self.watcher)(true, &format!("{method} {args}"));
        args["accountId"] = json!(self.account);
        let using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"];
        let request = json!({"using": using, "methodCalls": [[method, args, "0"]]});
        let answer = self.http("POST", "/jmap/api/", &request.to_string())?;
        let mut told = answer["methodResponses"][0][1].clone();
        if let Some(all) = told.as_object_mut() {
            all.remove("accountId");
        }
        (self.watcher)(false, &told.to_string());
        Ok(told)
    }

    fn http(&mut self, method: &str, path: &str, body: &str) -> io::Result<Value> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.authorization,
            body.len()
        );
        self.wire.send(request.as_bytes())?;
        let status = self.wire.line()?;
        let mut length = 0;
        loop {
            let line = self.wire.line()?;
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let body = self.wire.exactly(length)?;
        match status.contains(" 200 ") {
            true => serde_json::from_slice(&body).map_err(io::Error::other),
            false => Err(io::Error::other(status)),
        }
    }
}
