//! Certificates and TLS: TLS 1.2 and 1.3 by rustls, one certificate for every listener, read again
//! when its files change.
//!
//! Invariant: a listener never stops serving because a new certificate is wrong: the last good one
//! stays. Refuses to start with half a certificate.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;

/// Why there is no certificate to serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A file is not what it should be.
    #[error("{0}: {1}")]
    Content(PathBuf, String),
    /// Only one of the two files is named.
    #[error("`tls.certificate` and `tls.private_key` go together")]
    Half,
    /// rustls refuses.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// No self-signed certificate could be made.
    #[error("self-signed certificate: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

/// The certificate in use and where it came from.
pub(crate) struct Certificates {
    certificate: PathBuf,
    private_key: PathBuf,
    current: RwLock<(Arc<CertifiedKey>, Stamp)>,
}

/// When the two files were last changed.
type Stamp = [Option<SystemTime>; 2];

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificates({})", self.certificate.display())
    }
}

impl Certificates {
    /// The certificate that the settings name, or else a self-signed one in the data directory,
    /// made now if it is not there.
    ///
    /// # Errors
    /// Says which file is wrong.
    pub(crate) fn open(settings: &Tls, data_dir: &Path, hostname: &str) -> Result<Self, TlsError> {
        let none = |path: &Path| path.as_os_str().is_empty();
        let (certificate, private_key) =
            match (none(&settings.certificate), none(&settings.private_key)) {
                (false, false) => (settings.certificate.clone(), settings.private_key.clone()),
                (true, true) => self_signed(data_dir, hostname)?,
                _ => return Err(TlsError::Half),
            };
        let stamp = stamp(&certificate, &private_key);
        let key = read(&certificate, &private_key)?;
        Ok(Self {
            certificate,
            private_key,
            current: RwLock::new((Arc::new(key), stamp)),
        })
    }

    /// Whether the files that the settings name are a certificate and its key; makes none.
    ///
    /// # Errors
    /// Says which file is wrong.
    pub(crate) fn check(settings: &Tls) -> Result<(), TlsError> {
        let none = |path: &Path| path.as_os_str().is_empty();
        match (none(&settings.certificate), none(&settings.private_key)) {
            (false, false) => read(&settings.certificate, &settings.private_key).map(drop),
            (true, true) => Ok(()),
            _ => Err(TlsError::Half),
        }
    }

    /// Reads the files again where they changed, or in any case. True when there is a new one.
    ///
    /// # Errors
    /// The files are wrong; the last certificate stays in use.
    pub(crate) fn reload(&self, in_any_case: bool) -> Result<bool, TlsError> {
        let stamp = stamp(&self.certificate, &self.private_key);
        let known = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .1;
        if stamp == known && !in_any_case {
            return Ok(false);
        }
        let key = Arc::new(read(&self.certificate, &self.private_key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (key, stamp);
        Ok(true)
    }

    /// The file of the certificate chain.
    pub(crate) fn certificate_path(&self) -> &Path {
        &self.certificate
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.0))
    }
}

/// What listeners hand to rustls.
///
/// `protocols` are those of ALPN; with any, a client that names only others is turned away.
///
/// # Errors
/// The key for session tickets can't be made.
pub(crate) fn server_config(
    certificates: Arc<Certificates>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    // Tickets hold the session's state at the client: nothing is kept here for each of them.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// The certificates of a file, to be trusted; the error says why there are none.
pub(crate) fn trusted(path: &Path) -> Result<RootCertStore, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        // One that rustls can't use is no reason to trust none.
        let _ = roots.add(certificate);
    }
    match roots.is_empty() {
        true => Err(String::from("holds no certificate")),
        false => Ok(roots),
    }
}

fn stamp(certificate: &Path, private_key: &Path) -> Stamp {
    [certificate, private_key].map(|path| fs::metadata(path).and_then(|m| m.modified()).ok())
}

fn read(certificate: &Path, private_key: &Path) -> Result<CertifiedKey, TlsError> {
    let wrong = |path: &Path, what: String| TlsError::Content(path.to_owned(), what);
    let bytes = |path: &Path| fs::read(path).map_err(|e| TlsError::File(path.to_owned(), e));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes(certificate)?).collect();
    let chain = chain.map_err(|error| wrong(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(certificate, String::from("holds no certificate")));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes(private_key)?)
        .map_err(|error| wrong(private_key, error.to_string()))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| wrong(private_key, error.to_string()))
}

/// A self-signed certificate in the data directory, for trying things out: clients will not trust
/// it.
fn self_signed(data_dir: &Path, hostname: &str) -> Result<(PathBuf, PathBuf), TlsError> {
    let directory = data_dir.join("tls");
    let certificate = directory.join("self-signed.pem");
    let private_key = directory.join("self-signed.key");
    if certificate.exists() && private_key.exists() {
        return Ok((certificate, private_key));
    }
    let mut names = vec![hostname.to_owned(), String::from("localhost")];
    names.dedup();
    let mut wanted = rcgen::CertificateParams::new(names)?;
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    wanted
        .distinguished_name
        .push(rcgen::DnType::CommonName, hostname);
    let signing_key = rcgen::KeyPair::generate()?;
    let made = wanted.self_signed(&signing_key)?;
    fs::create_dir_all(&directory).map_err(|e| TlsError::File(directory.clone(), e))?;
    // The certificate is there when both are: a key alone is made again.
    write_private(&private_key, signing_key.serialize_pem().as_bytes())?;
    write_private(&certificate, made.pem().as_bytes())?;
    Ok((certificate, private_key))
}

/// Writes a file whole or not at all: half of one would keep every later start from making it.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    let aside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let write = || {
        let mut file = options.open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(|error| TlsError::File(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_new_certificate_leaves_the_last_good_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let certificates =
            Certificates::open(&Tls::default(), dir.path(), "mail.example.org").expect("made");
        let current = || Arc::clone(&certificates.current.read().expect("lock").0);
        let first = current();
        assert!(!certificates.reload(false).expect("unchanged"));
        fs::write(certificates.certificate_path(), b"nonsense").expect("written");
        assert!(certificates.reload(true).is_err());
        assert!(Arc::ptr_eq(&first, &current()));
        fs::remove_file(certificates.certificate_path()).expect("removed");
        self_signed(dir.path(), "mail.example.org").expect("made again");
        assert!(certificates.reload(true).expect("read"));
        assert_ne!(first.cert, current().cert);
    }

    #[test]
    fn half_a_certificate_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = Tls {
            certificate: PathBuf::from("/a.pem"),
            ..Tls::default()
        };
        let error = Certificates::open(&settings, dir.path(), "a").expect_err("half");
        assert!(matches!(error, TlsError::Half));
    }
}
