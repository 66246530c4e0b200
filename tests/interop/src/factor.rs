//! Second factors, with codes by Debian's oathtool.

use std::process::Command;

use crate::House;
use crate::house::address;
use crate::process::run;
use crate::wait::DEADLINE;

/// Somebody's authenticator application.
#[derive(Debug)]
pub struct Authenticator {
    secret: String,
}

impl House {
    /// Gives somebody a second factor; the code of now is used up by that.
    #[track_caller]
    pub fn enrol(&self, name: &str) -> Authenticator {
        let address = address(name);
        let enrolled = self.tern.json(&["account", "totp", "enrol", &address]);
        let secret = enrolled["secret"].as_str();
        let secret = secret.unwrap_or_else(|| panic!("{enrolled}")).to_owned();
        let authenticator = Authenticator { secret };
        let first = authenticator.code("now");
        self.tern
            .json(&["account", "totp", "confirm", &address, &first]);
        authenticator
    }
}

impl Authenticator {
    /// What it shows, so many seconds from now. The next one is good already.
    pub fn code(&self, when: &str) -> String {
        let mut command = Command::new("oathtool");
        command.args(["--totp", "--base32", "--now", when, &self.secret]);
        run(&mut command, b"", DEADLINE).ok().trim().to_owned()
    }

    /// A code that was not used yet.
    pub fn fresh(&self) -> String {
        self.code("now + 30 seconds")
    }
}
