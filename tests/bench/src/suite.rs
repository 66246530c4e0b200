//! The whole list, in order, for one target described by a TOML file.
//!
//! Invariant: sizes are constants here, so that two targets are always measured alike; the file only
//! says where the target is and how it is commanded. Unknown keys are refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::deliver::{self, Delivered, Load};
use crate::error::{Error, Result, Step};
use crate::idle::{self, ExpungePlan};
use crate::imap::ImapTarget;
use crate::jmap::{self, HttpTarget, Jmap};
use crate::mailbox;
use crate::measure::{Bench, Row};
use crate::net::{Endpoint, Security, tls_connector};
use crate::process::Processes;
use crate::seal::{self, SealPlan};
use crate::smtp::SmtpTarget;
use crate::start;

/// One target.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Its name in the report.
    pub(crate) name: String,
    /// HOST:PORT that takes mail for the accounts.
    smtp: String,
    /// How `smtp` is protected.
    #[serde(default = "plain")]
    smtp_security: Security,
    /// Sign in to `smtp` as the sender, with the accounts' password (a submission port).
    #[serde(default)]
    smtp_login: bool,
    /// HOST:PORT of IMAP for everything but idle sessions.
    imap: String,
    /// How `imap` is protected.
    #[serde(default = "plain")]
    imap_security: Security,
    /// HOST:PORT of IMAP with TLS from the first byte, for idle sessions.
    imaps: String,
    /// `user{}@example.org`; {} is the account's number, from 0.
    users_pattern: String,
    /// How many accounts there are.
    users: usize,
    /// The password of all accounts.
    password: String,
    /// The envelope sender.
    sender: String,
    /// Where a recall needs submission: HOST:PORT, signed in as `sender`. Else `smtp` is used.
    submission: Option<String>,
    /// How `submission` is protected.
    #[serde(default = "plain")]
    submission_security: Security,
    /// The server's main processes, by files that hold their ids.
    #[serde(default)]
    pid_files: Vec<PathBuf>,
    /// Or by a substring of its command line.
    pid_pattern: Option<String>,
    /// Prints how many recipients were delivered so far; without it STATUS of a sample is asked.
    delivered_command: Option<String>,
    /// Removes the message {message_id} from every mailbox.
    expunge_command: Option<String>,
    /// Whether the keyword `$Recall` on a sent message takes it back.
    #[serde(default)]
    keyword_recalls: bool,
    /// Recipients in each message that is then removed.
    #[serde(default = "thousand")]
    expunge_per_message: usize,
    /// `first{}@example.org`: groups of the first so many accounts, {} is the number, to which the
    /// larger removals' messages go.
    groups_pattern: Option<String>,
    /// Fewer idle sessions than the suite has, for a machine that cannot hold them; the row's name
    /// says how many there were.
    idle_sessions_max: Option<usize>,
    /// HOST:PORT of HTTPS with JMAP; without it JMAP is not measured.
    https: Option<String>,
    /// Brings the index of the text up to date, where that does not happen by itself.
    index_command: Option<String>,
    /// Whether JMAP tells of changes (EventSource, WebSocket).
    #[serde(default = "yes")]
    jmap_pushes: bool,
    /// Starts the server; measured only if `stop_command` is there too.
    start_command: Option<String>,
    /// Stops the server.
    stop_command: Option<String>,
}

fn plain() -> Security {
    Security::Plain
}

fn yes() -> bool {
    true
}

fn thousand() -> usize {
    1_000
}

/// How much of everything.
struct Sizes {
    fill: &'static [usize],
    work: usize,
    repeat: usize,
    append: &'static [(usize, usize)],
    /// Recipients per message, connections, messages.
    deliver: &'static [(usize, usize, usize)],
    idle: usize,
    idle_accounts: usize,
    idle_fill: usize,
    pushes: usize,
    /// Mailboxes that a message is removed from, and sessions in IDLE that watch: first recipients one
    /// by one, then a group, or so many recipients one by one where there are no groups.
    removal: (usize, usize),
    group_removals: &'static [(usize, usize)],
    /// Recalls by keyword, and how many deliveries a second come in beside them.
    recalls: (usize, u32),
    starts: usize,
    jmap: jmap::Sizes,
}

