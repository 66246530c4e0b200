//! The command line. Every count has an upper bound here; every time has one in `--max-seconds`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, value_parser};

use crate::deliver::{self, Delivered, Load};
use crate::error::{Error, Result, Step};
use crate::idle::{self, ExpungePlan};
use crate::imap::ImapTarget;
use crate::measure::{Bench, Report, Row};
use crate::net::{Endpoint, Security, tls_connector};
use crate::process::Processes;
use crate::smtp::SmtpTarget;
use crate::{mailbox, report, start, suite};

/// A load generator for mail servers on loopback.
#[derive(Debug, Parser)]
#[command(name = "tern-bench", version)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// The target's name in the report
    #[arg(long, global = true, default_value = "target")]
    target: String,
    /// Append every row to this JSON report
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// No measurement may take longer
    #[arg(long, global = true, default_value_t = 300, value_parser = value_parser!(u64).range(1..=3600))]
    max_seconds: u64,
    /// The server's process; its descendants belong to it
    #[arg(long, global = true)]
    pid: Option<u32>,
    /// The same, from a file that holds the id; can be given several times
    #[arg(long, global = true)]
    pid_file: Vec<PathBuf>,
    /// The same, by a substring of the command line
    #[arg(long, global = true)]
    pid_pattern: Option<String>,
}

#[derive(Debug, Args)]
struct Smtp {
    /// HOST:PORT of SMTP
    #[arg(long)]
    smtp: String,
    /// How SMTP is protected
    #[arg(long, value_enum, default_value = "plain")]
    smtp_security: Security,
    /// Sign in to SMTP with this name
    #[arg(long, requires = "smtp_password")]
    smtp_login: Option<String>,
    /// and this password
    #[arg(long)]
    smtp_password: Option<String>,
    /// The envelope sender
    #[arg(long, default_value = "sender@example.org")]
    sender: String,
}

#[derive(Debug, Args)]
struct Imap {
    /// HOST:PORT of IMAP
    #[arg(long)]
    imap: String,
    /// How IMAP is protected
    #[arg(long, value_enum, default_value = "plain")]
    imap_security: Security,
    #[command(flatten)]
    accounts: Accounts,
}

#[derive(Debug, Args)]
struct Accounts {
    /// The accounts' names; {} is the number, from 0
    #[arg(long, default_value = "user{}@example.org")]
    users_pattern: String,
    /// The password that all accounts share
    #[arg(long, default_value = "bench-password")]
    password: String,
    /// How many accounts there are
    #[arg(long, default_value_t = 1000, value_parser = count(1_000_000))]
    users: u64,
}

