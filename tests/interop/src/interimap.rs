//! Debian's interimap: keeps the inbox of one server and that of another the same, by QRESYNC
//! alone. It never looks at what did not change, so whatever VANISHED leaves out stays for good.

use std::path::PathBuf;
use std::process::Command;

use crate::house::{address, password};
use crate::process::{Said, run};
use crate::{House, wait::DEADLINE};

/// Two inboxes that are kept the same.
#[derive(Debug)]
pub struct Pair {
    config: PathBuf,
}

impl Pair {
    /// Somebody's inbox here, and the one of the same name there; nothing is synchronised yet.
    pub fn new(here: &House, there: &House, person: &str) -> Self {
        let config = here.tern.dir().join("interimap.conf");
        let database = here.tern.dir().join("interimap.db");
        let mut text = format!("database = {}\n", database.display());
        for (name, house) in [("local", there), ("remote", here)] {
            text.push_str(&format!(
                "[{name}]\ntype = imaps\nhost = localhost\nport = {port}\nusername = {user}\n\
                 password = {pass}\nSSL_CAfile = {certificate}\nauth = PLAIN\n",
                port = house.tern.port("imaps"),
                user = address(person),
                pass = password(person),
                certificate = house.tern.certificate().display(),
            ));
        }
        std::fs::write(&config, text).unwrap_or_else(|error| panic!("interimap: {error}"));
        Self { config }
    }

    /// Synchronises once, both ways.
    #[track_caller]
    pub fn sync(&self) -> Said {
        let mut command = Command::new("interimap");
        let mut option = std::ffi::OsString::from("--config=");
        option.push(&self.config);
        command.arg(option).arg("INBOX");
        if let Some(home) = self.config.parent() {
            command.env("HOME", home).env_remove("XDG_DATA_HOME");
        }
        run(&mut command, b"", DEADLINE)
    }
}
