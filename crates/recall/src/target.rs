//! Where a submission led, recipient by recipient.

use tern_base::AccountId;
use tern_base::codec::{Damaged, Reader, Writer};
use tern_queue::QueueId;

/// Where recipients of the envelope led: one destination, and how it was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The path by which it was brought there.
    pub path: Path,
    /// Paths of other recipients that lead there as well, in the order of the envelope.
    pub also: Vec<Path>,
    /// Where it ended.
    pub destination: Destination,
}

/// The path from one recipient of the envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// The recipient as the envelope named it.
    pub recipient: String,
    /// The aliases and groups it went through, outermost first.
    pub via: Vec<String>,
}

/// Where a copy was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere: it was planned, and its mailbox refused it.
    Nowhere,
    /// To an account of this server.
    Account(AccountId),
    /// To another server, by way of the queue.
    Outside {
        /// The address.
        address: String,
        /// The item that carries it.
        item: QueueId,
    },
}

impl Target {
    /// A destination that one recipient led to.
    pub fn of(recipient: &str, via: &[&str], destination: Destination) -> Self {
        let path = Path {
            recipient: recipient.to_owned(),
            via: via.iter().map(|step| (*step).to_owned()).collect(),
        };
        Self {
            path,
            also: Vec::new(),
            destination,
        }
    }

    /// Every path to it.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.path).chain(&self.also)
    }

    /// The recipients of the envelope that led to it, as the envelope named them.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.paths().map(|path| path.recipient.as_str())
    }

    /// About how many bytes its record takes.
    pub(crate) fn length(&self) -> usize {
        let step = |step: &String| step.len() + 2;
        let path =
            |path: &Path| path.recipient.len() + 4 + path.via.iter().map(step).sum::<usize>();
        // Destination address, id and counts.
        self.paths().map(path).sum::<usize>() + 400
    }
}

fn write_path(w: &mut Writer, path: &Path) {
    w.text(&path.recipient).list(&path.via, |w, step| {
        w.text(step);
    });
}

fn read_path(r: &mut Reader<'_>) -> Result<Path, Damaged> {
    Ok(Path {
        recipient: r.text()?,
        via: r.list(Reader::text)?,
    })
}

pub(crate) fn encode_targets(targets: &[Target]) -> Vec<u8> {
    let mut w = Writer::versioned(2);
    w.list(targets, |w, target| {
        write_path(w, &target.path);
        w.list(&target.also, write_path);
        match &target.destination {
            Destination::Nowhere => drop(w.byte(2)),
            Destination::Account(account) => drop(w.byte(0).number(account.0.into())),
            Destination::Outside { address, item } => drop(w.byte(1).text(address).array(&item.0)),
        }
    });
    w.finish()
}

pub(crate) fn decode_targets(bytes: &[u8]) -> Result<Vec<Target>, Damaged> {
    Reader::of_version(bytes, 2)?.list(|r| {
        let (path, also) = (read_path(r)?, r.list(read_path)?);
        let destination = match r.byte()? {
            0 => Destination::Account(AccountId(r.number32()?)),
            1 => Destination::Outside {
                address: r.text()?,
                item: QueueId(r.array()?),
            },
            2 => Destination::Nowhere,
            _ => return Err(Damaged),
        };
        Ok(Target {
            path,
            also,
            destination,
        })
    })
}