const FULL: Sizes = Sizes {
    fill: &[5_000, 10_000, 100_000],
    work: 5_000,
    repeat: 5,
    append: &[(1, 5_000), (16, 16_000)],
    deliver: &[
        (1, 1, 2_000),
        (1, 16, 10_000),
        (1, 64, 10_000),
        (1_000, 1, 10),
        (1_000, 16, 32),
    ],
    idle: 5_000,
    idle_accounts: 20,
    idle_fill: 10_000,
    pushes: 200,
    removal: (5_000, 1_000),
    group_removals: &[
        (1_000, 1_000),
        (10_000, 1_000),
        (10_000, 5_000),
        (100_000, 1_000),
        (100_000, 5_000),
    ],
    recalls: (200, 500),
    starts: 3,
    jmap: jmap::FULL,
};

/// A few seconds in all: proves that everything works, measures nothing.
const QUICK: Sizes = Sizes {
    fill: &[100],
    work: 100,
    repeat: 2,
    append: &[(1, 50), (4, 40)],
    deliver: &[(1, 1, 20), (1, 4, 40), (10, 2, 4)],
    idle: 20,
    idle_accounts: 10,
    idle_fill: 0,
    pushes: 3,
    removal: (20, 10),
    group_removals: &[],
    recalls: (3, 50),
    starts: 1,
    jmap: jmap::QUICK,
};

/// Bytes in a message of the suite, about.
const MESSAGE_SIZE: usize = 4_096;
/// Bytes in the messages that only make an idle mailbox long.
const SMALL_SIZE: usize = 512;
/// Sessions that fill at once.
const FILL_SESSIONS: usize = 8;

/// The parts of SMTP and IMAP, in the order in which they run; the one that removes mail from every
/// account last.
const PARTS: [&str; 12] = [
    "start", "fill", "select", "fetch", "search", "store", "expunge", "append", "deliver", "idle",
    "seal", "remove",
];

/// All of them, JMAP's at the end.
pub(crate) fn parts() -> impl Iterator<Item = &'static str> {
    PARTS.into_iter().chain(jmap::PARTS)
}

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).step("read the suite configuration")?;
        Self::parse(&text).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))
    }

    fn parse(text: &str) -> std::result::Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// How the server's processes are found.
    pub(crate) fn processes(&self) -> Option<Processes> {
        if self.pid_files.is_empty() {
            self.pid_pattern.clone().map(Processes::Pattern)
        } else {
            Some(Processes::Files(self.pid_files.clone()))
        }
    }

    fn imap(&self, address: &str, security: Security) -> Result<ImapTarget> {
        Ok(ImapTarget {
            endpoint: Endpoint::new(address, security)?,
            tls: tls_connector()?,
            users_pattern: self.users_pattern.clone(),
            password: self.password.clone(),
        })
    }

    fn smtp(&self, address: &str, security: Security, login: bool) -> Result<SmtpTarget> {
        let login = login.then(|| (self.sender.clone(), self.password.clone()));
        Ok(SmtpTarget {
            endpoint: Endpoint::new(address, security)?,
            tls: tls_connector()?,
            sender: self.sender.clone(),
            login,
        })
    }
}

/// What the parts share.
struct Suite<'a> {
    bench: &'a Bench,
    config: &'a Config,
    sizes: &'a Sizes,
    imap: ImapTarget,
    smtp: SmtpTarget,
    delivered: Delivered,
}

/// Runs the parts named, or all. A part that fails is told at the end; the others still run.
pub(crate) async fn run(
    bench: &Bench,
    config: &Config,
    quick: bool,
    only: &[String],
) -> Result<()> {
    let imap = config.imap(&config.imap, config.imap_security)?;
    let suite = Suite {
        bench,
        config,
        sizes: if quick { &QUICK } else { &FULL },
        smtp: config.smtp(&config.smtp, config.smtp_security, config.smtp_login)?,
        delivered: match &config.delivered_command {
            Some(command) => Delivered::Command(command.clone()),
            None => Delivered::Imap(imap.clone()),
        },
        imap,
    };
    let mut failed = Vec::new();
    for part in parts() {
        if !only.is_empty() && !only.iter().any(|name| name == part) {
            continue;
        }
        if let Err(error) = suite.part(part).await {
            eprintln!("{part}: {error}");
            failed.push(part);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Error::Usage(format!("failed: {}", failed.join(", "))))
    }
}

