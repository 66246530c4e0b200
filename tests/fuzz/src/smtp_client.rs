//! Anything that a server may answer to the SMTP client.
//!
//! The first octet chooses the TLS policy and how the rest is cut into reads, the second the
//! message; the rest is what the server sends.

use std::sync::Arc;

use tern_base::{EmailAddress, Timestamp};
use tern_session::TlsFacts;
use tern_smtp::client::{
    Cause, Client, ClientSettings, ClientStep, Outcome, Outgoing, Reply, TlsPolicy,
};
use tern_smtp::{BodyType, Envelope, Recipient};

const NOW: Timestamp = Timestamp(1_795_298_760_000);
const RECIPIENTS: [&str; 3] = ["bob@b.example", "carol@b.example", "dora@c.example"];
const MESSAGES: usize = 3;

struct Run {
    client: Client,
    policy: TlsPolicy,
    message: u8,
    sent: usize,
    told: usize,
    closed: bool,
}

pub(crate) fn run(data: &[u8]) {
    let Some(([choice, message], server)) = data.split_first_chunk::<2>() else {
        return;
    };
    let policy = match choice & 3 {
        0 => TlsPolicy::Required,
        1 => TlsPolicy::Never,
        _ => TlsPolicy::Opportunistic,
    };
    let settings = Arc::new(ClientSettings::default());
    let mut run = Run {
        client: Client::new(settings, policy, None, NOW),
        policy,
        message: *message,
        sent: 0,
        told: 0,
        closed: false,
    };
    run.settle();
    let size = usize::from(choice >> 3) * 9 + 1;
    for piece in server.chunks(size) {
        if run.closed {
            break;
        }
        run.client.receive(piece);
        run.settle();
    }
    if choice & 4 == 0 {
        run.client.connection_lost();
    } else {
        run.client.timed_out();
    }
    run.settle();
    assert!(run.closed, "a session that ended goes on");
    assert_eq!(run.sent, run.told, "a message without outcomes");
}

impl Run {
    fn settle(&mut self) {
        let mut steps = 0;
        loop {
            self.output();
            steps += 1;
            assert!(steps < 100_000, "the client never waits");
            match self.client.step(NOW) {
                ClientStep::Continue => {}
                ClientStep::Input => break,
                ClientStep::StartTls if self.message & 0x40 == 0 => {
                    self.client.tls_started(facts(), NOW);
                }
                ClientStep::StartTls => self.client.tls_failed(),
                ClientStep::Idle if self.sent < MESSAGES => {
                    let is_in_step = self.client.takes_more();
                    let taken = self.client.send(message(self.message), NOW);
                    assert!(taken.is_ok() || !is_in_step, "a session takes a message");
                    self.sent += usize::from(taken.is_ok());
                }
                ClientStep::Idle => self.client.quit(NOW),
                ClientStep::Sent(outcomes) => self.outcomes(&outcomes),
                ClientStep::Close(_) => {
                    self.closed = true;
                    self.output();
                    break;
                }
            }
        }
    }

    fn output(&mut self) {
        let mut out = Vec::new();
        while self.client.has_output() {
            let piece = self.client.take_output();
            assert!(!piece.is_empty(), "output that is none");
            out.extend(piece);
        }
        if self.policy == TlsPolicy::Required && self.client.tls().is_none() {
            let text = String::from_utf8_lossy(&out);
            assert!(!text.contains("MAIL FROM"), "mail in the clear: {text}");
        }
        let mut before = 0;
        for (at, byte) in out.iter().enumerate() {
            let next = out.get(at + 1).copied();
            assert!(*byte != b'\n' || before == b'\r', "bare LF");
            assert!(
                *byte != b'\r' || matches!(next, None | Some(b'\n')),
                "bare CR"
            );
            before = *byte;
        }
    }

    fn outcomes(&mut self, outcomes: &[Outcome]) {
        self.told += 1;
        let is_surplus = |outcome: &Outcome| *outcome == Outcome::Surplus;
        assert!(
            !outcomes.iter().all(is_surplus),
            "nothing was done, and all of it is to be done again"
        );
        assert_eq!(
            outcomes.len(),
            message(self.message).envelope.recipients.len()
        );
        for outcome in outcomes {
            match outcome {
                Outcome::Delivered(reply) => assert_eq!(reply.code / 100, 2),
                Outcome::Rejected(Cause::Reply(Reply { code, .. })) => {
                    assert!((500..600).contains(code), "rejected by {code}");
                }
                Outcome::Deferred(Cause::Reply(Reply { code, .. })) => {
                    assert!(!(200..300).contains(code), "deferred by {code}");
                }
                Outcome::Rejected(_)
                | Outcome::Deferred(_)
                | Outcome::NotBegun(_)
                | Outcome::Unanswered(_)
                | Outcome::Surplus => {}
            }
        }
    }
}

fn message(choice: u8) -> Outgoing {
    let address = |text: &str| EmailAddress::parse(text).unwrap();
    let recipients = RECIPIENTS.iter().take(usize::from(choice & 3).max(1));
    let content: &[u8] = match choice & 0x10 {
        0 => b"Subject: x\r\n\r\n.dot\r\n",
        _ => b"Subject: y\n\n..\nbare\rends without",
    };
    Outgoing {
        envelope: Envelope {
            mail_from: (choice & 4 == 0).then(|| address("alice@a.example")),
            recipients: recipients
                .map(|text| Recipient {
                    address: address(text),
                    notify: None,
                    orcpt: None,
                })
                .collect(),
            body: match choice & 8 {
                0 => BodyType::SevenBit,
                _ => BodyType::EightBitMime,
            },
            smtputf8: choice & 0x20 != 0,
            ..Envelope::default()
        },
        content: Arc::new(content.to_vec()),
    }
}

fn facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".to_owned(),
        cipher: "x".to_owned(),
        sni: None,
    }
}
