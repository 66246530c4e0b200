//! What each option may be by itself and can't be meant so: values of 0 with which nobody is served, a port twice.

use super::Config;

impl Config {
    /// What can't be meant, in words.
    pub(super) fn senseless(&self) -> Vec<String> {
        let (limits, relay) = (&self.limits, &self.relay);
        let zeros = [
            (
                "limits",
                "max_connections",
                u64::from(limits.max_connections),
            ),
            (
                "limits",
                "max_connections_per_address",
                limits.max_connections_per_address.into(),
            ),
            (
                "limits",
                "max_connections_per_network",
                limits.max_connections_per_network.into(),
            ),
            (
                "limits",
                "handshake_timeout_secs",
                limits.handshake_timeout_secs,
            ),
            ("limits", "write_timeout_secs", limits.write_timeout_secs),
            (
                "limits",
                "max_login_failures",
                limits.max_login_failures.into(),
            ),
            ("relay", "concurrency", relay.concurrency.into()),
            (
                "relay",
                "concurrency_per_destination",
                relay.concurrency_per_destination.into(),
            ),
            ("relay", "attempt_timeout_secs", relay.attempt_timeout_secs),
            ("relay", "connect_timeout_secs", relay.connect_timeout_secs),
            ("relay", "reply_timeout_secs", relay.reply_timeout_secs),
        ];
        let zeros = zeros.into_iter().filter(|(_, _, value)| *value == 0);
        let zeros = zeros.map(|(section, option, _)| {
            format!("`[{section}] {option}` is 0: nothing would ever come of it")
        });
        zeros.chain(self.twice()).collect()
    }

    fn twice(&self) -> Vec<String> {
        let listeners = &self.listeners;
        let kinds = [
            ("smtp", &listeners.smtp),
            ("submission", &listeners.submission),
            ("submissions", &listeners.submissions),
            ("imap", &listeners.imap),
            ("imaps", &listeners.imaps),
            ("https", &listeners.https),
        ];
        let mut known = std::collections::BTreeMap::new();
        let mut twice = Vec::new();
        let all = kinds
            .iter()
            .flat_map(|(kind, list)| list.iter().map(move |at| (at, kind)));
        // Port 0 is any that is free.
        for (address, kind) in all.filter(|(address, _)| address.port() != 0) {
            if let Some(other) = known.insert(address, kind) {
                twice.push(format!(
                    "`[listeners] {kind}` and `{other}` both have {address}"
                ));
            }
        }
        twice
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn what_can_not_be_meant_is_refused() {
        let cases = [
            (
                "[limits]\nmax_connections = 0",
                "`[limits] max_connections` is 0",
            ),
            (
                "[limits]\nhandshake_timeout_secs = 0",
                "`[limits] handshake_timeout_secs` is 0",
            ),
            ("[relay]\nconcurrency = 0", "`[relay] concurrency` is 0"),
            (
                "[recall]\nvault_days = 0",
                "`recall.vault_days` has a wrong value",
            ),
            (
                "[recall]\ntombstone_days = 0",
                "`recall.tombstone_days` has a wrong value",
            ),
            (
                "[recall]\nvault_days_of = { \"example.org\" = 0 }",
                "has a wrong value",
            ),
            (
                "[listeners]\nimap = [\"[::]:993\"]",
                "`[listeners] imaps` and `imap` both have [::]:993",
            ),
        ];
        for (text, expected) in cases {
            let error = Config::parse(text, "test").expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let free = "[listeners]\nimap = [\"127.0.0.1:0\"]\nimaps = [\"127.0.0.1:0\"]";
        assert!(Config::parse(free, "test").is_ok());
    }
}
