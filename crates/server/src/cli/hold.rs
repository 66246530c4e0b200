//! `tern hold`.

use clap::{Args as ClapArgs, Subcommand};
use tern_base::Timestamp;

use super::args::parse_time;
use super::held::ExportArgs;
use crate::control::hold::{HoldRequest, HoldWhich, Reached};
use crate::control::request::Request;

#[derive(Subcommand)]
pub(crate) enum HoldCommand {
    /// Place a hold on whatever fits all that is said, now and later.
    Add(HoldArgs),
    /// Show the holds that there are.
    List {
        #[command(flatten)]
        acting: Acting,
    },
    /// Show one.
    Show {
        id: String,
        #[command(flatten)]
        acting: Acting,
    },
    /// Read out what is under one: a file for each copy, and a manifest with their digests.
    Export(ExportArgs),
    /// End one: what nothing else holds goes when its time has come.
    Release {
        id: String,
        #[command(flatten)]
        acting: Acting,
    },
}

#[derive(ClapArgs)]
pub(crate) struct Acting {
    /// Act as this account: its roles count, and it is on record.
    #[arg(long = "as", value_name = "ADDRESS")]
    pub(crate) acting: Option<String>,
}

#[derive(ClapArgs)]
pub(crate) struct HoldArgs {
    /// Mail in the mailboxes of this account.
    #[arg(long)]
    account: Option<String>,
    /// Messages with this Message-ID.
    #[arg(long)]
    message_id: Option<String>,
    /// Messages with this content digest.
    #[arg(long)]
    digest: Option<String>,
    /// The message of this submission.
    #[arg(long, conflicts_with = "digest")]
    submission: Option<String>,
    /// Messages that this address sent.
    #[arg(long)]
    from: Option<String>,
    /// Messages whose subject has this in it.
    #[arg(long)]
    subject: Option<String>,
    /// Messages sent or received from this time on: `2026-11-21` or `2026-11-21T22:06:00Z`, in UTC.
    #[arg(long, value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Messages sent or received before this time.
    #[arg(long, value_parser = parse_time)]
    before: Option<Timestamp>,
    /// Why; it is kept with the hold and in the audit log.
    #[arg(long)]
    why: String,
    /// When the hold ends by itself.
    #[arg(long, value_parser = parse_time)]
    until: Option<Timestamp>,
    /// A recall may not hide it either: it leaves such copies where they are.
    #[arg(long)]
    visible: bool,
    #[command(flatten)]
    acting: Acting,
}

impl HoldCommand {
    pub(super) fn request(&self) -> Request {
        Request::Hold(match self {
            Self::Add(args) => HoldRequest::Add {
                which: HoldWhich {
                    account: args.account.clone(),
                    message_id: args.message_id.clone(),
                    digest: args.digest.clone(),
                    submission: args.submission.clone(),
                    from: args.from.clone(),
                    subject: args.subject.clone(),
                    since: args.since.map(Timestamp::as_millis),
                    before: args.before.map(Timestamp::as_millis),
                },
                why: args.why.clone(),
                until: args.until.map(Timestamp::as_millis),
                visible: args.visible,
                acting: args.acting.acting.clone(),
            },
            Self::List { acting } => HoldRequest::List {
                acting: acting.acting.clone(),
            },
            Self::Show { id, acting } => HoldRequest::Show {
                id: id.clone(),
                acting: acting.acting.clone(),
            },
            Self::Export(args) => args.request(Reached::default()),
            Self::Release { id, acting } => HoldRequest::Release {
                id: id.clone(),
                acting: acting.acting.clone(),
            },
        })
    }
}