impl Suite<'_> {
    async fn part(&self, part: &str) -> Result<()> {
        let repeat = self.sizes.repeat;
        match part {
            "start" => self.start().await,
            "fill" => self.fill().await,
            "select" => {
                for size in self.sizes.fill {
                    self.row(part, mailbox::select(self.bench, &self.imap, *size, repeat))
                        .await?;
                }
                Ok(())
            }
            "fetch" => {
                for size in self.sizes.fill {
                    self.rows(part, mailbox::fetch(self.bench, &self.imap, *size, repeat))
                        .await?;
                }
                Ok(())
            }
            "search" => {
                let search = mailbox::search(self.bench, &self.imap, self.sizes.work, repeat);
                self.rows(part, search).await
            }
            "store" => {
                let store = mailbox::store(self.bench, &self.imap, self.sizes.work, repeat);
                self.row(part, store).await
            }
            "expunge" => {
                let expunge = mailbox::expunge(self.bench, &self.imap, self.sizes.work, repeat);
                self.rows(part, expunge).await
            }
            "append" => {
                for (sessions, messages) in self.sizes.append {
                    let users = self.config.users;
                    let append = mailbox::append(
                        self.bench,
                        &self.imap,
                        *sessions,
                        *messages,
                        MESSAGE_SIZE,
                        users,
                    );
                    self.row(part, append).await?;
                }
                Ok(())
            }
            "deliver" => self.deliver().await,
            "idle" => self.idle().await,
            "seal" => self.seal().await,
            "remove" => self.remove().await,
            _ => self.jmap(part).await,
        }
    }

    async fn row(&self, part: &str, work: impl Future<Output = Result<Row>>) -> Result<()> {
        let row = self.bench.bounded(part, work).await?;
        self.bench.record(&row)
    }

    async fn rows(&self, part: &str, work: impl Future<Output = Result<Vec<Row>>>) -> Result<()> {
        for row in self.bench.bounded(part, work).await? {
            self.bench.record(&row)?;
        }
        Ok(())
    }

    async fn start(&self) -> Result<()> {
        let (Some(begin), Some(stop)) = (&self.config.start_command, &self.config.stop_command)
        else {
            return Ok(());
        };
        let starts = self.sizes.starts;
        self.row(
            "start",
            start::start(self.bench, &self.imap, begin, Some(stop), starts),
        )
        .await
    }

    async fn fill(&self) -> Result<()> {
        for size in self.sizes.fill {
            let name = mailbox::filled_name(*size);
            let fill = mailbox::fill(
                self.bench,
                &self.imap,
                0,
                &name,
                *size,
                MESSAGE_SIZE,
                FILL_SESSIONS,
            );
            let row = self.bench.bounded("fill", fill).await?;
            if row
                .metrics
                .get("messages")
                .is_some_and(|added| *added > 0.0)
            {
                self.bench.record(&row)?;
            }
        }
        Ok(())
    }

    async fn deliver(&self) -> Result<()> {
        let recipients: Vec<String> = (0..self.config.users).map(|n| self.imap.user(n)).collect();
        let recipients = Arc::new(recipients);
        for (per_message, connections, messages) in self.sizes.deliver {
            let load = Load {
                smtp: self.smtp.clone(),
                recipients: recipients.clone(),
                per_message: *per_message,
                connections: *connections,
                messages: *messages,
                size: MESSAGE_SIZE,
                delivered: self.delivered.clone(),
            };
            self.row("deliver", deliver::run(self.bench, load)).await?;
        }
        Ok(())
    }

    async fn idle(&self) -> Result<()> {
        let sizes = self.sizes;
        let accounts = sizes.idle_accounts.min(self.config.users);
        for account in 0..accounts {
            let fill = mailbox::fill(
                self.bench,
                &self.imap,
                account,
                "INBOX",
                sizes.idle_fill,
                SMALL_SIZE,
                FILL_SESSIONS,
            );
            self.bench.bounded("fill for idle", fill).await?;
        }
        let imaps = self.config.imap(&self.config.imaps, Security::Tls)?;
        let sessions = self
            .config
            .idle_sessions_max
            .map_or(sizes.idle, |max| max.min(sizes.idle));
        let idle = idle::idle(
            self.bench,
            &imaps,
            &self.smtp,
            sessions,
            accounts,
            sizes.pushes,
        );
        self.rows("idle", idle).await
    }

    async fn jmap(&self, part: &str) -> Result<()> {
        let Some(https) = &self.config.https else {
            return Ok(());
        };
        let jmap = Jmap {
            bench: self.bench,
            sizes: &self.sizes.jmap,
            target: HttpTarget {
                endpoint: Endpoint::new(https, Security::Tls)?,
                tls: tls_connector()?,
                users_pattern: self.config.users_pattern.clone(),
                password: self.config.password.clone(),
            },
            imap: self.imap.clone(),
            users: self.config.users,
            index_command: self.config.index_command.clone(),
            pushes: self.config.jmap_pushes,
        };
        self.rows(part, jmap.part(part)).await
    }

    async fn seal(&self) -> Result<()> {
        if !self.config.keyword_recalls {
            return Ok(());
        }
        let (recalls, rate) = self.sizes.recalls;
        let recipients = (0..self.config.users).map(|n| self.imap.user(n));
        let plan = SealPlan {
            imap: self.imap.clone(),
            submission: self.submission()?,
            smtp: self.smtp.clone(),
            recipients: Arc::new(recipients.collect()),
            rate,
            recalls,
        };
        self.row("seal", seal::seal(self.bench, plan)).await
    }

    /// Where the sender submits.
    fn submission(&self) -> Result<SmtpTarget> {
        let config = self.config;
        match &config.submission {
            Some(address) => config.smtp(address, config.submission_security, true),
            None => Ok(self.smtp.clone()),
        }
    }

    async fn remove(&self) -> Result<()> {
        let Some(command) = self.config.expunge_command.clone() else {
            return Ok(());
        };
        let imaps = self.config.imap(&self.config.imaps, Security::Tls)?;
        let smtp = self.submission()?;
        let config = self.config;
        let watching = |sessions: usize| {
            config
                .idle_sessions_max
                .map_or(sessions, |max| max.min(sessions))
        };
        let (mailboxes, sessions) = self.sizes.removal;
        let plan = ExpungePlan {
            sessions: watching(sessions),
            mailboxes: mailboxes.min(config.users),
            users: config.users,
            per_message: config.expunge_per_message,
            group: None,
            command,
            delivered: self.delivered.clone(),
        };
        let mut plans = vec![plan.clone()];
        for (mailboxes, sessions) in self.sizes.group_removals {
            if *mailboxes > config.users {
                break;
            }
            let size = mailboxes.to_string();
            plans.push(ExpungePlan {
                sessions: watching(*sessions),
                mailboxes: *mailboxes,
                group: config
                    .groups_pattern
                    .as_ref()
                    .map(|pattern| pattern.replace("{}", &size)),
                ..plan.clone()
            });
        }
        for plan in plans {
            let watch = idle::expunge_watch(self.bench, &imaps, &smtp, plan);
            self.row("remove", watch).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_template_is_a_configuration() {
        let mut text = include_str!("../peer/peer.toml").to_owned();
        for (mark, value) in [
            ("@USERS@", "10"),
            ("@SMTP@", "25"),
            ("@SUBMISSION@", "587"),
            ("@IMAP@", "143"),
            ("@IMAPS@", "993"),
            ("@DIR@", "/d"),
            ("@SETUP@", "/s"),
        ] {
            text = text.replace(mark, value);
        }
        let config = Config::parse(&text).unwrap();
        assert_eq!((config.users, config.smtp.as_str()), (10, "127.0.0.1:25"));
        assert!(config.expunge_command.unwrap().contains("{message_id}"));
    }

    #[test]
    fn so_is_that_of_cyrus() {
        let mut text = include_str!("../cyrus/cyrus.toml").to_owned();
        for (mark, value) in [
            ("@USERS@", "20"),
            ("@LMTP@", "24"),
            ("@IMAP@", "143"),
            ("@IMAPS@", "993"),
            ("@HTTPS@", "443"),
            ("@DIR@", "/d"),
            ("@SETUP@", "/s"),
        ] {
            text = text.replace(mark, value);
        }
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.https.as_deref(), Some("127.0.0.1:443"));
        assert!(!config.jmap_pushes && config.index_command.is_some());
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = Config::parse("name = \"x\"\nsmpt = \"y\"\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("smpt"), "{error}");
    }
}
