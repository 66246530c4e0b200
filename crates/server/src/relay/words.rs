//! The queue's words and the SMTP client's for the same: envelopes and outcomes.

use tern_delivery::BodyType;
use tern_queue::{DsnReturn, Item, Outcome, Reply};
use tern_smtp::client::{self, Cause, End};
use tern_smtp::{Envelope, Notify, OriginalRecipient, Recipient, Ret};

/// The envelope of items that travel together.
pub(super) fn envelope(items: &[Item], body: BodyType) -> Envelope {
    let Some(first) = items.first() else {
        return Envelope::default();
    };
    Envelope {
        mail_from: first.mail_from.clone(),
        recipients: items.iter().map(recipient).collect(),
        body: match body {
            BodyType::SevenBit => tern_smtp::BodyType::SevenBit,
            BodyType::EightBitMime => tern_smtp::BodyType::EightBitMime,
            BodyType::BinaryMime => tern_smtp::BodyType::BinaryMime,
        },
        smtputf8: first.smtputf8,
        declared_size: None,
        ret: first.dsn.ret.map(|ret| match ret {
            DsnReturn::Full => Ret::Full,
            DsnReturn::Headers => Ret::Headers,
        }),
        envid: first.dsn.envid.clone(),
    }
}

fn recipient(item: &Item) -> Recipient {
    let notify = item.dsn.notify.map(|notify| match notify {
        tern_queue::Notify::NEVER => Notify::Never,
        tern_queue::Notify {
            success,
            failure,
            delay,
        } => Notify::On {
            success,
            failure,
            delay,
        },
    });
    let orcpt = item.dsn.orcpt.as_deref();
    let orcpt = orcpt.and_then(|text| text.split_once(';'));
    Recipient {
        address: item.recipient.clone(),
        notify,
        orcpt: orcpt.map(|(kind, address)| OriginalRecipient {
            kind: kind.to_owned(),
            address: address.to_owned(),
        }),
    }
}

/// What a transaction came to for one recipient.
pub(super) enum Came {
    /// To this.
    To(Outcome),
    /// To nothing: they were too many for it.
    ToNothing,
    /// To nothing, and this ended the session, or kept the message from being begun: as far as anything
    /// is known of the recipient, it is this.
    ToAnEnd(Outcome),
}

/// What the queue is to hear. `together`: for how many it was sent at once.
pub(super) fn came(outcome: client::Outcome, host: Option<String>, together: u32) -> Came {
    let over_all = |reply| match together {
        0 | 1 => Outcome::Temporary(reply),
        _ => Outcome::Together { reply, together },
    };
    Came::To(match outcome {
        client::Outcome::Delivered(reply) => Outcome::Delivered(said(&reply, host)),
        client::Outcome::Rejected(cause) => Outcome::Permanent(of_cause(cause, host)),
        client::Outcome::Deferred(cause @ Cause::Ended(_)) => {
            return Came::ToAnEnd(over_all(of_cause(cause, host)));
        }
        client::Outcome::Deferred(cause @ Cause::Together(_)) => over_all(of_cause(cause, host)),
        client::Outcome::Deferred(cause) => Outcome::Temporary(of_cause(cause, host)),
        client::Outcome::NotBegun(reply) => {
            let reply_of = said(&reply, host);
            return Came::ToAnEnd(match reply.is_permanent() {
                true => Outcome::Permanent(reply_of),
                false => Outcome::Temporary(reply_of),
            });
        }
        client::Outcome::Unanswered(end) => {
            let text = format!("the whole message was sent, and no answer came: {end:?}");
            let reply = unsaid(text, host);
            Outcome::Unanswered { reply, together }
        }
        client::Outcome::Surplus => return Came::ToNothing,
    })
}

fn of_cause(cause: Cause, host: Option<String>) -> Reply {
    let (enhanced, text) = match cause {
        Cause::Reply(reply) | Cause::Together(reply) => return said(&reply, host),
        Cause::Ended(End::Refused(reply)) => return said(&reply, host),
        Cause::Ended(end) => return unsaid(format!("the session ended: {end:?}"), host),
        Cause::TooLarge => ((5, 3, 4), "the message is larger than the server takes"),
        Cause::NeedsSmtpUtf8 => ((5, 6, 7), "the server does not offer SMTPUTF8"),
        Cause::NeedsBinaryMime => ((5, 6, 3), "the server does not take binary content"),
        Cause::NeedsConversion => ((5, 6, 3), "the server does not take 8-bit content"),
    };
    Reply {
        enhanced: Some(enhanced),
        ..unsaid(text.to_owned(), host)
    }
}

/// A session that ended before the message.
pub(super) fn of_end(end: End, host: Option<String>) -> Outcome {
    match end {
        // RFC 5321 3.1, RFC 7504 3: a greeting of 554 or 521 is an answer: nothing is taken here.
        End::Refused(reply) if reply.is_permanent() => Outcome::Permanent(said(&reply, host)),
        End::Refused(reply) => Outcome::Temporary(said(&reply, host)),
        end => Outcome::Temporary(unsaid(format!("the session ended: {end:?}"), host)),
    }
}

/// What is to be said of a domain whose hosts were asked one after the other: that it is for good
/// only where each of them says so, and that it was for all together where one of them failed so.
pub(super) fn weigh(before: Option<Outcome>, next: Outcome) -> Outcome {
    match (before, next) {
        (Some(before @ Outcome::Temporary(_)), Outcome::Permanent(_)) => before,
        (
            Some(before @ Outcome::Together { .. }),
            Outcome::Permanent(_) | Outcome::Temporary(_),
        ) => before,
        (_, next) => next,
    }
}

/// What the other server said.
fn said(reply: &client::Reply, host: Option<String>) -> Reply {
    Reply {
        code: reply.code,
        enhanced: reply.enhanced().and_then(parse_enhanced),
        text: reply.text.replace('\n', " "),
        host,
    }
}

fn parse_enhanced(text: &str) -> Option<(u8, u16, u16)> {
    let mut parts = text.splitn(3, '.');
    let class = parts.next()?.parse().ok()?;
    Some((
        class,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    ))
}

/// What went wrong before it said anything.
pub(super) fn unsaid(text: impl Into<String>, host: Option<String>) -> Reply {
    Reply {
        code: 0,
        enhanced: None,
        text: text.into(),
        host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_refuses_for_good_only_where_each_host_does() {
        let greeting = |code| {
            let text = String::from("no service here");
            of_end(End::Refused(client::Reply { code, text }), None)
        };
        let code = |outcome: &Outcome| outcome.reply().map(|reply| reply.code);
        let all = weigh(Some(greeting(554)), greeting(521));
        assert!(matches!(all, Outcome::Permanent(_)), "{all:?}");
        for hosts in [[554, 421], [421, 554]] {
            let [first, second] = hosts.map(greeting);
            let all = weigh(Some(first), second);
            assert!(matches!(all, Outcome::Temporary(_)), "{all:?}");
            assert_eq!(code(&all), Some(421));
        }
    }
}
