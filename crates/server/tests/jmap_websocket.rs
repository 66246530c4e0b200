//! JMAP over a WebSocket, over real sockets: answers in order, what changed, and frames of those who mean
//! no good.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::House;
use house::jmap::basic;
use serde_json::{Value, json};
use tern_server::demo::client::Wire;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Bob's end of a WebSocket.
struct Socket(Wire);

impl Socket {
    fn open(house: &House) -> Self {
        let mut wire = handshake(house, &FIELDS.join("\r\n"));
        assert_eq!(
            wire.line().expect("a line"),
            "HTTP/1.1 101 Switching Protocols"
        );
        let mut fields = Vec::new();
        loop {
            match wire.line().expect("a field").to_ascii_lowercase() {
                end if end.is_empty() => break,
                field => fields.push(field),
            }
        }
        // The key and its answer of RFC 6455 1.3.
        for wanted in [
            "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
            "sec-websocket-protocol: jmap",
        ] {
            assert!(fields.iter().any(|field| field == wanted), "{fields:?}");
        }
        Self(wire)
    }

    fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(0x80 | short as u8),
            middle @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((middle as u16).to_be_bytes());
            }
            long => {
                frame.push(0x80 | 127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        frame.extend(mask);
        frame.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        // Whoever is turned away may be so before everything is sent.
        let _ = self.0.send(&frame);
    }

    fn say(&mut self, value: &Value) {
        self.frame(0x80 | TEXT, value.to_string().as_bytes());
    }

    /// The next frame: its kind and payload.
    fn hear(&mut self) -> (u8, Vec<u8>) {
        let head = self.0.exactly(2).expect("a frame");
        assert_eq!(head[0] & 0xf0, 0x80, "whole, and nothing reserved");
        let length = match head[1] {
            126 => 2,
            127 => 8,
            short => {
                return (
                    head[0] & 15,
                    self.0.exactly(short.into()).expect("a payload"),
                );
            }
        };
        let length = self.0.exactly(length).expect("a length");
        let length = length
            .iter()
            .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
        (head[0] & 15, self.0.exactly(length).expect("a payload"))
    }

    /// The next message.
    fn message(&mut self) -> Value {
        let (kind, payload) = self.hear();
        assert_eq!(kind, TEXT, "{}", String::from_utf8_lossy(&payload));
        serde_json::from_slice(&payload).expect("JSON")
    }

    /// The type of the error that is answered, and the id of the request.
    fn error(&mut self) -> (String, Value) {
        let message = self.message();
        assert_eq!(message["@type"], "RequestError", "{message}");
        let kind = message["type"]
            .as_str()
            .and_then(|kind| kind.rsplit(':').next());
        (
            kind.expect("a type").to_owned(),
            message["requestId"].clone(),
        )
    }

    /// The status with which the connection is closed.
    fn closed(&mut self) -> u16 {
        let (kind, payload) = self.hear();
        assert_eq!(kind, CLOSE, "{}", String::from_utf8_lossy(&payload));
        u16::from_be_bytes([payload[0], payload[1]])
    }
}

const FIELDS: [&str; 5] = [
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: other, jmap",
];

/// Asks for a WebSocket with these fields.
fn handshake(house: &House, fields: &str) -> Wire {
    handshake_as(house, &basic("bob@example.org", house::PASSWORD), fields)
}

fn handshake_as(house: &House, login: &str, fields: &str) -> Wire {
    let mut wire = house.secure_wire(house.ports.https);
    let head =
        format!("GET /jmap/ws/ HTTP/1.1\r\nHost: mx.example.org\r\n{login}\r\n{fields}\r\n\r\n");
    wire.send(head.as_bytes()).expect("sent");
    wire
}

fn echo(id: &str) -> Value {
    json!({"@type": "Request", "id": id, "using": ["urn:ietf:params:jmap:core"],
           "methodCalls": [["Core/echo", {"is": id}, "c"]]})
}

#[test]
fn a_client_that_asks_too_often_is_told_so_and_stays_connected() {
    let house = House::started("[jmap]\nrequests_per_minute = 2\n");
    let mut socket = Socket::open(&house);
    for id in ["R1", "R2", "R3"] {
        socket.say(&echo(id));
    }
    for id in ["R1", "R2"] {
        assert_eq!(socket.message()["requestId"], id);
    }
    let refused = socket.message();
    assert_eq!(refused["@type"], "RequestError", "{refused}");
    assert_eq!(
        (&refused["status"], &refused["requestId"]),
        (&json!(429), &json!("R3"))
    );
    // By HTTP it is the same account.
    let bob = house.jmap("bob");
    assert_eq!(bob.send(&json!([])).status, 429);
    socket.frame(0x80 | PING, b"still there");
    assert_eq!(socket.hear(), (PONG, b"still there".to_vec()));
}

