//! Connections to other servers, and the TLS on them.

use std::io;
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
use crate::config::{HostPort, Relay, RelayTls};
use crate::net::Reach;

/// Makes connections.
pub(super) struct Connector {
    tls: TlsConnector,
    connect_timeout: Duration,
}

impl Connector {
    pub(super) fn new(settings: &Relay) -> Result<Self, RelayError> {
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
            connect_timeout: Duration::from_secs(settings.connect_timeout_secs),
        })
    }

    /// A connection to one of the host's addresses that may be reached. `None` where it has
    /// addresses, and none of them may.
    pub(super) async fn connect(
        &self,
        to: &HostPort,
        reach: Reach,
    ) -> io::Result<Option<TcpStream>> {
        let connect = timeout(self.connect_timeout, connect(to, reach)).await;
        let stream = connect.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if let Some(stream) = &stream {
            stream.set_nodelay(true)?;
        }
        Ok(stream)
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

/// Tries the host's addresses in turn. What is asked of the resolver is what is connected to, so
/// that no second answer can lead elsewhere.
async fn connect(to: &HostPort, reach: Reach) -> io::Result<Option<TcpStream>> {
    let addresses: Vec<_> = lookup_host((to.host.as_str(), to.port)).await?.collect();
    if addresses.is_empty() {
        let why = "the host has no address";
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    let mut failure = None;
    for address in addresses {
        if !reach.allows(address.ip()) {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(Some(stream)),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(None), Err)
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
