//! The arguments, and what each command asks of the server.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use miette::{Result, miette};
use tern_base::Timestamp;
use tern_recall::limits::MAX_DEPTH;

use super::audit::AuditCommand;
use super::delegate::DelegateCommand;
use super::evidence::{EvidenceArgs, VerifyArgs};
use super::factor::{self, TotpCommand};
use super::hold::{Acting, HoldCommand};
use super::names::{AliasCommand, GroupCommand};
use super::password::{self, PasswordArgs};
use super::policy::{PolicyCommand, RoleCommand};
use super::sharing::MailboxCommand;
use super::size::parse_size;
use crate::config::DEFAULT_PATH;
use crate::control::request::{
    AppPasswordRequest, DeviceChange, DeviceRequest, QueueRequest, RecallRun, RecallWhich, Request,
    StoreRequest, WaitingRequest,
};

/// A mail server with message recall.
#[derive(Parser)]
#[command(name = "tern", version, max_term_width = 100)]
pub(crate) struct Args {
    /// The configuration file.
    #[arg(long, global = true, default_value = DEFAULT_PATH)]
    pub(crate) config: PathBuf,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve,
    /// Write a first configuration and make the data directory.
    Init(InitArgs),
    /// The domains of this server.
    Domain {
        #[command(subcommand)]
        command: DomainCommand,
    },
    /// Who has mailboxes and may log in.
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Other addresses for accounts, groups, or people elsewhere.
    Alias {
        #[command(subcommand)]
        command: AliasCommand,
    },
    /// Addresses with many members.
    Group {
        #[command(subcommand)]
        command: GroupCommand,
    },
    /// Messages that wait for other servers.
    Queue {
        #[command(subcommand)]
        command: QueueCommand,
    },
    /// Take sent messages back.
    Recall {
        #[command(subcommand)]
        command: RecallCommand,
    },
    /// What may not be destroyed, whoever asks.
    Hold {
        #[command(subcommand)]
        command: HoldCommand,
    },
    /// Who holds which role, over whom.
    Role {
        #[command(subcommand)]
        command: RoleCommand,
    },
    /// Who has rights in whose mailboxes.
    Mailbox {
        #[command(subcommand)]
        command: MailboxCommand,
    },
    /// Who may take messages back, under which conditions.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// The tamper-evident log.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Check every invariant of the store; best without a server at work.
    Check,
    /// Rewrite the store, so that no file of it has anything that was removed for good.
    Compact,
    /// Write a consistent copy of the store into a directory that is not there yet.
    Backup {
        /// The directory.
        directory: PathBuf,
    },
    /// The configuration file.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Try everything out: a small organisation on loopback, with sample accounts.
    Demo(DemoArgs),
}

#[derive(ClapArgs)]
pub(crate) struct InitArgs {
    /// The name of this host, as other servers know it.
    #[arg(long)]
    pub(crate) hostname: String,
    /// The data directory; `/var/lib/tern` where nothing is said.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// A first domain.
    #[arg(long)]
    pub(crate) domain: Option<String>,
}