#[test]
fn requests_are_answered_in_order_on_one_connection() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let session: Value =
        serde_json::from_str(&bob.http("GET", "/jmap/session", "").body).expect("JSON");
    let about = &session["capabilities"]["urn:ietf:params:jmap:websocket"];
    let expected = json!({"url": "wss://mx.example.org/jmap/ws/", "supportsPush": true});
    assert_eq!(about, &expected);
    let mut socket = Socket::open(&house);
    for id in ["R1", "R2", "R3"] {
        socket.say(&echo(id));
    }
    for id in ["R1", "R2", "R3"] {
        let message = socket.message();
        assert_eq!(
            (&message["@type"], &message["requestId"]),
            (&json!("Response"), &json!(id))
        );
        assert_eq!(
            message["methodResponses"],
            json!([["Core/echo", {"is": id}, "c"]])
        );
        assert_eq!(message["sessionState"], session["state"]);
    }
    // In pieces, with a ping between them.
    let text = echo("R4").to_string();
    let (first, second) = text.as_bytes().split_at(20);
    socket.frame(TEXT, first);
    socket.frame(0x80 | PING, b"there?");
    socket.frame(0x80, second);
    assert_eq!(socket.hear(), (PONG, b"there?".to_vec()));
    assert_eq!(socket.message()["requestId"], "R4");
    // A large one, which is within the limit.
    let mut large = echo("R5");
    large["methodCalls"][0][1]["pad"] = "x".repeat(3 << 20).into();
    socket.say(&large);
    assert_eq!(socket.message()["requestId"], "R5");
    socket.frame(0x80 | CLOSE, &1000_u16.to_be_bytes());
    assert_eq!(socket.closed(), 1000);
}

#[test]
fn what_changes_is_told_to_who_asked_and_a_recall_is() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let mut socket = Socket::open(&house);
    house.send("one");
    // Nothing was told of it: the next message answers the next request.
    socket.say(&echo("R1"));
    assert_eq!(socket.message()["requestId"], "R1");
    socket.say(&json!({"@type": "WebSocketPushEnable", "dataTypes": ["Email"]}));
    // Enabling has no answer: a request behind it shows that it is done.
    socket.say(&echo("R2"));
    assert_eq!(socket.message()["requestId"], "R2");
    let held = bob.call("Email/get", json!({"ids": null, "properties": ["subject"]}));
    house.done(&["recall", "run", "one@example.org"]);
    let change = socket.message();
    assert_eq!(change["@type"], "StateChange");
    let changed = change["changed"][&bob.account].as_object().expect("types");
    assert_eq!(changed.keys().collect::<Vec<_>>(), ["Email"]);
    let changes = bob.call("Email/changes", json!({"sinceState": held["state"]}));
    assert_eq!(changes["destroyed"], json!([held["list"][0]["id"]]));
    socket.say(&json!({"@type": "WebSocketPushDisable"}));
    socket.say(&echo("R3"));
    // A recall may change the account more than once.
    let mut known = change["pushState"].clone();
    let answer = loop {
        let message = socket.message();
        match message["@type"] == "StateChange" {
            true => known = message["pushState"].clone(),
            false => break message,
        }
    };
    assert_eq!(answer["requestId"], "R3");
    house.send("two");
    // From where the client stood: what it missed is told at once.
    socket.say(&json!({"@type": "WebSocketPushEnable", "dataTypes": ["EmailDelivery"], "pushState": known}));
    let missed = socket.message();
    assert_eq!(missed["@type"], "StateChange");
    assert!(missed["changed"][&bob.account]["EmailDelivery"].is_string());
}

