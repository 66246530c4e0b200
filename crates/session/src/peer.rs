//! Who is at the other end: facts that the shell knows of the connection.

use std::net::IpAddr;

/// What the shell knows of the other end when a connection is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address of the other end.
    pub ip: IpAddr,
    /// The facts of TLS where it was on before the first octet (RFC 8314 3).
    pub tls: Option<TlsFacts>,
}

/// What was negotiated in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// Protocol version as registered, e.g. `TLSv1.3`.
    pub version: String,
    /// Cipher suite as registered, e.g. `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The server name that the client asked for.
    pub sni: Option<String>,
}
