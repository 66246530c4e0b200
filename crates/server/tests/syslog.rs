//! The audit log on its way to a collector that cuts connections, goes away, and comes back.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use house::{House, TIME_LIMIT};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use socket2::SockRef;
use tern_audit::{Note, VerifyingKey};

/// A collector with a certificate of its own.
struct Collector {
    tls: Arc<ServerConfig>,
    address: SocketAddr,
    listener: Option<TcpListener>,
    pem: String,
}

type Connection = StreamOwned<ServerConnection, TcpStream>;

impl Collector {
    fn new() -> Self {
        let name = vec![String::from("collector.example.org")];
        let made = rcgen::generate_simple_self_signed(name).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut new = Self {
            tls: Arc::new(tls.expect("a configuration")),
            address,
            listener: None,
            pem: made.cert.pem(),
        };
        new.listen_on(listener);
        new
    }

    fn listen_on(&mut self, listener: TcpListener) {
        let limit = SockRef::from(&listener).set_read_timeout(Some(TIME_LIMIT));
        limit.expect("set");
        self.listener = Some(listener);
    }

    fn go_away(&mut self) {
        self.listener = None;
    }

    fn come_back(&mut self) {
        self.listen_on(TcpListener::bind(self.address).expect("the port"));
    }

    fn options(&self, trusted: &Path, name: &str) -> String {
        std::fs::write(trusted, &self.pem).expect("written");
        format!(
            "[audit]\ncheckpoint_minutes = 0\n[syslog]\naddress = \"{}\"\nserver_name = {name:?}\n\
             trusted_certificates = {trusted:?}\nfacility = \"local3\"\n",
            self.address
        )
    }

    fn accept(&self) -> Connection {
        let listener = self.listener.as_ref().expect("listening");
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(TIME_LIMIT)).expect("set");
        let session = ServerConnection::new(Arc::clone(&self.tls)).expect("a session");
        StreamOwned::new(session, stream)
    }

    /// Reads up to the end, and ends the connection in order, too.
    fn take(&self) -> Vec<String> {
        let mut connection = self.accept();
        let mut bytes = Vec::new();
        connection.read_to_end(&mut bytes).expect("an orderly end");
        connection.conn.send_close_notify();
        connection.flush().expect("told");
        messages(&bytes)
    }

    /// Reads up to the end, and ends the connection as somebody in between can: without a word under TLS.
    fn take_and_cut(&self) -> Vec<String> {
        let mut connection = self.accept();
        let mut bytes = Vec::new();
        connection.read_to_end(&mut bytes).expect("an orderly end");
        messages(&bytes)
    }

    /// Reads some messages and then breaks the connection.
    fn break_after(&self, count: usize) -> Vec<String> {
        let mut connection = self.accept();
        let (mut bytes, mut piece) = (Vec::new(), [0; 512]);
        while messages(&bytes).len() < count {
            let read = connection.read(&mut piece).expect("more");
            bytes.extend_from_slice(&piece[..read]);
        }
        let reset = SockRef::from(&connection.sock).set_linger(Some(Duration::ZERO));
        reset.expect("set");
        messages(&bytes)
    }
}

/// The whole messages of a stream (RFC 5425 4.3).
fn messages(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length = std::str::from_utf8(&bytes[..space]).expect("digits");
        let length: usize = length.parse().expect("a length");
        let Some(message) = bytes.get(space + 1..space + 1 + length) else {
            break;
        };
        found.push(String::from_utf8(message.to_vec()).expect("UTF-8"));
        bytes = &bytes[space + 1 + length..];
    }
    found
}

/// What a message carries.
fn carried(message: &str) -> Value {
    let (head, text) = message.split_once(" \u{feff}").expect("a text");
    // local3.notice
    assert!(head.starts_with("<157>1 20"), "{head}");
    assert!(head.contains("Z mx.example.org tern - "), "{head}");
    serde_json::from_str(text).expect("JSON")
}

