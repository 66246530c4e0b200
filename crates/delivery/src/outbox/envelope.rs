//! The envelope as a client gave it, kept word for word, and what it asks for.
//!
//! Parameters are those of MAIL and RCPT with every encoding undone (RFC 8621 7 `envelope`).

use tern_base::{EmailAddress, Timestamp, dsn};
use tern_queue::{DsnReturn, Notify};

use crate::{IncomingRecipient, limits};

/// A sender or a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The address.
    pub email: String,
    /// Parameters by name, in any case.
    pub parameters: Vec<(String, Option<String>)>,
}

/// From whom, to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse path.
    pub mail_from: Stop,
    /// The recipients.
    pub rcpt_to: Vec<Stop>,
}

/// What an envelope asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) mail_from: EmailAddress,
    pub(crate) ret: Option<DsnReturn>,
    pub(crate) envid: Option<String>,
    pub(crate) smtputf8: bool,
    /// Not before this time.
    pub(crate) hold_until: Option<Timestamp>,
    pub(crate) recipients: Vec<IncomingRecipient>,
    /// Recipients that are no addresses.
    pub(crate) invalid: Vec<String>,
}

impl Envelope {
    /// How many octets it takes to keep it, roughly.
    pub(crate) fn size(&self) -> usize {
        let of = |stop: &Stop| {
            let parameter = |(name, value): &(String, Option<String>)| {
                name.len() + value.as_ref().map_or(0, String::len) + 4
            };
            stop.email.len() + 8 + stop.parameters.iter().map(parameter).sum::<usize>()
        };
        of(&self.mail_from) + self.rcpt_to.iter().map(of).sum::<usize>()
    }

    /// Understands it, or says which parameter can't be.
    pub(crate) fn asked(&self, now: Timestamp) -> Result<Asked, String> {
        let email = &self.mail_from.email;
        let mail_from = EmailAddress::parse(email);
        let mut asked = Asked {
            mail_from: mail_from.map_err(|_| format!("{email:?} is no address"))?,
            ret: None,
            envid: None,
            smtputf8: false,
            hold_until: None,
            recipients: Vec::with_capacity(self.rcpt_to.len()),
            invalid: Vec::new(),
        };
        for (name, value) in &self.mail_from.parameters {
            let is_understood = asked.mail_parameter(name, value.as_deref(), now);
            is_understood.ok_or_else(|| wrong(name, value.as_deref()))?;
        }
        for stop in &self.rcpt_to {
            let Ok(address) = EmailAddress::parse(&stop.email) else {
                asked.invalid.push(stop.email.clone());
                continue;
            };
            let mut recipient = IncomingRecipient::new(address);
            for (name, value) in &stop.parameters {
                let is_understood = rcpt_parameter(&mut recipient, name, value.as_deref());
                is_understood.ok_or_else(|| wrong(name, value.as_deref()))?;
            }
            asked.recipients.push(recipient);
        }
        let is_utf8 = asked.mail_from.needs_smtputf8();
        let mut all = asked.recipients.iter();
        asked.smtputf8 |= is_utf8 || all.any(|one| one.address.needs_smtputf8());
        Ok(asked)
    }
}

impl Asked {
    fn mail_parameter(&mut self, name: &str, value: Option<&str>, now: Timestamp) -> Option<()> {
        match (&name.to_ascii_uppercase()[..], value) {
            ("RET", Some(value)) => {
                self.ret = Some(match dsn::is_ret_full(value)? {
                    true => DsnReturn::Full,
                    false => DsnReturn::Headers,
                });
            }
            ("ENVID", Some(value)) if dsn::is_envid(value) => self.envid = Some(value.to_owned()),
            ("SMTPUTF8", None) => self.smtputf8 = true,
            // RFC 1870, RFC 6152: what the message is shows when it leaves.
            ("SIZE", Some(value)) => drop(value.parse::<u64>().ok()?),
            ("BODY", Some(value)) => {
                let known = ["7BIT", "8BITMIME"];
                let mut known = known.iter();
                known.find(|it| it.eq_ignore_ascii_case(value))?;
            }
            // RFC 4865 4: one of them.
            ("HOLDFOR", Some(value)) if self.hold_until.is_none() => {
                let is_number = value.len() <= 9 && value.bytes().all(|it| it.is_ascii_digit());
                let seconds: u64 = value.parse().ok().filter(|_| is_number)?;
                self.hold(now.plus_millis(seconds * 1_000), now)?;
            }
            ("HOLDUNTIL", Some(value)) if self.hold_until.is_none() => {
                let at = date_time(value)?;
                self.hold(at, now)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn hold(&mut self, until: Timestamp, now: Timestamp) -> Option<()> {
        self.hold_until = Some(until);
        (until <= now.plus_millis(limits::MAX_HOLD_MS)).then_some(())
    }
}

fn rcpt_parameter(
    recipient: &mut IncomingRecipient,
    name: &str,
    value: Option<&str>,
) -> Option<()> {
    match (&name.to_ascii_uppercase()[..], value) {
        ("NOTIFY", Some(value)) if recipient.notify.is_none() => {
            let dsn::Notify {
                success,
                failure,
                delay,
            } = dsn::notify(value)?;
            recipient.notify = Some(Notify {
                success,
                failure,
                delay,
            });
        }
        ("ORCPT", Some(value)) if recipient.orcpt.is_none() => {
            let (kind, address) = dsn::orcpt(value)?;
            recipient.orcpt = Some(format!("{kind};{address}"));
        }
        _ => return None,
    }
    Some(())
}

/// A date and time of RFC 3339, in whole seconds.
fn date_time(text: &str) -> Option<Timestamp> {
    let (date, zone) = (text.get(..19)?, text.get(19..)?);
    let number = |range: std::ops::Range<usize>| -> Option<u32> {
        let digits = date.get(range)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number)
    };
    let marks = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    let has_marks = marks
        .iter()
        .all(|(at, mark)| date.get(*at..at + 1) == Some(mark));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, min, sec) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let local = Timestamp::from_civil(year.into(), month, day, hour, min, sec);
    let local = local.filter(|_| has_marks)?;
    if zone == "Z" {
        return Some(local);
    }
    let (sign, offset) = zone.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let two = |text: &str| -> Option<u64> {
        let is_two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_two)
    };
    let millis = (two(hours)? * 60 + two(minutes)?) * 60_000;
    match sign {
        "-" => Some(local.plus_millis(millis)),
        "+" => local.0.checked_sub(millis).map(Timestamp),
        _ => None,
    }
}

