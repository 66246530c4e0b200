//! Plays the cases of `cases.txt`: an organisation, what is done to it, and what is there then.
//!
//! `send` hands a message in, with the `|` lines below it as content; `=>` is its answer. `inbox`,
//! `queue` and `targets` show what is there; `*` in an expected line stands for any text.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{House, address};
use tern_delivery::{Concluded, DeliveryError, Incoming, Outgoing};
use tern_mailbox::{Cover, Origins, Outside, Seal, SealTag};
use tern_queue::{DsnReturn, LeaseId, Notify, Outcome, QueueId, Reply, State, Status};

struct Play {
    house: House,
    last_digest: Option<tern_base::ContentDigest>,
}

#[test]
fn cases() {
    let text = include_str!("cases.txt");
    let mut played = 0;
    for case in text.split("\n== ").skip(1) {
        let (name, script) = case.split_once('\n').unwrap();
        let house = House::new();
        let mut play = Play {
            house,
            last_digest: None,
        };
        let lines: Vec<&str> = script.lines().filter(|l| !l.trim().is_empty()).collect();
        let mut at = 0;
        while at < lines.len() {
            let command = lines[at];
            at += 1;
            let taken: Vec<&str> = lines[at..]
                .iter()
                .take_while(|l| l.starts_with('|') || l.starts_with("=>"))
                .copied()
                .collect();
            at += taken.len();
            let below: Vec<&str> = taken
                .iter()
                .filter_map(|l| l.strip_prefix('|'))
                .map(|l| l.strip_prefix(' ').unwrap_or(l))
                .collect();
            let answer = taken.iter().find_map(|l| l.strip_prefix("=> "));
            play.line(name, command, &below, answer);
        }
        play.house.check();
        played += 1;
    }
    assert!(played > 25, "{played}");
}