fn sequences(messages: &[String]) -> Vec<u64> {
    let carried = messages.iter().map(|message| carried(message));
    carried
        .filter_map(|one| one["entry"]["sequence"].as_u64())
        .collect()
}

fn range(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

#[test]
fn every_entry_arrives_over_cuts_absence_and_restarts() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut collector = Collector::new();
    let options = collector.options(&directory.path().join("ca.pem"), "collector.example.org");
    let mut house = House::new(&options);
    // The key, the domain, three accounts.
    house.start();
    let broken = collector.break_after(3);
    assert_eq!(sequences(&broken)[..3], [1, 2, 3]);
    // What was sent on a broken connection is sent again.
    let first = collector.take();
    let end = sequences(&first).len() as u64;
    assert!(end >= 5);
    assert_eq!(sequences(&first), range(1, end));
    // Away, over a restart that nobody announced.
    collector.go_away();
    let quota = |bytes: &str| house.done(&["account", "quota", "bob@example.org", bytes]);
    quota("1");
    quota("2");
    house.wait_log("could not be sent on");
    house.kill();
    let quota = |bytes: &str| house.done(&["account", "quota", "bob@example.org", bytes]);
    quota("3");
    house.start();
    collector.come_back();
    let second = collector.take();
    assert_eq!(sequences(&second), range(end + 1, end + 3));
    assert!(second.iter().any(|message| {
        message.contains("- account.quota [tern@32473 ") && message.contains("quota_bytes\":3")
    }));
    // The chain holds at the collector, and what was signed is what it has.
    let all: Vec<Value> = first
        .iter()
        .chain(&second)
        .map(|one| carried(one))
        .collect();
    let entries: Vec<&Value> = all.iter().filter(|one| one["entry"].is_object()).collect();
    for pair in entries.windows(2) {
        assert_eq!(pair[1]["entry"]["previous"], pair[0]["hash"]);
    }
    let key = house.done(&["audit", "key"]);
    let key = VerifyingKey::parse(&key).expect("a key");
    let notes: Vec<&str> = all
        .iter()
        .filter_map(|one| one["checkpoint"].as_str())
        .collect();
    assert!(!notes.is_empty());
    for note in notes {
        assert!(Note::parse(note).expect("a note").is_signed_by(&key));
    }
    let (stopped, _) = house.stop();
    assert!(stopped);
}

#[test]
fn what_was_sent_on_a_connection_that_was_cut_is_sent_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let collector = Collector::new();
    let options = collector.options(&directory.path().join("ca.pem"), "collector.example.org");
    let mut house = House::new(&options);
    house.start();
    let cut = sequences(&collector.take_and_cut());
    assert_eq!(cut[..5], [1, 2, 3, 4, 5]);
    house.wait_log("did not close the connection in order");
    let taken = sequences(&collector.take());
    assert_eq!(taken[..5], [1, 2, 3, 4, 5]);
    house.done(&["account", "quota", "bob@example.org", "1"]);
    let end = taken.last().expect("some").to_owned();
    let next = sequences(&collector.take());
    assert_eq!(next[0], end + 1, "what was taken is not sent again");

    // Who has a collector that never does can say so.
    let options = format!("{options}orderly_end = false\n");
    let mut house = House::new(&options);
    house.start();
    let end = sequences(&collector.take_and_cut())
        .last()
        .expect("some")
        .to_owned();
    house.done(&["account", "quota", "bob@example.org", "1"]);
    let next = sequences(&collector.take_and_cut());
    assert_eq!(next[0], end + 1);
}

#[test]
fn a_collector_of_another_name_gets_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let collector = Collector::new();
    let options = collector.options(&directory.path().join("ca.pem"), "other.example.org");
    let mut house = House::new(&options);
    house.start();
    let mut connection = collector.accept();
    let read: io::Result<usize> = connection.read(&mut [0; 16]);
    assert!(read.is_err(), "{read:?}");
    let said = house.wait_log("could not be sent on");
    assert!(said.contains("certificate"), "{said}");
}