fn wrong(name: &str, value: Option<&str>) -> String {
    let value = value.unwrap_or_default();
    format!("the parameter {name:?} with the value {value:?} is not understood")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn asked(mail: &[(&str, Option<&str>)], rcpt: &[(&str, Option<&str>)]) -> Option<Asked> {
        let owned = |all: &[(&str, Option<&str>)]| {
            let one = |(name, value): &(&str, Option<&str>)| {
                ((*name).to_owned(), value.map(str::to_owned))
            };
            all.iter().map(one).collect()
        };
        let stop = |email: &str, parameters| Stop {
            email: email.to_owned(),
            parameters,
        };
        let envelope = Envelope {
            mail_from: stop("a@b.example", owned(mail)),
            rcpt_to: vec![stop("c@d.example", owned(rcpt))],
        };
        envelope.asked(NOW).ok()
    }

    #[test]
    fn parameters_mean_what_they_mean_by_smtp() {
        let mail = [
            ("ret", Some("hdrs")),
            ("ENVID", Some("a b")),
            ("HOLDFOR", Some("60")),
            ("BODY", Some("8bitmime")),
        ];
        let rcpt = [
            ("NOTIFY", Some("SUCCESS,delay")),
            ("ORCPT", Some("rfc822;e@f.example")),
        ];
        let asked = asked(&mail, &rcpt).expect("understood");
        assert_eq!(asked.ret, Some(DsnReturn::Headers));
        assert_eq!(asked.envid.as_deref(), Some("a b"));
        assert_eq!(asked.hold_until, Some(NOW.plus_millis(60_000)));
        let notify = Notify {
            success: true,
            failure: false,
            delay: true,
        };
        let recipient = &asked.recipients[0];
        assert_eq!(recipient.notify, Some(notify));
        assert_eq!(recipient.orcpt.as_deref(), Some("rfc822;e@f.example"));
    }

    #[test]
    fn a_time_may_be_of_any_zone() {
        let at = |text| date_time(text).map(Timestamp::as_secs);
        assert_eq!(at("2027-01-15T08:00:00Z"), Some(1_800_000_000));
        assert_eq!(at("2027-01-15T10:30:00+02:30"), Some(1_800_000_000));
        assert_eq!(at("2027-01-15T07:00:00-01:00"), Some(1_800_000_000));
        for text in [
            "2027-01-15 08:00:00Z",
            "2027-01-15T08:00:00",
            "2027-01-15T08:00:00é",
            "2027-13-15T08:00:00Z",
            "2027-01-15T08:00:00+1:00",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_not_passed_over() {
        for (name, value) in [
            ("RET", Some("HALF")),
            ("RET", None),
            ("ENVID", Some("a\r\nb")),
            // As it leaves it is of 102 octets.
            ("ENVID", Some("==================================")),
            ("SMTPUTF8", Some("yes")),
            ("BODY", Some("BINARYMIME")),
            ("HOLDFOR", Some("-1")),
            ("HOLDFOR", Some("2592001")),
            ("HOLDUNTIL", Some("tomorrow")),
            ("HOLDUNTIL", Some("2127-01-15T08:00:00Z")),
            ("AUTH", Some("x@y.example")),
        ] {
            assert_eq!(asked(&[(name, value)], &[]), None, "{name} {value:?}");
        }
        let both = [
            ("HOLDFOR", Some("1")),
            ("HOLDUNTIL", Some("2027-01-15T08:00:01Z")),
        ];
        assert_eq!(asked(&both, &[]), None);
        for (name, value) in [
            ("NOTIFY", Some("NEVER,SUCCESS")),
            ("NOTIFY", None),
            ("ORCPT", Some("e@f.example")),
            ("ORCPT", Some(";e@f.example")),
            ("ORCPT", Some("rfc822;")),
            ("ORCPT", Some("rfc822 NOTIFY=NEVER X=1;e@f.example")),
            ("ORCPT", Some("ütf-8;e@f.example")),
            ("HOLDFOR", Some("1")),
        ] {
            assert_eq!(asked(&[], &[(name, value)]), None, "{name} {value:?}");
        }
    }
}
