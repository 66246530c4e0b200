//! A session without a socket, and the messages that it reads: what the measurements of this folder share.
#![allow(dead_code, reason = "each measurement uses a part")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tern_base::{AccountId, OriginId, SeededEntropy, Timestamp};
use tern_directory::Visible;
use tern_imap::Session;
use tern_imap::settings::Settings;
use tern_imap::verbs::Verbs;
use tern_mailbox::{Flags, Hooks, INBOX, Landing, Lineage, Mailboxes, NoListener, Opened};
use tern_session::{
    Authenticated, Mechanism, Peer, Protocol as _, Sharing, Step, TlsFacts, Unlimited, Verified,
};
use tern_store::{Engine, MemEngine};

pub(crate) const NOW: Timestamp = Timestamp(1_795_298_760_000);

/// Mailboxes by themselves, over an engine.
pub(crate) fn mailboxes_over(engine: Arc<dyn Engine>) -> Opened {
    let (listener, hooks) = (Arc::new(NoListener), Hooks::none());
    let mailboxes = Mailboxes::open(engine, [1; 32], listener, hooks);
    mailboxes.unwrap().into_opened()
}

/// Time that this thread was on a processor.
pub(crate) fn now() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// A signed-in client.
pub(crate) struct Client {
    session: Session,
    mailboxes: Arc<Mailboxes>,
    /// Nobody shares anything.
    sharing: Sharing,
    entropy: SeededEntropy,
    /// How many commands were answered with NO.
    pub(crate) refused: usize,
}

impl Client {
    pub(crate) fn new(mailboxes: &Arc<Mailboxes>, account: AccountId, ip: IpAddr) -> Self {
        let tls = TlsFacts {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_128_GCM_SHA256".into(),
            sni: None,
        };
        let peer = Peer { ip, tls: Some(tls) };
        let mut client = Self {
            session: Session::new(Arc::new(Settings::default()), peer, NOW),
            mailboxes: Arc::clone(mailboxes),
            sharing: Sharing::new(Arc::new(MemEngine::new()), Visible::Own),
            entropy: SeededEntropy::new(1),
            refused: 0,
        };
        client.command(b"l LOGIN bob x\r\n");
        let accepted = Verified::Accepted(Authenticated {
            account,
            login: "bob".into(),
            mechanism: Mechanism::Login,
            token: None,
        });
        client.session.verified(accepted, NOW);
        client.run();
        client
    }

    /// Octets of the answer.
    pub(crate) fn command(&mut self, octets: &[u8]) -> usize {
        self.session.receive(octets, NOW);
        self.run()
    }

    fn run(&mut self) -> usize {
        let mailboxes = Arc::clone(&self.mailboxes);
        let verbs = Verbs {
            mailboxes: &mailboxes,
            sharing: &self.sharing,
            memory: &Unlimited,
        };
        let mut octets = 0;
        loop {
            let step = self.session.step(&verbs, NOW, &mut self.entropy);
            let output = self.session.take_output();
            octets += output.len();
            self.refused += usize::from(is_refusal(&output));
            match step {
                Step::Continue => {}
                _ => return octets,
            }
        }
    }
}

/// Whether the last line says NO behind a tag of one letter.
fn is_refusal(output: &[u8]) -> bool {
    let end = output.len().saturating_sub(200);
    let last = output[end..].rsplit(|octet| *octet == b'\n').nth(1);
    last.is_some_and(|line| line.get(1..4) == Some(b" NO"))
}

/// An account with so many messages that its clients were not served yet.
pub(crate) fn deliver(mailboxes: &Mailboxes, account: AccountId, messages: usize) {
    mailboxes.create_account(account, 0, &[], NOW).unwrap();
    for number in 0..messages {
        // Content is held once for the server: each has a text of its own.
        let content = message(account.0 as usize * messages + number);
        let prepared = mailboxes.prepare(content, NOW).unwrap();
        let landing = Landing {
            account,
            mailbox: INBOX,
            flags: Flags::empty(),
            received: NOW,
            prefix: b"Return-Path: <a@example.net>\r\nDelivered-To: bob@example.org\r\n"[..].into(),
            origin: OriginId([1; 16]),
            lineage: Lineage::Delivered,
            brought_by: None,
        };
        mailboxes.land(&prepared, &[landing], NOW).unwrap();
    }
}

/// One of its kind, of about 4 KB.
pub(crate) fn message(number: usize) -> Vec<u8> {
    let mut text = format!(
        "Received: from mx.example.net by mail.example.org; Sat, 21 Nov 2026 22:06:00 +0000\r\n\
         From: \"Sender {number}\" <sender{number}@example.net>\r\n\
         To: Bob <bob@example.org>, Carol <carol@example.org>\r\n\
         Subject: message number {number} about nothing in particular\r\n\
         Date: Sat, 21 Nov 2026 22:06:00 +0000\r\n\
         Message-ID: <{number}.1@example.net>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    while text.len() < 4_000 {
        text.push_str("The quick brown fox jumps over the lazy dog, again and again, all day.\r\n");
    }
    text.into_bytes()
}
