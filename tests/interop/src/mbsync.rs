//! A recipient's mbsync: one account, mirrored both ways into a Maildir.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::house::{address, password};
use crate::process::{Said, run};
use crate::{House, wait::DEADLINE};

/// Where one person's mail is mirrored.
#[derive(Debug)]
pub struct Mirror {
    folder: PathBuf,
    config: PathBuf,
}

impl Mirror {
    /// A mirror of somebody's mail in a folder of this name; nothing is synchronised yet.
    pub fn new(house: &House, person: &str, name: &str) -> Self {
        let folder = house.tern.dir().join(name);
        let config = house.tern.dir().join(format!("{name}.mbsyncrc"));
        for part in ["", "INBOX/cur", "INBOX/new", "INBOX/tmp"] {
            let made = std::fs::create_dir_all(folder.join(part));
            made.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        }
        let text = format!(
            "IMAPAccount {person}\nHost localhost\nPort {port}\nUser {user}\nPass \"{pass}\"\n\
             SSLType IMAPS\nSystemCertificates no\nCertificateFile {certificate}\n\
             AuthMechs PLAIN\nTimeout 20\n\n\
             IMAPStore far\nAccount {person}\n\n\
             MaildirStore near\nPath {folder}/\nInbox {folder}/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\n\
             SyncState *\n",
            port = house.tern.port("imaps"),
            user = address(person),
            pass = password(person),
            certificate = house.tern.certificate().display(),
            folder = folder.display(),
        );
        std::fs::write(&config, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { folder, config }
    }

    /// Synchronises once, both ways.
    #[track_caller]
    pub fn sync(&self) -> Said {
        let mut command = Command::new("mbsync");
        command.arg("--config").arg(&self.config).arg("--all");
        if let Some(home) = self.config.parent() {
            command.env("HOME", home);
        }
        run(&mut command, b"", DEADLINE)
    }

    /// The files of a mirrored folder.
    #[track_caller]
    pub fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for part in ["cur", "new"] {
            let Ok(entries) = std::fs::read_dir(self.folder.join(folder).join(part)) else {
                continue;
            };
            files.extend(entries.flatten().map(|entry| entry.path()));
        }
        files.sort();
        files
    }

    /// The files of a mirrored folder that hold this text.
    #[track_caller]
    pub fn holding(&self, folder: &str, text: &str) -> Vec<PathBuf> {
        let mut files = self.files(folder);
        files.retain(|file| read(file).contains(text));
        files
    }

    /// Puts a new message into a mirrored folder, as a mail client does that was offline.
    #[track_caller]
    pub fn put(&self, folder: &str, name: &str, content: &str) {
        let path = self
            .folder
            .join(folder)
            .join("cur")
            .join(format!("{name}:2,S"));
        // Maildir has plain newlines; mbsync makes CRLF of them.
        let written = std::fs::write(&path, content.replace("\r\n", "\n"));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Where the mirror is.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

/// A file as text.
#[track_caller]
pub fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}
