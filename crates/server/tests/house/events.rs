//! A listener of JMAP's event source.
#![allow(dead_code, reason = "shared by test files that each use a part")]

use serde_json::Value;
use tern_server::demo::client::Wire;

use super::jmap::basic;
use super::{House, PASSWORD, address};

/// A connection to the event source.
pub(crate) struct Events(Wire);

/// One event.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Events {
    /// As Bob, with this query and, where it is not empty, this last id.
    pub(crate) fn open(house: &House, query: &str, last: &str) -> Self {
        Self::open_as(house, "bob", query, last)
    }

    /// The same as somebody else.
    pub(crate) fn open_as(house: &House, name: &str, query: &str, last: &str) -> Self {
        let mut wire = house.secure_wire(house.ports.https);
        let login = basic(&address(name), PASSWORD);
        let last = match last {
            "" => String::new(),
            id => format!("Last-Event-ID: {id}\r\n"),
        };
        let head = format!(
            "GET /jmap/eventsource/?{query} HTTP/1.1\r\nHost: mx.example.org\r\n{login}\r\n{last}\r\n"
        );
        wire.send(head.as_bytes()).expect("sent");
        assert_eq!(wire.line().expect("a line"), "HTTP/1.1 200 OK");
        let mut is_stream = false;
        loop {
            match wire.line().expect("a field").to_ascii_lowercase().as_str() {
                "" => break,
                field => is_stream |= field == "content-type: text/event-stream",
            }
        }
        assert!(is_stream);
        Self(wire)
    }

    /// The next chunk; empty at the end.
    pub(crate) fn chunk(&mut self) -> String {
        let size = self.0.line().expect("a size");
        let size = usize::from_str_radix(&size, 16).expect("a size");
        let bytes = self.0.exactly(size + 2).expect("a chunk");
        String::from_utf8(bytes)
            .expect("UTF-8")
            .trim_end_matches("\r\n")
            .to_owned()
    }

    pub(crate) fn next(&mut self) -> Event {
        let chunk = self.chunk();
        let mut event = Event::default();
        for line in chunk.lines() {
            match line.split_once(": ") {
                Some(("event", value)) => event.name = value.to_owned(),
                Some(("id", value)) => event.id = value.to_owned(),
                Some(("data", value)) => event.data = serde_json::from_str(value).expect("JSON"),
                _ => assert_eq!(line, "", "{chunk}"),
            }
        }
        event
    }

    /// The next StateChange for the account: the types with their states, and the id.
    pub(crate) fn change(&mut self, account: &str) -> (Value, String) {
        let event = self.next();
        assert_eq!(event.name, "state");
        assert_eq!(event.data["@type"], "StateChange");
        let changed = event.data["changed"].as_object().expect("accounts");
        assert_eq!(changed.len(), 1);
        (changed[account].clone(), event.id)
    }
}

pub(crate) fn types(changed: &Value) -> Vec<&str> {
    let all = changed.as_object().expect("types");
    let mut names: Vec<&str> = all.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