impl Play {
    fn line(&mut self, name: &str, command: &str, below: &[&str], answer: Option<&str>) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let house = &mut self.house;
        let got: String = match words[..] {
            ["send", ..] => self.send(&words[1..], below),
            ["inbox", who] => {
                let inbox = house.inbox(house.account(who));
                return same(name, command, &inbox.join("~\r\n"), below);
            }
            ["count", who] => house.inbox(house.account(who)).len().to_string(),
            ["queue"] => return same(name, command, &self.queue(), below),
            ["history"] => return same(name, command, &self.history(), below),
            ["targets"] => return same(name, command, &self.targets(), below),
            ["check", to] => format!(
                "{:?}",
                house.delivery.check_recipient(None, &address(to)).unwrap()
            ),
            ["check", to, "as", who] => {
                let who = Some(house.account(who));
                format!(
                    "{:?}",
                    house.delivery.check_recipient(who, &address(to)).unwrap()
                )
            }
            ["postmaster", host] => house
                .delivery
                .postmaster(host)
                .unwrap()
                .map(|address| address.to_string())
                .unwrap_or_default(),
            ["may", who, from] => {
                let who = house.account(who);
                house
                    .delivery
                    .may_send_as(who, &address(from))
                    .unwrap()
                    .to_string()
            }
            ["redirect", who, keep, ref to @ ..] => {
                let to: Vec<_> = to.iter().map(|to| address(to)).collect();
                let who = house.account(who);
                return house.redirect(who, &to, keep == "keep");
            }
            ["quota", who, bytes] => {
                let bytes = bytes.parse().unwrap();
                return house
                    .mailboxes
                    .set_quota(house.account(who), bytes)
                    .unwrap();
            }
            ["hours", hours] => {
                let hours: u64 = hours.parse().unwrap();
                house.now = house.now.plus_millis(hours * 3_600_000);
                return;
            }
            ["seal"] => return self.seal(),
            ["take", n] => return same(name, command, &self.take(n), below),
            ["conclude", n, ..] => self.conclude(n, &words[2..]),
            _ => panic!("{name}: {command}"),
        };
        assert_eq!(Some(got.as_str()), answer, "{name}: {command}");
    }

    fn send(&mut self, words: &[&str], below: &[&str]) -> String {
        let option = |key: &str| {
            words
                .iter()
                .find_map(|w| w.strip_prefix(key)?.strip_prefix('='))
        };
        let to: Vec<&str> = words[1].split(',').collect();
        let mut incoming: Incoming = self.house.incoming(words[0], &to, option("as"));
        let notify = option("notify").map(|text| Notify {
            success: text.contains("success"),
            failure: text.contains("failure"),
            delay: text.contains("delay"),
        });
        for recipient in &mut incoming.recipients {
            recipient.notify = notify;
            recipient.orcpt = option("orcpt").map(str::to_owned);
        }
        incoming.envid = option("envid").map(str::to_owned);
        incoming.ret = option("ret").map(|ret| match ret {
            "full" => DsnReturn::Full,
            _ => DsnReturn::Headers,
        });
        let mut content = below.join("\r\n").replace("~", "");
        content.push_str("\r\n");
        if let Some(size) = option("pad") {
            content.push_str(&"0123456789abcdef\r\n".repeat(size.parse::<usize>().unwrap() / 18));
        }
        incoming.content = content.into_bytes();
        let key = *self.house.mailboxes.content_key();
        self.last_digest = Some(tern_mime::content_digest(&key, &incoming.content));
        match self.house.accept(incoming) {
            Ok(done) => {
                assert_eq!(done.cut_off, None);
                let late = if done.late.is_empty() { "" } else { " late" };
                format!("local {} outside {}{late}", done.local, done.outside)
            }
            Err(DeliveryError::Refused(why)) => format!("refused {why:?}"),
            Err(error) => format!("error {error}"),
        }
    }

    /// Everybody's copies and the outside's of the letter that was sent last.
    fn seal(&mut self) {
        let seal = Seal {
            tag: SealTag([9; 16]),
            cover: Cover::Except(Default::default()),
            outside: Outside::All,
            origins: Origins::all(),
            attached: true,
            part: None,
            active: true,
            until: self.house.now.plus_millis(1_000_000_000),
        };
        let digest = self.last_digest.unwrap();
        let sealed = self
            .house
            .sealing
            .seal(digest, seal, |_| Ok::<_, DeliveryError>(()));
        sealed.unwrap();
    }

    fn items(&self) -> Vec<tern_queue::Item> {
        tern_queue::list(&self.house.engine, None, 1_000)
            .unwrap()
            .items
    }

    fn queue(&self) -> String {
        let line = |item: &tern_queue::Item| {
            let from = item.mail_from.as_ref().map(ToString::to_string);
            let state = match &item.state {
                State::Ready { next_attempt } => {
                    format!("in {}s", next_attempt.millis_since(self.house.now) / 1000)
                }
                other => format!("{other:?}"),
            };
            let prefix = String::from_utf8_lossy(&item.prefix).trim_end().to_owned();
            let orcpt = item.dsn.orcpt.as_deref().unwrap_or("-");
            let account = item.account.map_or(0, |a| a.0);
            format!(
                "{} from <{}> account {account} orcpt {orcpt} {state} [{prefix}]\r\n",
                item.recipient,
                from.unwrap_or_default()
            )
        };
        self.items().iter().map(line).collect()
    }

    /// The transaction of the last message.
    fn origin(&self) -> tern_base::OriginId {
        let origin = tern_base::OriginId([self.house.sent; 16]);
        let found = tern_recall::submission::submission(&self.house.engine, origin);
        match found.unwrap() {
            Some(_) => origin,
            None => origin.foreign(),
        }
    }

    /// How the items of the first message ended.
    fn history(&self) -> String {
        let origin = self.origin();
        let line = |status| match status {
            Status::Finished(row) => format!("{} {:?}\r\n", row.recipient, row.ending),
            Status::Live(item) => format!("{} live\r\n", item.recipient),
        };
        let found = tern_queue::by_origin(&self.house.engine, origin).unwrap();
        found.into_iter().map(line).collect()
    }

    fn targets(&self) -> String {
        let origin = self.origin();
        let submission = tern_recall::submission::submission(&self.house.engine, origin);
        let Some(found) = submission.unwrap() else {
            return String::new();
        };
        let mut out = format!(
            "account {} id {} recipients {} subject {}\r\n",
            found.account,
            found.message_id,
            found.recipients,
            String::from_utf8_lossy(&found.subject)
        );
        assert_eq!(
            Some(found.digest),
            self.last_digest,
            "the digest that the sender's copy has"
        );
        for target in tern_recall::submission::targets(&self.house.engine, origin).unwrap() {
            let to = match target.destination {
                tern_recall::Destination::Nowhere => "nowhere".to_owned(),
                tern_recall::Destination::Account(id) => format!("account {id}"),
                tern_recall::Destination::Outside { address, item } => {
                    assert!(
                        tern_queue::status(&self.house.engine, item)
                            .unwrap()
                            .is_some()
                    );
                    format!("outside {address}")
                }
            };
            let via = target.path.via.join(" ");
            out.push_str(&format!(
                "{} via [{via}] to {to}\r\n",
                target.path.recipient
            ));
        }
        out
    }

    fn nth(&self, n: &str) -> QueueId {
        self.items()[n.parse::<usize>().unwrap() - 1].id
    }

    fn take(&mut self, n: &str) -> String {
        let (id, now) = (self.nth(n), self.house.now);
        let taken = self
            .house
            .delivery
            .take(&[id], LeaseId(1), now, 60_000)
            .unwrap();
        match taken {
            None => "nothing\r\n".to_owned(),
            Some(Outgoing {
                items,
                content,
                body,
                ..
            }) => {
                assert_eq!(items[0].size, content.len() as u64);
                format!("{body:?}\r\n{}", String::from_utf8_lossy(&content))
            }
        }
    }

    fn conclude(&mut self, n: &str, words: &[&str]) -> String {
        let (id, now) = (self.nth(n), self.house.now);
        let lease = LeaseId(1);
        let _taken = self.house.delivery.take(&[id], lease, now, 60_000).unwrap();
        let reply = |code| Reply {
            code,
            enhanced: Some(((code / 100) as u8, 1, 1)),
            text: "so\r\nX-Slipped: in".to_owned(),
            host: Some("mx.far.example".to_owned()),
        };
        let (outcome, passed) = match words[0] {
            "delivered" => (Outcome::Delivered(reply(250)), words.contains(&"passed")),
            "temporary" => (Outcome::Temporary(reply(451)), false),
            _ => (Outcome::Permanent(reply(550)), false),
        };
        let entropy = &mut self.house.entropy;
        let done = self
            .house
            .delivery
            .conclude(&[(id, outcome)], lease, passed, now, entropy);
        match done.unwrap()[0] {
            Concluded::Retry(_) => "Retry".to_owned(),
            other => format!("{other:?}"),
        }
    }
}

fn same(name: &str, command: &str, got: &str, expected: &[&str]) {
    let got: Vec<&str> = got.lines().collect();
    let fits = got.len() == expected.len()
        && got
            .iter()
            .zip(expected)
            .all(|(got, expected)| matches(got, expected));
    assert!(fits, "{name}: {command}\n{}\n", got.join("\n"));
}

/// `*` stands for any text.
fn matches(text: &str, pattern: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return text == pattern;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| matches(rest, tail)))
}