/// A count from 1 to `max`.
fn count(max: u64) -> clap::builder::RangedU64ValueParser<u64> {
    value_parser!(u64).range(1..=max)
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Deliveries a second, accepted and delivered
    Deliver(DeliverOptions),
    /// APPEND, one message in flight in each session
    Append {
        #[command(flatten)]
        imap: Imap,
        /// Sessions at once
        #[arg(long, default_value_t = 1, value_parser = count(1_000))]
        sessions: u64,
        /// Messages in all
        #[arg(long, default_value_t = 5_000, value_parser = count(1_000_000))]
        messages: u64,
        /// Bytes in each, about
        #[arg(long, default_value_t = 4_096, value_parser = count(10_000_000))]
        size: u64,
    },
    /// Fill a mailbox of account 0 for the commands below
    Fill {
        #[command(flatten)]
        imap: Imap,
        /// Messages in the mailbox in the end
        #[arg(long, default_value_t = 5_000, value_parser = count(1_000_000))]
        messages: u64,
        /// The account
        #[arg(long, default_value_t = 0)]
        account: u64,
        /// The mailbox; bench-MESSAGES if not given
        #[arg(long)]
        mailbox: Option<String>,
        /// Bytes in each, on average
        #[arg(long, default_value_t = 4_096, value_parser = count(1_000_000))]
        size: u64,
        /// Sessions at once
        #[arg(long, default_value_t = 8, value_parser = count(100))]
        sessions: u64,
    },
    /// SELECT of a filled mailbox in fresh sessions
    Select(Filled),
    /// FETCH 1:* of flags, envelopes, body structures and bodies
    Fetch(Filled),
    /// SEARCH by subject and text
    Search(Filled),
    /// STORE 1:* +FLAGS
    Store(Filled),
    /// COPY of a filled mailbox, and EXPUNGE of the copy
    Expunge(Filled),
    /// Memory of idle sessions, and push latency of a delivery
    Idle {
        #[command(flatten)]
        imap: Imap,
        #[command(flatten)]
        smtp: Smtp,
        /// Idle sessions
        #[arg(long, default_value_t = 1_000, value_parser = count(20_000))]
        sessions: u64,
        /// Deliveries, one after another, to different accounts
        #[arg(long, default_value_t = 100, value_parser = count(100_000))]
        pushes: u64,
    },
    /// Run a command that removes a message from every mailbox; time the pushes and its end
    ExpungeWatch {
        #[command(flatten)]
        imap: Imap,
        #[command(flatten)]
        smtp: Smtp,
        /// Idle sessions that watch
        #[arg(long, default_value_t = 1_000, value_parser = count(20_000))]
        sessions: u64,
        /// Recipients in each message
        #[arg(long, default_value_t = 1_000, value_parser = count(1_000_000))]
        per_message: u64,
        /// The command; {message_id} is replaced
        #[arg(long)]
        command: String,
        /// Prints how many recipients were delivered so far; else STATUS of a sample is asked
        #[arg(long)]
        until_delivered: Option<String>,
    },
    /// From the start of the server to the first LOGIN
    Start {
        #[command(flatten)]
        imap: Imap,
        /// Starts the server
        #[arg(long)]
        command: String,
        /// Stops the server; SIGTERM to the command if not given
        #[arg(long)]
        stop: Option<String>,
        /// How often
        #[arg(long, default_value_t = 3, value_parser = count(100))]
        repeat: u64,
    },
    /// The whole list, for a target described by a file
    Suite {
        /// The file, such as the one that peer/setup.sh makes
        #[arg(long)]
        config: PathBuf,
        /// A few seconds in all, to prove that it works
        #[arg(long)]
        quick: bool,
        /// Only these parts, of those that tests/bench/README.md lists
        #[arg(long, value_delimiter = ',', value_parser = parts())]
        only: Vec<String>,
    },
    /// Two reports side by side, in Markdown
    Report {
        /// Our report
        ours: PathBuf,
        /// The peer's
        peer: PathBuf,
    },
}

fn parts() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(suite::parts())
}

#[derive(Debug, Args)]
struct DeliverOptions {
    #[command(flatten)]
    smtp: Smtp,
    /// Recipients, one in each line
    #[arg(long, conflicts_with = "wait_imap")]
    recipients_file: Option<PathBuf>,
    #[command(flatten)]
    accounts: Accounts,
    /// Recipients in each message
    #[arg(long, default_value_t = 1, value_parser = count(100_000))]
    per_message: u64,
    /// Connections at once
    #[arg(long, default_value_t = 16, value_parser = count(1_000))]
    connections: u64,
    /// Messages in all
    #[arg(long, default_value_t = 1_000, value_parser = count(1_000_000))]
    messages: u64,
    /// Bytes in each, about
    #[arg(long, default_value_t = 4_096, value_parser = count(10_000_000))]
    size: u64,
    /// Prints how many recipients were delivered so far
    #[arg(long, conflicts_with = "wait_imap")]
    until_delivered: Option<String>,
    /// HOST:PORT of IMAP: wait until a sample of the accounts has got its messages
    #[arg(long)]
    wait_imap: Option<String>,
    /// How that IMAP is protected
    #[arg(long, value_enum, default_value = "plain")]
    wait_imap_security: Security,
}

