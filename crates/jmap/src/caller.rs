//! Who is at the other end of a request.

use tern_base::AccountId;
use tern_directory::CredentialId;
use tern_mailbox::{Bringer, Client, Connection, Viewer};
use tern_session::Mechanism;

/// What the records call the protocol.
const PROTOCOL: &str = "jmap";

/// Who calls, as the shell has verified.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// Its address.
    pub login: String,
    /// How it authenticated.
    pub mechanism: Mechanism,
    /// By which credential.
    pub credential: CredentialId,
    /// What the account's owner calls the app password that was shown, if one was.
    pub token: Option<String>,
    /// What the client says of itself (User-Agent).
    pub user_agent: String,
    /// Where it calls from.
    pub address: String,
}

impl Caller {
    /// The client, for the records of what it is told and served.
    pub fn client(&self) -> Client {
        self.client_in(self.account)
    }

    /// The same in the records of an account, where it may be the client of somebody else.
    fn client_in(&self, account: AccountId) -> Client {
        let (name, version) = self
            .user_agent
            .split_once('/')
            .unwrap_or((&self.user_agent, ""));
        let version = version.split(' ').next().unwrap_or_default();
        Client {
            protocol: PROTOCOL.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            token: self.token.clone().unwrap_or_default(),
            reader: (account != self.account).then_some(self.account),
            ..Client::default()
        }
    }

    /// The connection, for what is asked now and judged later. There is none in the clear.
    pub fn connection(&self) -> Connection {
        Connection {
            protocol: PROTOCOL.to_owned(),
            mechanism: self.mechanism.as_str().to_owned(),
            app_password: self.token.is_some(),
            address: self.address.clone(),
            tls: true,
            device: self.client().id(),
        }
    }

    /// Who brings a message into an account. What is asked for by that only its owner asks.
    pub fn bringer_in(&self, account: AccountId) -> Bringer {
        Bringer {
            viewer: self.viewer_in(account),
            connection: (account == self.account).then(|| self.connection()),
        }
    }

    /// To whom content of an account is served.
    pub fn viewer_in(&self, account: AccountId) -> Viewer {
        let client = self.client_in(account);
        Viewer {
            protocol: PROTOCOL,
            client: client.title(),
            address: self.address.clone(),
            device: client.id(),
        }
    }
}
