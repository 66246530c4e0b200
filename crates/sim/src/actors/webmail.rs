//! A webmail page over JMAP: it asks for properties of a message, its text, or downloads all of it piece by
//! piece, and is half-way through one when things happen.

use std::sync::Arc;

use serde_json::{Value, json};
use tern_base::{AccountId, MessageId};
use tern_delivery::Outbox;
use tern_directory::{CredentialId, Identities, Principals, Subscriptions, Visible};
use tern_jmap::{AnyUploads, Caller, Capability, Download, NoDesk, NoPush, Request, Verbs};
use tern_mailbox::{INBOX, MailboxError};
use tern_session::{Mechanism, Unlimited, ids};
use tern_store::Engine;

use super::Actor;
use crate::letter::CARRY;
use crate::server::{Server, address};
use crate::sim::Sim;

/// Where the client is, as the server sees it.
const ADDRESS: &str = "192.0.2.10";

/// The page.
pub(crate) struct Webmail {
    account: AccountId,
    loading: Option<Loading>,
}

/// A message on its way to the page.
struct Loading {
    message: MessageId,
    download: Download,
    at: u64,
    /// The last octets, for marks across a cut.
    carry: Vec<u8>,
}

/// Calls `work` with what a request may reach.
fn with_verbs<T>(server: &Server, work: impl FnOnce(&Verbs<'_>) -> T) -> T {
    let engine = || -> Arc<dyn Engine> { Arc::new(server.engine.clone()) };
    work(&Verbs {
        mailboxes: &server.mailboxes,
        identities: &Identities::new(engine()),
        principals: &Principals::new(engine(), Visible::Everyone),
        sharing: &server.sharing,
        recalls: &server.recalls,
        desk: &NoDesk,
        subscriptions: &Subscriptions::new(engine()),
        push: &NoPush,
        uploads: &AnyUploads,
        outbox: &Outbox::new(Arc::clone(&server.delivery), |_| {}),
    })
}

impl Webmail {
    pub(crate) const fn new(account: AccountId) -> Self {
        Self {
            account,
            loading: None,
        }
    }

    fn caller(&self, sim: &Sim) -> Caller {
        Caller {
            account: self.account,
            login: address(sim.name_of(self.account)).to_string(),
            mechanism: Mechanism::Basic,
            credential: CredentialId::PASSWORD,
            token: None,
            user_agent: "Webmail/1.0".to_owned(),
            address: ADDRESS.to_owned(),
        }
    }

    /// Asks for properties of a message, and looks at every octet of the answer.
    fn get(&self, message: MessageId, properties: &Value, sim: &Sim) -> Value {
        let args = json!({
            "accountId": ids::account_id(self.account),
            "ids": [ids::email_id(self.account, message)],
            "properties": properties, "fetchAllBodyValues": true,
        });
        let using = [Capability::Core.uri(), Capability::Mail.uri()];
        let asked = json!({"using": using, "methodCalls": [["Email/get", args, "0"]]});
        let Ok(request) = Request::parse(asked.to_string().as_bytes()) else {
            sim.oracle
                .borrow_mut()
                .broke("a request that is none".to_owned());
            return Value::Null;
        };
        let before = sim.oracle.borrow().seals_set();
        let server = sim.server();
        let (caller, now, mut entropy) = (self.caller(sim), sim.now(), sim.entropy());
        let response = with_verbs(&server, |verbs| {
            tern_jmap::execute(request, verbs, &Unlimited, &caller, now, &mut entropy).into_json()
        });
        // Octets of a request that began before the seal were read before it.
        if !server.engine.is_dead() && sim.oracle.borrow().seals_set() == before {
            let octets = response.to_string();
            let mut oracle = sim.oracle.borrow_mut();
            oracle.handed_out((self.account, message), ADDRESS, octets.as_bytes());
        }
        response["methodResponses"][0][1]["list"][0].clone()
    }

    fn begin(&self, sim: &Sim) -> Result<Option<Loading>, MailboxError> {
        let server = sim.server();
        let view = server.mailboxes.view(self.account, INBOX)?;
        let messages: Vec<MessageId> = view.iter().map(|entry| entry.message).collect();
        let Some(message) = sim.pick(&messages) else {
            return Ok(None);
        };
        let which = sim.below(5);
        if which > 0 {
            sim.oracle.borrow_mut().attempted(self.account, message);
        }
        let properties = match which {
            0 => json!(["subject", "from", "receivedAt", "size"]),
            1 => json!(["subject", "preview"]),
            2 => json!(["textBody", "bodyValues"]),
            _ => json!(["blobId"]),
        };
        sim.tell(|| format!("webmail {}: {properties} of {message}", self.account));
        let got = self.get(message, &properties, sim);
        let Some(blob) = got["blobId"].as_str().filter(|_| which > 2) else {
            return Ok(None);
        };
        let (caller, now) = (self.caller(sim), sim.now());
        let account = ids::account_id(self.account);
        let begin = |verbs: &Verbs<'_>| Download::begin(verbs, &caller, (&account, blob), now);
        let download = with_verbs(&server, begin)?;
        Ok(download.map(|download| Loading {
            message,
            download,
            at: 0,
            carry: Vec::new(),
        }))
    }

    /// Loads the next piece; `None` when that was the last.
    fn piece(&self, mut loading: Loading, sim: &Sim) -> Result<Option<Loading>, MailboxError> {
        let end = loading.download.size();
        let left = end.saturating_sub(loading.at) as usize;
        let to = (loading.at + 1 + sim.below(left.max(1)) as u64).min(end);
        let server = sim.server();
        let read = |verbs: &Verbs<'_>| loading.download.read(verbs, loading.at..to);
        let octets = with_verbs(&server, read)?;
        if server.engine.is_dead() {
            return Ok(None);
        }
        let seen = [&loading.carry[..], &octets].concat();
        sim.oracle
            .borrow_mut()
            .handed_out((self.account, loading.message), ADDRESS, &seen);
        loading.carry = seen[seen.len().saturating_sub(CARRY)..].to_vec();
        loading.at = to;
        Ok((to < end).then_some(loading))
    }
}

impl Actor for Webmail {
    fn name(&self) -> &'static str {
        "a JMAP client"
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }

    fn step(&mut self, sim: &Sim) {
        let going = match self.loading.take() {
            Some(_) if sim.chance(sim.trouble.get().cut) => Ok(None),
            Some(loading) => self.piece(loading, sim),
            None => self.begin(sim),
        };
        if let Err(error) = &going {
            sim.tell(|| format!("webmail {}: {error}", self.account));
            sim.server_fault("webmail", error.fault(), error);
        }
        self.loading = going.unwrap_or_default();
    }

    fn killed(&mut self, _sim: &Sim) {
        self.loading = None;
    }
}
