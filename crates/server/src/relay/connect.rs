//! Connections to other servers, and the TLS on them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::RelayError;
use super::dialogue::Unsent;
use super::names::{Missing, Names};
use super::traffic::{Bound, Closed, Session, Traffic};
use crate::config::{HostPort, Relay, RelayTls};
use crate::net::{self, Reach};

/// Addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;

/// How a host is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Where it may be.
    pub(super) reach: Reach,
    /// The DNS named it, and is asked for its addresses.
    pub(super) is_of_dns: bool,
    /// How its sessions are bounded.
    pub(super) bound: Bound,
}

/// Makes connections.
pub(super) struct Connector {
    tls: TlsConnector,
    names: Option<Arc<Names>>,
    connect_timeout: Duration,
}

impl Connector {
    pub(super) fn new(settings: &Relay, names: Option<Arc<Names>>) -> Result<Self, RelayError> {
        let config = match settings.tls {
            RelayTls::Required => {
                let path = &settings.trusted_certificates;
                let failed = |why| RelayError::Trusted(path.clone(), why);
                let roots = crate::tls::trusted(path).map_err(failed)?;
                let provider = Arc::new(aws_lc_rs::default_provider());
                ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(roots)
                    .with_no_client_auth()
            }
            // RFC 7435: encryption without authentication is better than none.
            RelayTls::Opportunistic | RelayTls::Never => any_certificate()?,
        };
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            names,
            connect_timeout: Duration::from_secs(settings.connect_timeout_secs),
        })
    }

    /// A connection to one of the host's addresses that may be reached. What is asked of the
    /// resolver is what is connected to, so that no second answer can lead elsewhere.
    pub(super) async fn connect(
        &self,
        to: &HostPort,
        way: Way,
        traffic: &Arc<Traffic>,
    ) -> Result<(TcpStream, Session), Unsent> {
        let addresses = timeout(self.connect_timeout, self.addresses(to, way)).await;
        let mut addresses = addresses.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        addresses.retain(|address| way.reach.allows(address.ip()));
        if addresses.is_empty() {
            return Err(Unsent::Inside);
        }
        let mut sessions = match traffic.choose(&addresses, way.bound, MAX_ADDRESSES) {
            Ok(sessions) => sessions,
            Err(closed) => return Err(Unsent::Waits(addresses, closed)),
        };
        let chosen: Vec<SocketAddr> = sessions.iter().map(Session::address).collect();
        match net::connect(&chosen, self.connect_timeout).await {
            Ok(stream) => {
                // The others are free again.
                let peer = stream.peer_addr()?;
                let at = chosen.iter().position(|address| *address == peer);
                // There is one for each that was chosen; `0.0.0.0` answers by another name.
                let mut session = sessions.swap_remove(at.unwrap_or(0));
                match way.bound != Bound::Network || session.settle() {
                    true => Ok((stream, session)),
                    false => Err(Unsent::Waits(addresses, Closed::Busy)),
                }
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::TimedOut {
                    traffic.note_away(&chosen);
                }
                Err(error.into())
            }
        }
    }

    /// The host's addresses; there are some.
    async fn addresses(&self, to: &HostPort, way: Way) -> Result<Vec<SocketAddr>, Unsent> {
        if let Ok(ip) = to.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, to.port)]);
        }
        if let (true, Some(names)) = (way.is_of_dns, &self.names) {
            return match names.addresses(&to.host).await {
                Ok(found) => Ok(found.into_iter().map(|ip| (ip, to.port).into()).collect()),
                Err(Missing::Name | Missing::Records) => Err(Unsent::NoAddress),
                Err(Missing::Unknown(why)) => Err(io::Error::other(why).into()),
            };
        }
        let found = lookup_host((to.host.as_str(), to.port)).await?;
        let found: Vec<SocketAddr> = found.collect();
        match found.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address").into()),
            false => Ok(found),
        }
    }

    /// TLS on a connection, for this host.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let handshake = timeout(self.connect_timeout, self.tls.connect(name, stream));
        handshake
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// TLS that takes any certificate.
pub(crate) fn any_certificate() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(algorithms)))
        .with_no_client_auth())
}

/// Takes any certificate whose holder has its key.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