#[derive(ClapArgs)]
pub(crate) struct DemoArgs {
    /// Keep everything in this directory instead of a temporary one.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Play the main scenes by real protocol sessions, print what each client saw, and end.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Subcommand)]
pub(crate) enum DomainCommand {
    /// Add a domain.
    Add { domain: String },
    /// Show every domain.
    List,
    /// Remove a domain that has no addresses.
    Remove { domain: String },
}

#[derive(Subcommand)]
pub(crate) enum AccountCommand {
    /// Add an account with its mailboxes.
    Add {
        /// Its address, which is its login name.
        address: String,
        /// The name that people read.
        #[arg(long, default_value = "")]
        name: String,
        /// How many bytes it may hold, as `5000000000`, `5GB` or `5GiB`; 0 is no limit.
        #[arg(long, default_value = "0", value_parser = parse_size)]
        quota: u64,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Add many accounts: JSON Lines of `address`, `name`, `quota`, and `password` or
    /// `password_hash` (Argon2id, as PHC string). Those that are there already are passed over.
    Import {
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Show every account.
    List,
    /// Remove an account with all its mail.
    Remove { address: String },
    /// Set an account's password.
    Password {
        address: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Set how many bytes an account may hold.
    Quota {
        address: String,
        /// As `5000000000`, `5GB` or `5GiB`; 0 is no limit.
        #[arg(value_parser = parse_size)]
        bytes: u64,
    },
    /// Keep an account from getting mail and logging in.
    Disable {
        address: String,
        /// Let it again.
        #[arg(long)]
        undo: bool,
    },
    /// Let an account that was disabled get mail and log in again.
    Enable { address: String },
    /// Send an account's mail on to other addresses, here or elsewhere.
    Redirect {
        address: String,
        /// Where to; in the place of what was set before.
        #[arg(required_unless_present = "off")]
        targets: Vec<String>,
        /// The account gets its mail as well.
        #[arg(long)]
        keep: bool,
        /// Send it on no more.
        #[arg(long, conflicts_with_all = ["targets", "keep"])]
        off: bool,
    },
    /// An authenticator application as second factor.
    Totp {
        #[command(subcommand)]
        command: TotpCommand,
    },
    /// Make new recovery codes for an account with a second factor; the old ones are void.
    RecoveryCodes { address: String },
    /// Passwords for single programs.
    AppPassword {
        #[command(subcommand)]
        command: AppPasswordCommand,
    },
    /// Show the known clients of an account; trust or forget one.
    Devices(DevicesArgs),
    /// Who may act for an account.
    Delegate {
        #[command(subcommand)]
        command: DelegateCommand,
    },
}

#[derive(ClapArgs)]
pub(crate) struct DevicesArgs {
    address: String,
    /// Trust the client of this id.
    #[arg(long, value_name = "ID", group = "change")]
    trust: Option<String>,
    /// Trust it no more.
    #[arg(long, value_name = "ID", group = "change")]
    distrust: Option<String>,
    /// Forget it: when it comes again it is a new one.
    #[arg(long, value_name = "ID", group = "change")]
    forget: Option<String>,
}

impl DevicesArgs {
    fn request(&self) -> Request {
        let address = self.address.clone();
        let changes = [
            (&self.trust, DeviceChange::Trust),
            (&self.distrust, DeviceChange::Distrust),
            (&self.forget, DeviceChange::Forget),
        ];
        let asked = changes
            .into_iter()
            .find_map(|(id, change)| Some((id.clone()?, change)));
        match asked {
            None => Request::Device(DeviceRequest::List { address }),
            Some((device, change)) => Request::Device(DeviceRequest::Change {
                address,
                device,
                change,
            }),
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum AppPasswordCommand {
    /// Make one. It is shown this once.
    Add {
        address: String,
        /// What it is for: `phone`.
        #[arg(long)]
        label: String,
        /// What it is good for; without it, everything.
        #[arg(long = "scope", value_parser = ["imap", "smtp", "jmap"])]
        scopes: Vec<String>,
    },
    /// Show those of an account, removed ones included.
    List { address: String },
    /// Remove one, and end the sessions that use it.
    Remove { address: String, id: u32 },
}

#[derive(Subcommand)]
pub(crate) enum QueueCommand {
    /// Show what waits.
    List,
    /// Keep an item from leaving.
    Hold {
        id: String,
        #[arg(long, default_value = "held by the operator")]
        reason: String,
    },
    /// Let an item go on, now.
    Release { id: String },
    /// Take an item out of the queue.
    Cancel { id: String },
    /// Try everything that waits, now.
    Flush,
}

#[derive(Subcommand)]
pub(crate) enum RecallCommand {
    /// Show what a recall would do.
    Plan(RecallArgs),
    /// Take back every message that fits all that is said; show them first with `plan`. Of more than one
    /// message it asks, or wants `--expect` or `--yes`.
    Run {
        #[command(flatten)]
        which: RecallArgs,
        /// Only where so many messages fit.
        #[arg(long, value_name = "NUMBER", conflicts_with = "yes")]
        expect: Option<u64>,
        /// However many messages fit.
        #[arg(long)]
        yes: bool,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
        /// Which recipients are told: those who had opened it, where nothing is said.
        #[arg(long, value_parser = ["none", "exposed", "all"])]
        notice: Option<String>,
        /// What they are to read.
        #[arg(long)]
        notice_text: Option<String>,
    },
    /// Show how a recall stands, copy by copy.
    Status {
        id: String,
        /// What this account may see of it.
        #[arg(long = "as", value_name = "ADDRESS")]
        seen_by: Option<String>,
    },
    /// Show recalls, the newest first.
    List {
        /// Only those of messages that this account sent.
        #[arg(long)]
        by: Option<String>,
        /// Only those of this batch.
        #[arg(long, conflicts_with = "by")]
        batch: Option<String>,
        /// Only those that wait, the first to expire first.
        #[arg(long, conflicts_with_all = ["by", "batch"])]
        waiting: bool,
    },
    /// Approve a recall that waits for it.
    Approve(WaitingArgs),
    /// Decline a recall that waits for approval: nothing is taken back.
    Decline(WaitingArgs),
    /// Confirm a recall that waits for its requester's second factor.
    Confirm {
        id: String,
        /// The account that asked for it.
        #[arg(long = "as", value_name = "ADDRESS")]
        speaker: String,
        /// A code of its authenticator application, or a recovery code. Others on this machine can
        /// see it while the command runs; it is good once.
        #[arg(long)]
        code: String,
        /// Why, where it was not said before.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Cancel a recall that waits.
    Cancel {
        id: String,
        /// In the name of this account: its requester.
        #[arg(long = "as", value_name = "ADDRESS")]
        speaker: Option<String>,
    },
    /// Show the accounts that take back far more than they usually may.
    Frozen,
    /// Say that all is well with an account that is frozen.
    Unfreeze { address: String },
    /// Ask once more for what an exported audit log says was taken back and this store does not know:
    /// after it was put back from a backup.
    Replay {
        /// What `tern audit export` wrote, or a collector of syslog kept; `-` is standard input.
        file: PathBuf,
    },
    /// Undo a recall, or every one of a batch. What it had stopped in the queue is not sent again.
    Restore {
        #[arg(required_unless_present = "batch")]
        id: Option<String>,
        /// All that one `run` took back.
        #[arg(long, conflicts_with = "id")]
        batch: Option<String>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Write all that is known of a recall into one file, with proof.
    Evidence(EvidenceArgs),
    /// Verify such a file, wherever it is.
    VerifyEvidence(VerifyArgs),
}

#[derive(ClapArgs)]
pub(crate) struct WaitingArgs {
    pub(crate) id: String,
    /// In the name of this account, which must hold a role that may approve it.
    #[arg(long = "as", value_name = "ADDRESS")]
    pub(crate) speaker: Option<String>,
    /// Why.
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

#[derive(ClapArgs)]
pub(crate) struct RecallArgs {
    /// Messages with this Message-ID.
    pub(crate) message_id: Option<String>,
    /// Messages that this account sent; with an address elsewhere, those that came in and say that they
    /// are from there.
    #[arg(long, visible_alias = "from")]
    pub(crate) by: Option<String>,
    /// Messages whose subject has this in it.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Messages with this content digest.
    #[arg(long)]
    pub(crate) digest: Option<String>,
    /// Messages sent from this time on: `2026-11-21` or `2026-11-21T22:06:00Z`, in UTC.
    #[arg(long, value_parser = parse_time)]
    pub(crate) since: Option<Timestamp>,
    /// Messages sent before this time.
    #[arg(long, value_parser = parse_time)]
    pub(crate) until: Option<Timestamp>,
    /// Take them from these recipients only, as the sender wrote them: of a group's members by the group's
    /// address.
    #[arg(long = "to")]
    pub(crate) recipients: Vec<String>,
    /// Take only copies in this state.
    #[arg(long, value_parser = ["unexposed", "unread"])]
    pub(crate) only: Option<String>,
    /// How far to go: copies of the message, or those messages too that have it attached, or those too
    /// that answer it.
    #[arg(long, value_parser = ["copies", "attached", "conversation"], default_value = "attached")]
    pub(crate) reach: String,
    /// With the messages that answer it, so many answers deep; one where only the conversation is named.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_DEPTH)))]
    pub(crate) depth: Option<u8>,
    /// Take one attachment out of the message, and leave the rest: its part number as IMAP counts (`2`,
    /// `1.3`), or its file name where only one has it.
    #[arg(long, value_name = "PART|NAME", conflicts_with = "depth")]
    pub(crate) attachment: Option<String>,
    #[command(flatten)]
    pub(crate) acting: Acting,
}

impl RecallArgs {
    fn which(&self) -> RecallWhich {
        RecallWhich {
            by: self.by.clone(),
            message_id: self.message_id.clone(),
            subject: self.subject.clone(),
            digest: self.digest.clone(),
            since: self.since.map(Timestamp::as_millis),
            until: self.until.map(Timestamp::as_millis),
            recipients: self.recipients.clone(),
            only: self.only.clone(),
            attachment: self.attachment.clone(),
            copies_only: self.reach == "copies",
            depth: self.depth.unwrap_or(u8::from(self.reach == "conversation")),
            acting: self.acting.acting.clone(),
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the file is right.
    Check,
    /// Print a file with every option, commented out.
    Default,
    /// Print the option reference.
    Reference,
}

impl Command {
    /// What is asked of the server.
    pub(crate) fn request(&self) -> Result<Request> {
        Ok(match self {
            Self::Domain { command } => command.request(),
            Self::Account { command } => command.request()?,
            Self::Alias { command } => command.request(),
            Self::Group { command } => command.request(),
            Self::Queue { command } => command.request(),
            Self::Recall { command } => command.request(),
            Self::Hold { command } => command.request(),
            Self::Role { command } => command.request(),
            Self::Mailbox { command } => command.request(),
            Self::Policy { command } => command.request().unwrap_or(Request::Ping),
            Self::Check => Request::Store(StoreRequest::Check),
            Self::Compact => Request::Store(StoreRequest::Compact),
            Self::Backup { directory } => Request::Store(StoreRequest::Backup {
                // A server has another working directory.
                directory: std::path::absolute(directory)
                    .map_err(|error| miette::miette!("{}: {error}", directory.display()))?,
            }),
            Self::Audit { .. }
            | Self::Serve
            | Self::Init(_)
            | Self::Demo(_)
            | Self::Config { .. } => Request::Ping,
        })
    }
}

impl DomainCommand {
    fn request(&self) -> Request {
        match self {
            Self::Add { domain } => Request::DomainAdd {
                domain: domain.clone(),
            },
            Self::Remove { domain } => Request::DomainRemove {
                domain: domain.clone(),
            },
            Self::List => Request::DomainList,
        }
    }
}

impl AccountCommand {
    fn request(&self) -> Result<Request> {
        Ok(match self {
            Self::Add {
                address,
                name,
                quota,
                password,
            } => Request::AccountAdd {
                address: address.clone(),
                name: name.clone(),
                quota_bytes: *quota,
                password: password::read(password, address)?,
            },
            Self::Import { .. } => return Err(miette!("an import is more than one request")),
            Self::List => Request::AccountList,
            Self::Remove { address } => Request::AccountRemove {
                address: address.clone(),
            },
            Self::Password { address, password } => Request::AccountPassword {
                address: address.clone(),
                password: password::read(password, address)?,
            },
            Self::Quota { address, bytes } => Request::AccountQuota {
                address: address.clone(),
                quota_bytes: *bytes,
            },
            Self::Disable { address, undo } => Request::AccountDisable {
                address: address.clone(),
                disabled: !undo,
            },
            Self::Enable { address } => Request::AccountDisable {
                address: address.clone(),
                disabled: false,
            },
            // Without targets, as `--off` has it, no more.
            Self::Redirect {
                address,
                targets,
                keep,
                off: _,
            } => Request::AccountRedirect {
                address: address.clone(),
                targets: targets.clone(),
                keep: *keep,
            },
            Self::Totp { command } => command.request(),
            Self::RecoveryCodes { address } => factor::recovery_codes(address),
            Self::AppPassword { command } => command.request(),
            Self::Devices(args) => args.request(),
            Self::Delegate { command } => command.request(),
        })
    }
}

impl AppPasswordCommand {
    fn request(&self) -> Request {
        Request::AppPassword(match self {
            Self::Add {
                address,
                label,
                scopes,
            } => AppPasswordRequest::Add {
                address: address.clone(),
                label: label.clone(),
                scopes: scopes.clone(),
            },
            Self::List { address } => AppPasswordRequest::List {
                address: address.clone(),
            },
            Self::Remove { address, id } => AppPasswordRequest::Remove {
                address: address.clone(),
                id: *id,
            },
        })
    }
}

impl QueueCommand {
    fn request(&self) -> Request {
        Request::Queue(match self {
            Self::List => QueueRequest::List,
            Self::Hold { id, reason } => QueueRequest::Hold {
                id: id.clone(),
                reason: reason.clone(),
            },
            Self::Release { id } => QueueRequest::Release { id: id.clone() },
            Self::Cancel { id } => QueueRequest::Cancel { id: id.clone() },
            Self::Flush => QueueRequest::Flush,
        })
    }
}

impl RecallCommand {
    /// What `run` asks for; nothing of any other.
    pub(super) fn run(&self) -> RecallRun {
        let Self::Run {
            which,
            expect,
            yes,
            reason,
            notice,
            notice_text,
        } = self
        else {
            return RecallRun::default();
        };
        RecallRun {
            which: which.which(),
            // One message is meant, unless more is said.
            expected: expect.or((!yes).then_some(1)),
            reason: reason.clone(),
            notice: notice.clone(),
            notice_text: notice_text.clone(),
        }
    }

    fn request(&self) -> Request {
        match self {
            Self::Plan(which) => Request::RecallPlan {
                which: which.which(),
            },
            Self::Run { .. } => Request::RecallRun(self.run()),
            Self::Status { id, seen_by } => Request::RecallStatus {
                id: id.clone(),
                seen_by: seen_by.clone(),
            },
            Self::List { waiting: true, .. } => Request::Waiting(WaitingRequest::List),
            Self::List { by, batch, .. } => Request::RecallList {
                by: by.clone(),
                batch: batch.clone(),
            },
            Self::Approve(args) => Request::Waiting(WaitingRequest::Approve {
                id: args.id.clone(),
                by: args.speaker.clone(),
                reason: args.reason.clone(),
            }),
            Self::Decline(args) => Request::Waiting(WaitingRequest::Decline {
                id: args.id.clone(),
                by: args.speaker.clone(),
                reason: args.reason.clone(),
            }),
            Self::Confirm {
                id,
                speaker,
                code,
                reason,
            } => Request::Waiting(WaitingRequest::Confirm {
                id: id.clone(),
                by: speaker.clone(),
                code: code.clone(),
                reason: reason.clone(),
            }),
            Self::Cancel { id, speaker } => Request::Waiting(WaitingRequest::Cancel {
                id: id.clone(),
                by: speaker.clone(),
            }),
            Self::Frozen => Request::Waiting(WaitingRequest::Frozen),
            Self::Unfreeze { address } => Request::Waiting(WaitingRequest::Unfreeze {
                address: address.clone(),
            }),
            Self::Restore { id, batch, acting } => {
                let by = acting.acting.clone();
                match (id, batch) {
                    (_, Some(batch)) => Request::RecallRestoreBatch {
                        batch: batch.clone(),
                        by,
                    },
                    (id, None) => Request::RecallRestore {
                        id: id.clone().unwrap_or_default(),
                        by,
                    },
                }
            }
            Self::Evidence(args) => args.request(),
            Self::VerifyEvidence(_) | Self::Replay { .. } => Request::Ping,
        }
    }
}

/// A day, or a moment, in UTC (RFC 3339 without offsets and fractions).
pub(super) fn parse_time(text: &str) -> std::result::Result<Timestamp, String> {
    let wrong = || format!("`{text}` is neither 2026-11-21 nor 2026-11-21T22:06:00Z");
    let (day, time) = match text.split_once('T') {
        Some((day, time)) => (day, time.strip_suffix('Z').ok_or_else(wrong)?),
        None => (text, "00:00:00"),
    };
    let numbers = |text: &str, sign| -> Option<[u32; 3]> {
        let parts: Vec<u32> = text
            .split(sign)
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let read = || {
        let [year, month, day] = numbers(day, '-')?;
        let [hour, minute, second] = numbers(time, ':')?;
        Timestamp::from_civil(i64::from(year), month, day, hour, minute, second)
    };
    read().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn times_are_days_or_moments() {
        let read = |text| super::parse_time(text).map(|time| time.to_string());
        assert_eq!(
            read("2026-11-21").as_deref(),
            Ok("2026-11-21T00:00:00.000Z")
        );
        let moment = read("2026-11-21T22:06:01Z");
        assert_eq!(moment.as_deref(), Ok("2026-11-21T22:06:01.000Z"));
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-11-21T22:06:01",
            "2026-11",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_arguments_are_well_formed() {
        super::Args::command().debug_assert();
    }
}
