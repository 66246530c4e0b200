//! The audit log at Debian's rsyslog, which is killed and comes back.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test panics and reads clocks"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tern_interop::house::address;
use tern_interop::process::run;
use tern_interop::{DEADLINE, House, until};

/// A collector in a directory of its own.
struct Rsyslog {
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Rsyslog {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut openssl = Command::new("openssl");
        openssl
            .current_dir(dir.path())
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=collector.example.org"]);
        openssl.args(["-addext", "subjectAltName=DNS:collector.example.org"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        run(
            openssl.args(["-keyout", "key.pem", "-out", "cert.pem"]),
            b"",
            DEADLINE,
        )
        .ok();
        let mut new = Self { dir, child: None };
        new.start("0");
        new
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&mut self, port: &str) {
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        let [cert, key, out, at, work] =
            ["cert.pem", "key.pem", "out", "port", "."].map(|name| quoted(&self.path(name)));
        let text = format!(
            "global(workDirectory={work} maxMessageSize=\"64k\" \
             defaultNetstreamDriverCAFile={cert} defaultNetstreamDriverCertFile={cert} \
             defaultNetstreamDriverKeyFile={key})\n\
             module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" \
             streamDriver.authMode=\"anon\")\n\
             template(name=\"all\" type=\"string\" \
             string=\"%syslogfacility-text%\\t%hostname%\\t%msgid%\\t%structured-data%\\t%msg%\\n\")\n\
             input(type=\"imtcp\" port=\"{port}\" listenPortFileName={at})\n\
             action(type=\"omfile\" file={out} template=\"all\")\n"
        );
        fs::write(self.path("conf"), text).unwrap();
        let mut command = Command::new("/usr/sbin/rsyslogd");
        command.arg("-n").arg("-f").arg(self.path("conf"));
        // A process file would be left by the kill, and keep the next one from starting.
        command.args(["-i", "NONE"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        // It names the port where it may choose it, and no more.
        until("rsyslog listens", DEADLINE, || {
            let port = self.port()?.parse().ok()?;
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
    }

    fn port(&self) -> Option<String> {
        let port = fs::read_to_string(self.path("port")).ok()?;
        let port = port.trim().to_owned();
        (!port.is_empty()).then_some(port)
    }

    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What it has written, by sequence.
    fn entries(&self) -> BTreeMap<u64, Value> {
        let text = fs::read_to_string(self.path("out")).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut found = BTreeMap::new();
        for line in whole.lines() {
            let [facility, host, id, data, message] = line
                .splitn(5, '\t')
                .collect::<Vec<_>>()
                .try_into()
                .unwrap_or_else(|_| panic!("{line}"));
            // Its own messages are under other names.
            let Some(message) = message.trim_start_matches('\u{feff}').strip_prefix('{') else {
                continue;
            };
            let value: Value = serde_json::from_str(&format!("{{{message}")).unwrap();
            let Some(sequence) = value["entry"]["sequence"].as_u64() else {
                continue;
            };
            assert_eq!((facility, host), ("local5", "mail.example.org"));
            assert_eq!(value["entry"]["action"], id);
            assert!(
                data.contains(&format!("[tern@32473 sequence=\"{sequence}\"")),
                "{data}"
            );
            found.insert(sequence, value);
        }
        found
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn rsyslog_gets_the_whole_log_though_it_is_killed_meanwhile() {
    let mut collector = Rsyslog::new();
    let port = collector.port().unwrap();
    let house = House::with(&format!(
        "[syslog]\naddress = \"127.0.0.1:{port}\"\nserver_name = \"collector.example.org\"\n\
         trusted_certificates = {:?}\nfacility = \"local5\"\n",
        collector.path("cert.pem")
    ));
    let quota = |bytes: u64| {
        let words = ["account", "quota", &address("bob"), &bytes.to_string()];
        house.tern.tern(&words, "").ok();
    };
    let has = |collector: &Rsyslog, bytes: u64| {
        let entries = collector.entries();
        let there = entries
            .values()
            .any(|one| one["entry"]["details"]["quota_bytes"] == bytes);
        there.then_some(entries)
    };
    quota(1);
    until("the first entries arrive", DEADLINE, || has(&collector, 1));
    collector.kill();
    (2..30).for_each(quota);
    collector.start(&port);
    quota(30);
    let (entries, _) = until("the rest arrives", DEADLINE * 2, || has(&collector, 30));
    // From the first to the last, with not one missing, and the chain holds there.
    let last = *entries.keys().last().unwrap();
    assert_eq!(
        entries.keys().copied().collect::<Vec<_>>(),
        (1..=last).collect::<Vec<_>>()
    );
    for (sequence, entry) in entries.iter().skip(1) {
        assert_eq!(entry["entry"]["previous"], entries[&(sequence - 1)]["hash"]);
    }
    house.close();
}
