//! Mail clients at a terminal, NeoMutt by IMAP and meli by JMAP: tmux gives them a screen, types for a
//! person, and reads what is shown.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::House;
use crate::house::{address, password};
use crate::process::{Said, program_of, run};
use crate::wait::{DEADLINE, until, until_or};

/// A terminal with a mail client in it.
#[derive(Debug)]
pub struct Screen {
    socket: PathBuf,
}

/// Lines that a person reads, taken from the bottom.
const ROWS: &str = "48";
const COLUMNS: &str = "110";

impl Screen {
    /// Opens somebody's mail in NeoMutt at this mailbox.
    #[track_caller]
    pub fn neomutt(house: &House, person: &str, mailbox: &str) -> Self {
        let home = home(house, "neomutt", person);
        let url = format!("imaps://localhost:{}/", house.tern.port("imaps"));
        let config = format!(
            "set imap_user = \"{user}\"\nset imap_pass = \"{pass}\"\nset folder = \"{url}\"\n\
             set spoolfile = \"+INBOX\"\nset record = \"+Sent\"\n\
             set certificate_file = \"{certificate}\"\nset ssl_force_tls = yes\n\
             set imap_check_subscribed = no\nset mail_check = 1\nset timeout = 1\n\
             set confirmappend = no\nset confirmcreate = yes\nset delete = yes\nset quit = yes\n\
             set wait_key = no\nset beep = no\nset sleep_time = 0\nset help = no\n\
             set move = no\nset pager_stop = yes\nset header_cache = \"\"\n\
             set charset = \"utf-8\"\nset date_format = \"%d %b\"\nset markers = no\n",
            user = address(person),
            pass = password(person),
            certificate = house.tern.certificate().display(),
        );
        let rc = home.join("neomuttrc");
        std::fs::write(&rc, config).unwrap_or_else(|error| panic!("{}: {error}", rc.display()));
        let neomutt = format!("exec neomutt -n -F {} -f '={mailbox}'", rc.display());
        Self::open(&home, &neomutt)
    }

    /// Opens somebody's mail in meli, by JMAP. It knows no certificate but those of the system.
    #[track_caller]
    pub fn meli(house: &House, person: &str) -> Self {
        let home = home(house, "meli", person);
        let config = format!(
            "[accounts.{person}]\nformat = \"jmap\"\nserver_url = \"https://localhost:{port}\"\n\
             server_username = \"{user}\"\nserver_password = \"{pass}\"\n\
             danger_accept_invalid_certs = true\nidentity = \"{user}\"\nroot_mailbox = \"INBOX\"\n\
             subscribed_mailboxes = [\"*\"]\nsend_mail = \"server_submission\"\n\
             [notifications]\nenable = \"none\"\n",
            port = house.tern.port("https"),
            user = address(person),
            pass = password(person),
        );
        let file = home.join("config.toml");
        let written = std::fs::write(&file, config);
        written.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let meli = program_of("TERN_TEST_MELI");
        let place = |variable: &str| format!("{variable}='{}'", home.display());
        let places = [place("XDG_DATA_HOME"), place("XDG_CACHE_HOME")].join(" ");
        let config = file.display();
        Self::open(
            &home,
            &format!("{places} exec '{}' --config '{config}'", meli.display()),
        )
    }

    /// A terminal in which a command runs.
    #[track_caller]
    fn open(home: &Path, program: &str) -> Self {
        let screen = Self {
            socket: home.join("tmux"),
        };
        let mut command = screen.command();
        command.args([
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            COLUMNS,
            "-y",
            ROWS,
        ]);
        command
            .arg(program)
            .env("HOME", home)
            .env("TERM", "screen")
            .env("LC_ALL", "C.UTF-8");
        run(&mut command, b"", DEADLINE).ok();
        screen
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command
            .arg("-u")
            .arg("-S")
            .arg(&self.socket)
            .env_remove("TMUX");
        command
    }

    fn tmux(&self, words: &[&str]) -> Said {
        run(self.command().args(words), b"", DEADLINE)
    }

    /// Types keys by tmux's names: `Enter`, `q`, `Escape`.
    #[track_caller]
    pub fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat()).ok();
    }

    /// Types a text as it is.
    #[track_caller]
    pub fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]).ok();
    }

    /// What is on the screen; empty when the program has ended.
    pub fn shown(&self) -> String {
        let said = self.tmux(&["capture-pane", "-p"]);
        if said.status == 0 {
            said.out
        } else {
            String::new()
        }
    }

    /// Waits until the screen shows this text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> Duration {
        let shown = until_or(DEADLINE, || self.shown().contains(text).then_some(()));
        match shown {
            Some(((), time)) => time,
            None => panic!("{text:?} is not shown; the screen is\n{}", self.shown()),
        }
    }

    /// Waits until the screen no longer shows this text.
    #[track_caller]
    pub fn wait_without(&self, text: &str) {
        until(&format!("{text:?} leaves the screen"), DEADLINE, || {
            (!self.shown().contains(text)).then_some(())
        });
    }

    /// Whether the client still runs.
    pub fn is_open(&self) -> bool {
        self.tmux(&["has-session"]).status == 0
    }
}

/// A directory of its own for somebody's client.
#[track_caller]
fn home(house: &House, client: &str, person: &str) -> PathBuf {
    let home = house.tern.dir().join(format!("{client}-{person}"));
    let made = std::fs::create_dir_all(&home);
    made.unwrap_or_else(|error| panic!("{}: {error}", home.display()));
    home
}

impl Drop for Screen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen shows\n{}\n---", self.shown());
        }
        let _ = self.tmux(&["kill-server"]);
    }
}
