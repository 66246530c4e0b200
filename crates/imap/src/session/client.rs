//! The client at the other end: what it says of itself, for the records of what it is served, and how
//! far it was told what changed.
//!
//! Invariant: nothing here is proof of anything; a client may say what it likes (RFC 2971 2). That
//! it was told is noted when everything is in the output; that it has heard, only when octets come
//! from it after the output was taken.

use tern_base::{AccountId, MailboxId, Modseq, Timestamp};
use tern_mailbox::{Bringer, Client, Connection, Sighting, Told, Viewer};
use tern_session::Protocol as _;

use super::{Context, Session};
use crate::limits::{MAX_CLIENT_NAME, NOTED_AGAIN_MS};

/// What the records call the protocol.
const PROTOCOL: &str = "imap";

/// How far the client was told, and what of it is noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tells {
    account: AccountId,
    mailbox: MailboxId,
    /// Everything up to here was written.
    sent: Modseq,
    /// It has spoken since everything up to here was taken.
    heard: Modseq,
    /// What was noted last, and when.
    noted: (Modseq, Modseq, Timestamp),
}

impl Session {
    /// Octets came from the client: what was taken before them has arrived, as far as can be
    /// known.
    pub(super) fn spoke(&mut self) {
        if self.out.is_empty()
            && let Some(tells) = &mut self.tells
        {
            tells.heard = tells.sent;
        }
    }

    /// Notes how far the client is by now, where that is news or long ago.
    pub(super) fn note_told(&mut self, cx: &Context<'_>) {
        let told = self.selected().and_then(|selected| {
            let modseq = selected.told_up_to()?;
            Some((selected.access.account, selected.access.mailbox, modseq))
        });
        if let Some((account, mailbox, sent)) = told {
            match &mut self.tells {
                Some(tells) if (tells.account, tells.mailbox) == (account, mailbox) => {
                    tells.sent = tells.sent.max(sent);
                }
                tells => {
                    *tells = Some(Tells {
                        account,
                        mailbox,
                        sent,
                        heard: Modseq(0),
                        noted: (Modseq(0), Modseq(0), Timestamp(0)),
                    });
                }
            }
        }
        let Some(tells) = self.tells else { return };
        let (sent, heard, at) = tells.noted;
        let is_news = (sent, heard) != (tells.sent, tells.heard);
        if is_news || cx.now.millis_since(at) >= NOTED_AGAIN_MS {
            self.note(tells, cx);
        }
    }

    fn note(&mut self, tells: Tells, cx: &Context<'_>) {
        let told = Told {
            mailbox: tells.mailbox,
            sent: tells.sent,
            heard: tells.heard,
            at: cx.now,
        };
        let sighting = Sighting {
            account: tells.account,
            client: self.client_in(tells.account),
            address: self.peer.ip.to_string(),
            told: Some(told),
        };
        cx.mailboxes.saw_device(sighting, cx.now);
        let noted = (tells.sent, tells.heard, cx.now);
        self.tells = Some(Tells { noted, ..tells });
    }

    /// The client said what it is (RFC 2971 3.3).
    pub(super) fn introduced(&mut self, fields: &[(String, Option<String>)]) {
        let field = |wanted: &str| {
            let is_it = |(name, _): &&(String, Option<String>)| name == wanted;
            let value = fields
                .iter()
                .find(is_it)
                .and_then(|(_, value)| value.as_deref());
            // One line: it stands in reports beside what the server says, and a literal may hold any octet.
            let mut text = tern_mime::shown_text(value.unwrap_or_default());
            text.truncate(text.floor_char_boundary(MAX_CLIENT_NAME));
            text
        };
        let os = [field("os"), field("os-version")].join(" ");
        self.client = Some(Box::new(Client {
            name: field("name"),
            version: field("version"),
            vendor: field("vendor"),
            os: os.trim().to_owned(),
            ..Client::default()
        }));
    }

    /// The client as far as it is known.
    pub(super) fn client(&self) -> Client {
        let said = self.client.as_deref().cloned().unwrap_or_default();
        let token = self.authenticated().and_then(|who| who.token.clone());
        Client {
            protocol: PROTOCOL.to_owned(),
            token: token.unwrap_or_default(),
            ..said
        }
    }

    /// The same in the records of an account, where it may be the client of somebody else.
    fn client_in(&self, account: AccountId) -> Client {
        let own = self.authenticated().map(|who| who.account);
        Client {
            reader: own.filter(|own| *own != account),
            ..self.client()
        }
    }

    /// To whom content of the selected mailbox is served.
    pub(super) fn viewer(&self) -> Viewer {
        let own = self.authenticated().map(|who| who.account);
        let account = self
            .selected()
            .map(|selected| selected.access.account)
            .or(own);
        self.viewer_in(account.unwrap_or_default())
    }

    /// To whom content of an account is served.
    pub(super) fn viewer_in(&self, account: AccountId) -> Viewer {
        let client = self.client_in(account);
        Viewer {
            protocol: PROTOCOL,
            client: client.title(),
            address: self.peer.ip.to_string(),
            device: client.id(),
        }
    }

    /// How the client proved who it is, and from where: what it asks for may be judged by that.
    pub(super) fn connection(&self) -> Option<Connection> {
        let who = self.authenticated()?;
        Some(Connection {
            protocol: PROTOCOL.to_owned(),
            mechanism: who.mechanism.as_str().to_owned(),
            app_password: who.token.is_some(),
            address: self.peer.ip.to_string(),
            tls: self.tls.is_some(),
            device: self.client().id(),
        })
    }

    /// Who brings a message into an account. What is asked for by that only its owner asks.
    pub(super) fn bringer(&self, account: AccountId) -> Bringer {
        let own = self.authenticated().map(|who| who.account);
        Bringer {
            viewer: self.viewer_in(account),
            connection: self.connection().filter(|_| own == Some(account)),
        }
    }
}
