//! A client that fetches messages in pieces, and is half-way through one when things happen.

use tern_base::{AccountId, MailboxId, MessageId, Timestamp};
use tern_mailbox::{ExposureLevel, MailboxError, MessageRow, Served, Share, Viewer};

use super::Actor;
use crate::letter::CARRY;
use crate::sim::Sim;

/// Where the client is, as the server sees it.
const ADDRESS: &str = "192.0.2.8";

/// The client.
pub(crate) struct Reader {
    account: AccountId,
    fetching: Option<Fetching>,
}

/// A message on its way to the client.
struct Fetching {
    message: MessageId,
    row: MessageRow,
    at: u64,
    end: u64,
    /// The last octets, for marks across a cut.
    carry: Vec<u8>,
}

impl Reader {
    pub(crate) const fn new(account: AccountId) -> Self {
        Self {
            account,
            fetching: None,
        }
    }

    fn begin(&self, sim: &Sim) -> Result<Option<Fetching>, MailboxError> {
        let server = sim.server();
        let folders = server.mailboxes.folders(self.account)?;
        let folder = sim.pick(&folders).map_or(MailboxId(1), |folder| folder.id);
        let folder = if sim.chance(600) {
            MailboxId(1)
        } else {
            folder
        };
        let view = server.mailboxes.view(self.account, folder)?;
        let messages: Vec<MessageId> = view.iter().map(|entry| entry.message).collect();
        let Some(message) = sim.pick(&messages) else {
            return Ok(None);
        };
        let row = server.mailboxes.message(self.account, message)?;
        let header_only = sim.chance(400);
        let (level, end) = match header_only {
            true => {
                let structure = server.mailboxes.structure(&row)?;
                let parsed = structure.view().map_or(0, |message| message.header_size);
                let header = u64::from(parsed) + row.prefix.len() as u64;
                (ExposureLevel::Headers, header)
            }
            false => (ExposureLevel::Downloaded, u64::from(row.size)),
        };
        if !header_only {
            sim.oracle.borrow_mut().attempted(self.account, message);
        }
        let served = Served::of(
            (self.account, message),
            &row,
            level,
            if header_only { Share::NONE } else { Share::ALL },
        );
        let viewer = Viewer {
            protocol: "imap",
            address: ADDRESS.to_owned(),
            ..Viewer::default()
        };
        let now: Timestamp = sim.now();
        server.mailboxes.record_served(&[served], &viewer, now)?;
        sim.tell(|| {
            format!(
                "account {} fetches message {message}: {level:?}",
                self.account
            )
        });
        Ok(Some(Fetching {
            message,
            row,
            at: 0,
            end,
            carry: Vec::new(),
        }))
    }

    /// Fetches the next piece; `None` when that was the last.
    fn piece(&self, mut fetching: Fetching, sim: &Sim) -> Result<Option<Fetching>, MailboxError> {
        let left = fetching.end.saturating_sub(fetching.at) as usize;
        let length = 1 + sim.below(left.max(1));
        let to = (fetching.at + length as u64).min(fetching.end);
        let server = sim.server();
        let read = server
            .mailboxes
            .read(self.account, &fetching.row, fetching.at..to);
        let body = match read {
            Ok(body) if !server.engine.is_dead() => body.0,
            Ok(_) => return Ok(None),
            Err(error) => {
                sim.tell(|| format!("account {} is refused: {error}", self.account));
                return Err(error);
            }
        };
        let seen = [&fetching.carry[..], &body].concat();
        sim.oracle
            .borrow_mut()
            .handed_out((self.account, fetching.message), ADDRESS, &seen);
        fetching.carry = seen[seen.len().saturating_sub(CARRY)..].to_vec();
        fetching.at = to;
        Ok((to < fetching.end).then_some(fetching))
    }
}

impl Actor for Reader {
    fn name(&self) -> &'static str {
        "a fetch"
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }

    fn step(&mut self, sim: &Sim) {
        let going = match self.fetching.take() {
            Some(_) if sim.chance(sim.trouble.get().cut) => Ok(None),
            Some(fetching) => self.piece(fetching, sim),
            None => self.begin(sim),
        };
        self.fetching = going.unwrap_or_default();
    }

    fn killed(&mut self, _sim: &Sim) {
        self.fetching = None;
    }
}
