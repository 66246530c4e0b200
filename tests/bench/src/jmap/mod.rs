//! JMAP (RFC 8620, RFC 8621) under load: messages read, found, changed, synchronised; blobs moved;
//! changes told to many.
//!
//! Invariant: what is measured is filled over IMAP with the same messages on every target; everything
//! else goes over HTTPS. A target that cannot tell changes says so in its file, and is not asked.

mod blob;
mod client;
mod get;
mod http;
mod listen;
mod listener;
mod query;
mod session;
mod set;

use tokio::process::Command;

pub(crate) use http::HttpTarget;
use listen::Crowd;
use listener::Kind;

use crate::deliver::unique_run;
use crate::error::{Error, Result, Step};
use crate::imap::ImapTarget;
use crate::mailbox;
use crate::measure::{Bench, Row};

/// The parts, in the order in which they run.
pub(crate) const PARTS: [&str; 8] = [
    "jmap-fill",
    "jmap-get",
    "jmap-query",
    "jmap-set",
    "jmap-changes",
    "jmap-blob",
    "jmap-events",
    "jmap-sockets",
];

/// How much of everything.
pub(crate) struct Sizes {
    messages: usize,
    page: usize,
    pages: usize,
    repeat: usize,
    set: usize,
    changes: usize,
    blob: usize,
    crowd: Crowd,
}

/// What is measured.
pub(crate) const FULL: Sizes = Sizes {
    messages: 100_000,
    page: 500,
    pages: 10,
    repeat: 5,
    set: 1_000,
    changes: 10_000,
    blob: 50 << 20,
    crowd: Crowd {
        listeners: 5_000,
        accounts: 20,
        pushes: 100,
    },
};

/// Proves that everything works.
pub(crate) const QUICK: Sizes = Sizes {
    messages: 100,
    page: 20,
    pages: 2,
    repeat: 2,
    set: 50,
    changes: 100,
    blob: 1 << 20,
    crowd: Crowd {
        listeners: 20,
        accounts: 4,
        pushes: 3,
    },
};

/// The mailbox that is filled and read.
const MAILBOX: &str = "bench-jmap";
/// Its account, which nothing else of the suite fills alone.
const ACCOUNT: usize = 1;
/// Bytes in each of its messages, on average.
const SIZE: usize = 4_096;
/// Sessions that fill it at once.
const FILL_SESSIONS: usize = 8;

/// A mailbox with many messages.
struct Filled {
    target: HttpTarget,
    account: usize,
    mailbox: String,
}

/// One target.
pub(crate) struct Jmap<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) sizes: &'a Sizes,
    pub(crate) target: HttpTarget,
    pub(crate) imap: ImapTarget,
    pub(crate) users: usize,
    /// Brings an index up to date that the server does not keep by itself.
    pub(crate) index_command: Option<String>,
    /// Whether changes are told.
    pub(crate) pushes: bool,
}

impl Jmap<'_> {
    /// Measures one part.
    pub(crate) async fn part(&self, part: &str) -> Result<Vec<Row>> {
        let (bench, sizes) = (self.bench, self.sizes);
        let filled = Filled {
            target: self.target.clone(),
            account: ACCOUNT,
            mailbox: MAILBOX.to_owned(),
        };
        let one = |row: Result<Row>| row.map(|row| vec![row]);
        match part {
            "jmap-fill" => self.fill().await,
            "jmap-get" => get::get(bench, &filled, sizes.page, sizes.pages).await,
            "jmap-query" => query::query(bench, &filled, sizes.repeat).await,
            "jmap-set" => one(set::set(bench, &filled, sizes.set, sizes.repeat).await),
            "jmap-changes" => {
                let count = (sizes.changes, sizes.set);
                one(set::changes(bench, &filled, count, sizes.repeat).await)
            }
            "jmap-blob" => {
                // Uploads are held for a day, and bounded for each account.
                let account = unique_run() as usize % self.users.max(1);
                blob::transfer(bench, &self.target, account, sizes.blob, sizes.repeat).await
            }
            "jmap-events" => self.listen(Kind::EventSource).await,
            _ => self.listen(Kind::WebSocket).await,
        }
    }

    /// Fills the mailbox; with the time that the index of its text took, where that is a step of its own.
    async fn fill(&self) -> Result<Vec<Row>> {
        let mut row = mailbox::fill(
            self.bench,
            &self.imap,
            ACCOUNT,
            MAILBOX,
            self.sizes.messages,
            SIZE,
            FILL_SESSIONS,
        )
        .await?;
        row.name = "fill for JMAP".to_owned();
        if let Some(command) = &self.index_command {
            let start = self.bench.meter();
            let status = Command::new("sh").args(["-c", command]).status().await;
            let status = status.step("run the index command")?;
            if !status.success() {
                return Err(Error::Usage(format!("`{command}` ended with {status}")));
            }
            row.set("index_s", start.seconds());
        }
        let added = row.metrics.get("messages").copied();
        Ok(added
            .filter(|added| *added > 0.0)
            .map(|_| row)
            .into_iter()
            .collect())
    }

    async fn listen(&self, kind: Kind) -> Result<Vec<Row>> {
        if !self.pushes {
            return Ok(Vec::new());
        }
        let crowd = Crowd {
            accounts: self.sizes.crowd.accounts.min(self.users),
            ..self.sizes.crowd
        };
        listen::listen(self.bench, &self.target, &self.imap, kind, crowd).await
    }
}