#[derive(Debug, Args)]
struct Filled {
    #[command(flatten)]
    imap: Imap,
    /// Messages in the mailbox bench-MESSAGES, which `fill` made
    #[arg(long, default_value_t = 5_000, value_parser = count(1_000_000))]
    messages: u64,
    /// How often; the median counts
    #[arg(long, default_value_t = 5, value_parser = count(1_000))]
    repeat: u64,
}

impl Smtp {
    fn target(&self) -> Result<SmtpTarget> {
        Ok(SmtpTarget {
            endpoint: Endpoint::new(&self.smtp, self.smtp_security)?,
            tls: tls_connector()?,
            sender: self.sender.clone(),
            login: self.smtp_login.clone().zip(self.smtp_password.clone()),
        })
    }
}

impl Accounts {
    fn imap(&self, address: &str, security: Security) -> Result<ImapTarget> {
        Ok(ImapTarget {
            endpoint: Endpoint::new(address, security)?,
            tls: tls_connector()?,
            users_pattern: self.users_pattern.clone(),
            password: self.password.clone(),
        })
    }
}

impl Imap {
    fn target(&self) -> Result<ImapTarget> {
        self.accounts.imap(&self.imap, self.imap_security)
    }
    fn users(&self) -> usize {
        self.accounts.users as usize
    }
}

