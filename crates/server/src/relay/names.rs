//! What the DNS says of domains and hosts that take mail.
//!
//! Invariant: a name is asked for whole: no search list of this host completes it. What is not there is
//! told apart from what can't be told now; only the first is for good.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RData;

/// The DNS, by the resolver of this host.
pub(super) struct Names(TokioResolver);

/// Why there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// There is no such name.
    Name,
    /// There is the name, and it has none of these records.
    Records,
    /// That can't be told now.
    Unknown(String),
}

impl Names {
    pub(super) fn of_host() -> Result<Self, NetError> {
        Ok(Self(TokioResolver::builder_tokio()?.build()?))
    }

    /// The MX records of a domain: preference and name.
    pub(super) async fn mail_servers(&self, domain: &str) -> Result<Vec<(u16, String)>, Missing> {
        let found = self.0.mx_lookup(whole(domain)).await?;
        let records = found.answers().iter().filter_map(|it| match &it.data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii())),
            _ => None,
        });
        some(records.collect())
    }

    /// The addresses of a host, of either family.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Missing> {
        let (v4, v6) = tokio::join!(
            self.0.ipv4_lookup(whole(host)),
            self.0.ipv6_lookup(whole(host))
        );
        let addresses = [v4, v6].map(|found| {
            let found = found?;
            let of = |data: &RData| match data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            };
            some(
                found
                    .answers()
                    .iter()
                    .filter_map(|it| of(&it.data))
                    .collect(),
            )
        });
        match addresses {
            [Ok(v4), Ok(v6)] => Ok([v4, v6].concat()),
            [Ok(found), Err(_)] | [Err(_), Ok(found)] => Ok(found),
            // Where one can't be told, there may be some.
            [Err(unknown @ Missing::Unknown(_)), _] | [_, Err(unknown)] => Err(unknown),
        }
    }
}

/// The dot at the end: the name is whole.
fn whole(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn some<T>(found: Vec<T>) -> Result<Vec<T>, Missing> {
    match found.is_empty() {
        true => Err(Missing::Records),
        false => Ok(found),
    }
}

impl From<NetError> for Missing {
    fn from(error: NetError) -> Self {
        match &error {
            error if error.is_nx_domain() => Self::Name,
            // RFC 2308 2.2.1: name servers without SOA are a referral, which is no answer.
            NetError::Dns(DnsError::NoRecordsFound(none))
                if none.soa.is_some() || none.ns.is_none() =>
            {
                Self::Records
            }
            error => Self::Unknown(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::{Arc, Mutex};

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, AAAA, MX};
    use hickory_resolver::proto::rr::{Name, Record, RecordType};

    use super::*;

    /// A name server that knows little, and what it was asked for.
    fn name_server() -> (Names, Arc<Mutex<Vec<String>>>) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut octets = [0; 2_048];
            while let Ok((length, from)) = socket.recv_from(&mut octets) {
                let query = Message::from_vec(&octets[..length]).expect("a query");
                let question = query.queries[0].clone();
                let (name, kind) = (question.name().clone(), question.query_type());
                heard.lock().expect("whole").push(name.to_string());
                let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
                answer.queries.push(question);
                let (code, data) = says(&name.to_string().to_ascii_lowercase(), kind);
                answer.metadata.response_code = code;
                let records = data.into_iter();
                answer
                    .answers
                    .extend(records.map(|data| Record::from_rdata(name.clone(), 60, data)));
                let answer = answer.to_vec().expect("written");
                socket.send_to(&answer, from).expect("sent");
            }
        });
        let mut connection = ConnectionConfig::udp();
        connection.port = port;
        let mut server = NameServerConfig::udp([127, 0, 0, 1].into());
        server.connections = vec![connection];
        let mut config = ResolverConfig::default();
        config.domain = Some(Name::from_ascii("own.test.").expect("a name"));
        config.search = vec![Name::from_ascii("search.test.").expect("a name")];
        config.name_servers = vec![server];
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().ndots = 5;
        builder.options_mut().attempts = 1;
        (Names(builder.build().expect("built")), asked)
    }

    fn says(name: &str, kind: RecordType) -> (ResponseCode, Vec<RData>) {
        let v4 = RData::A(A([192, 0, 2, 1].into()));
        let v6 = RData::AAAA(AAAA("2001:db8::1".parse().expect("an address")));
        let mx = || MX::new(10, Name::from_ascii("mx.both.test.").expect("a name"));
        let found = match (name, kind) {
            ("both.test.", RecordType::MX) => vec![RData::MX(mx())],
            ("mx.both.test." | "old.test.", RecordType::A) => vec![v4],
            ("mx.both.test.", RecordType::AAAA) => vec![v6],
            // Half of it can't be told.
            ("half.test.", RecordType::A) => vec![v4],
            ("half.test." | "doubt.test.", RecordType::AAAA) => {
                return (ResponseCode::ServFail, vec![]);
            }
            ("broken.test.", _) => return (ResponseCode::ServFail, vec![]),
            ("bare.test." | "both.test." | "old.test." | "doubt.test.", _) => vec![],
            // Whatever a search list makes of a name is there, and wrong.
            (name, RecordType::MX) if name.ends_with(".search.test.") => vec![RData::MX(mx())],
            (name, RecordType::A) if name.ends_with(".search.test.") => vec![v4],
            _ => return (ResponseCode::NXDomain, vec![]),
        };
        (ResponseCode::NoError, found)
    }

    #[tokio::test]
    async fn what_is_not_there_is_told_from_what_cannot_be_told() {
        let (names, _) = name_server();
        let addresses = async |host: &str| {
            let found = names.addresses(host).await;
            let shown = |all: Vec<IpAddr>| {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                all.join(" ")
            };
            match found {
                Ok(all) => shown(all),
                Err(Missing::Unknown(_)) => "unknown".to_owned(),
                Err(missing) => format!("no {missing:?}"),
            }
        };
        assert_eq!(addresses("mx.both.test").await, "192.0.2.1 2001:db8::1");
        assert_eq!(addresses("old.test").await, "192.0.2.1");
        assert_eq!(addresses("half.test").await, "192.0.2.1");
        assert_eq!(addresses("doubt.test").await, "unknown");
        assert_eq!(addresses("broken.test").await, "unknown");
        assert_eq!(addresses("bare.test").await, "no Records");
        assert_eq!(addresses("nobody.test").await, "no Name");
        let both = names.mail_servers("both.test").await.expect("found");
        assert_eq!(both, [(10, "mx.both.test.".to_owned())]);
        let bare = names.mail_servers("bare.test").await;
        assert_eq!(bare, Err(Missing::Records));
        let nobody = names.mail_servers("nobody.test").await;
        assert_eq!(nobody, Err(Missing::Name));
        let broken = names.mail_servers("broken.test").await;
        assert!(matches!(broken, Err(Missing::Unknown(_))), "{broken:?}");
    }

    #[tokio::test]
    async fn no_search_list_completes_a_name() {
        let (names, asked) = name_server();
        let found = names.mail_servers("nobody.test").await;
        assert_eq!(found, Err(Missing::Name));
        let found = names.addresses("bare.test").await;
        assert_eq!(found, Err(Missing::Records));
        let asked = asked.lock().expect("whole").clone();
        let of = |name: &String| matches!(&**name, "nobody.test." | "bare.test.");
        assert!(!asked.is_empty() && asked.iter().all(of), "{asked:?}");
        // The list is there, and would have been asked.
        let found = names.0.mx_lookup("nobody.test").await.expect("found");
        assert_eq!(found.answers().len(), 1);
    }
}