#[test]
fn what_is_no_request_is_answered_and_what_is_no_message_ends_the_connection() {
    let house = House::started("");
    let mut socket = Socket::open(&house);
    socket.frame(0x80 | TEXT, b"{");
    assert_eq!(socket.error(), ("notJSON".to_owned(), Value::Null));
    socket.say(&json!({"@type": "Response"}));
    assert_eq!(socket.error().0, "notRequest");
    let mut unknown = echo("R1");
    unknown["using"] = json!(["urn:x"]);
    socket.say(&unknown);
    assert_eq!(
        socket.error(),
        ("unknownCapability".to_owned(), json!("R1"))
    );
    socket.say(&echo("R2"));
    assert_eq!(socket.message()["requestId"], "R2");
    socket.frame(0x80 | BINARY, b"{}");
    assert_eq!(socket.closed(), 1003);

    let mut long = Socket::open(&house);
    // The head of a frame is enough.
    let length = (10_u64 << 20) + 1;
    let head = [
        &[0x80 | TEXT, 0x80 | 127][..],
        &length.to_be_bytes(),
        &[0; 4],
        b"{",
    ]
    .concat();
    long.0.send(&head).expect("sent");
    assert_eq!(long.error().0, "limit");
    assert_eq!(long.closed(), 1009);

    let mut garbled = Socket::open(&house);
    garbled.frame(0x80 | TEXT, b"\xff\xff");
    assert_eq!(garbled.closed(), 1007);

    // A piece of a message that has not begun.
    let mut loose = Socket::open(&house);
    loose.frame(0x80, b"{}");
    assert_eq!(loose.closed(), 1002);
}

#[test]
fn a_handshake_is_for_jmap_and_ends_with_its_login_or_the_server() {
    let mut house = House::started("");
    let status = |fields: &[&str]| {
        let line = handshake(&house, &fields.join("\r\n"))
            .line()
            .expect("a line");
        line.split(' ').nth(1).expect("a status").to_owned()
    };
    assert_eq!(status(&FIELDS[..4]), "400", "no subprotocol");
    assert_eq!(
        status(&[&FIELDS[..3], &FIELDS[4..]].concat()),
        "400",
        "no key"
    );
    assert_eq!(status(&["Accept: */*"]), "426");
    assert_eq!(house.get("/jmap/ws/").status, 401);
    let mut revoked = Socket::open(&house);
    let set = |password: &str| {
        house.done(&[
            "account",
            "password",
            "bob@example.org",
            "--password",
            password,
        ])
    };
    set("another one");
    assert_eq!(revoked.closed(), 1008);
    set(house::PASSWORD);
    let mut last = Socket::open(&house);
    let stop = std::thread::spawn(move || house.stop());
    assert_eq!(last.closed(), 1001);
    drop(last);
    let (ended, took) = stop.join().expect("joined");
    assert!(ended && took.as_secs() < 5, "{took:?}");
}

#[test]
fn a_page_of_another_site_opens_no_socket_with_a_login_that_a_browser_keeps() {
    let house = House::started("");
    let token = house.done(&[
        "--json",
        "account",
        "app-password",
        "add",
        "bob@example.org",
        "--label",
        "x",
        "--scope",
        "jmap",
    ]);
    let token: Value = serde_json::from_str(&token).expect("JSON");
    let bearer = format!(
        "Authorization: Bearer {}",
        token["token"].as_str().expect("a token")
    );
    let basic = basic("bob@example.org", house::PASSWORD);
    let status = |login: &str, origin: &str| {
        let fields = [&FIELDS[..], &[origin]].concat().join("\r\n");
        let line = handshake_as(&house, login, &fields).line();
        let line = line.expect("a line");
        line.split(' ').nth(1).expect("a status").to_owned()
    };
    assert_eq!(status(&basic, "Origin: https://mx.example.org"), "101");
    for elsewhere in [
        "Origin: https://evil.test",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
    ] {
        assert_eq!(status(&basic, elsewhere), "403", "{elsewhere}");
        assert_eq!(status(&bearer, elsewhere), "101", "{elsewhere}");
    }
}

#[test]
fn what_is_no_request_takes_a_place_before_it_is_read() {
    let house = House::started("[jmap]\nrequests_per_minute = 2\n");
    let mut socket = Socket::open(&house);
    // What can't be read counts, and so does a message of another kind.
    socket.frame(0x80 | TEXT, b"{");
    assert_eq!(socket.error(), ("notJSON".to_owned(), Value::Null));
    let off = json!({"@type": "WebSocketPushDisable"});
    socket.say(&off);
    // No more is read of what is over it, whatever it is.
    for over in ["{", &off.to_string(), &echo("R1").to_string()] {
        socket.frame(0x80 | TEXT, over.as_bytes());
        let refused = socket.message();
        assert_eq!(refused["status"], 429, "{over}: {refused}");
    }
}