impl DeliverOptions {
    fn load(&self) -> Result<Load> {
        let recipients: Vec<String> = match &self.recipients_file {
            Some(path) => {
                let text = std::fs::read_to_string(path).step("read the recipients")?;
                text.lines()
                    .map(str::trim)
                    .filter(|l| !l.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
            None => {
                let name = |n: u64| self.accounts.users_pattern.replace("{}", &n.to_string());
                (0..self.accounts.users).map(name).collect()
            }
        };
        let delivered = match (&self.until_delivered, &self.wait_imap) {
            (Some(command), _) => Delivered::Command(command.clone()),
            (None, Some(address)) => {
                Delivered::Imap(self.accounts.imap(address, self.wait_imap_security)?)
            }
            (None, None) => Delivered::Ignored,
        };
        Ok(Load {
            smtp: self.smtp.target()?,
            recipients: Arc::new(recipients),
            per_message: self.per_message as usize,
            connections: self.connections as usize,
            messages: self.messages as usize,
            size: self.size as usize,
            delivered,
        })
    }
}

impl Options {
    /// Does what was asked.
    pub(crate) async fn run(self) -> Result<()> {
        let common = self.common;
        let id = common.pid.map(Processes::Id);
        let files = Some(common.pid_file)
            .filter(|f| !f.is_empty())
            .map(Processes::Files);
        let mut bench = Bench {
            target: common.target,
            json: common.json,
            processes: id.or(files).or(common.pid_pattern.map(Processes::Pattern)),
            max_seconds: common.max_seconds,
        };
        match self.command {
            Command::Suite {
                config,
                quick,
                only,
            } => {
                let config = suite::Config::read(&config)?;
                bench.target.clone_from(&config.name);
                bench.processes = bench.processes.or_else(|| config.processes());
                suite::run(&bench, &config, quick, &only).await
            }
            Command::Report { ours, peer } => {
                print!(
                    "{}",
                    report::markdown(&Report::read(&ours)?, &Report::read(&peer)?)
                );
                Ok(())
            }
            command => {
                for row in bench
                    .bounded("the measurement", command.rows(&bench))
                    .await?
                {
                    bench.record(&row)?;
                }
                Ok(())
            }
        }
    }
}

impl Command {
    /// Runs one measurement.
    async fn rows(self, bench: &Bench) -> Result<Vec<Row>> {
        match self {
            Self::Deliver(options) => one(deliver::run(bench, options.load()?).await),
            Self::Append {
                imap,
                sessions,
                messages,
                size,
            } => {
                let (target, users) = (imap.target()?, imap.users());
                let (sessions, messages) = (sessions as usize, messages as usize);
                one(mailbox::append(bench, &target, sessions, messages, size as usize, users).await)
            }
            Self::Fill {
                imap,
                messages,
                account,
                mailbox,
                size,
                sessions,
            } => {
                let (target, messages, size) = (imap.target()?, messages as usize, size as usize);
                let name = mailbox.unwrap_or_else(|| mailbox::filled_name(messages));
                let (account, sessions) = (account as usize, sessions as usize);
                one(mailbox::fill(bench, &target, account, &name, messages, size, sessions).await)
            }
            Self::Select(f) => one(mailbox::select(bench, &f.imap.target()?, f.n(), f.r()).await),
            Self::Fetch(f) => mailbox::fetch(bench, &f.imap.target()?, f.n(), f.r()).await,
            Self::Search(f) => mailbox::search(bench, &f.imap.target()?, f.n(), f.r()).await,
            Self::Store(f) => one(mailbox::store(bench, &f.imap.target()?, f.n(), f.r()).await),
            Self::Expunge(f) => mailbox::expunge(bench, &f.imap.target()?, f.n(), f.r()).await,
            Self::Idle {
                imap,
                smtp,
                sessions,
                pushes,
            } => {
                let (target, smtp, users) = (imap.target()?, smtp.target()?, imap.users());
                let (sessions, pushes) = (sessions as usize, pushes as usize);
                idle::idle(bench, &target, &smtp, sessions, users, pushes).await
            }
            Self::ExpungeWatch {
                imap,
                smtp,
                sessions,
                per_message,
                command,
                until_delivered,
            } => {
                let (target, smtp) = (imap.target()?, smtp.target()?);
                let plan = ExpungePlan {
                    sessions: sessions as usize,
                    mailboxes: imap.users(),
                    users: imap.users(),
                    per_message: per_message as usize,
                    group: None,
                    command,
                    delivered: match until_delivered {
                        Some(command) => Delivered::Command(command),
                        None => Delivered::Imap(target.clone()),
                    },
                };
                one(idle::expunge_watch(bench, &target, &smtp, plan).await)
            }
            Self::Start {
                imap,
                command,
                stop,
                repeat,
            } => {
                let (target, stop) = (imap.target()?, stop.as_deref());
                one(start::start(bench, &target, &command, stop, repeat as usize).await)
            }
            Self::Suite { .. } | Self::Report { .. } => Err(Error::Usage(
                "suite and report are not single measurements".into(),
            )),
        }
    }
}

impl Filled {
    fn n(&self) -> usize {
        self.messages as usize
    }
    fn r(&self) -> usize {
        self.repeat as usize
    }
}

fn one(row: Result<Row>) -> Result<Vec<Row>> {
    row.map(|row| vec![row])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_bounded() {
        use clap::CommandFactory;
        Options::command().debug_assert();
        for (args, fits) in [
            ("append --imap 127.0.0.1:143 --sessions 16", true),
            ("append --imap 127.0.0.1:143 --sessions 100000", false),
            (
                "idle --imap h:1 --smtp h:2 --sessions 5000 --imap-security tls",
                true,
            ),
            ("idle --imap h:1 --smtp h:2 --sessions 50000", false),
            ("deliver --smtp h:1 --smtp-login a", false),
            (
                "suite --config c.toml --only fetch,remove --max-seconds 9",
                true,
            ),
            ("suite --config c.toml --only nonsense", false),
            ("report a.json b.json", true),
            ("deliver --smtp h:1 --max-seconds 0", false),
        ] {
            let words = std::iter::once("tern-bench").chain(args.split(' '));
            assert_eq!(Options::try_parse_from(words).is_ok(), fits, "{args}");
        }
    }

    #[tokio::test]
    async fn other_machines_are_refused() {
        let args = ["tern-bench", "append", "--imap", "192.0.2.1:143"];
        let options = Options::try_parse_from(args).unwrap();
        assert!(matches!(options.run().await, Err(Error::NotLoopback(_))));
    }
}
