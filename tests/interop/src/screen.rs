//! NeoMutt at a terminal: tmux gives it a screen, types for a person, and reads what is shown.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::House;
use crate::house::{address, password};
use crate::process::{Said, run};
use crate::wait::{DEADLINE, until, until_or};

/// A terminal with NeoMutt in it.
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
        let home = house.tern.dir().join(format!("neomutt-{person}"));
        let made = std::fs::create_dir_all(&home);
        made.unwrap_or_else(|error| panic!("{}: {error}", home.display()));
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
        let screen = Self {
            socket: home.join("tmux"),
        };
        let neomutt = format!("exec neomutt -n -F {} -f '={mailbox}'", rc.display());
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
            .arg(neomutt)
            .env("HOME", &home)
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

    /// Whether NeoMutt still runs.
    pub fn is_open(&self) -> bool {
        self.tmux(&["has-session"]).status == 0
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen shows\n{}\n---", self.shown());
        }
        let _ = self.tmux(&["kill-server"]);
    }
}
