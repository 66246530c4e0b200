//! Who is at the other end: facts that the shell knows of the connection.

use std::net::IpAddr;

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Mail from other servers to this server's own recipients (port 25). No AUTH.
    Reception,
    /// Mail from this server's own users (ports 465 and 587; RFC 6409). AUTH needed.
    Submission,
}

/// What the shell knows of the other end when a connection is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address of the other end.
    pub ip: IpAddr,
    /// The name of that address, if the shell has looked it up and verified it forward.
    pub name: Option<String>,
    /// What the listener is for.
    pub role: Role,
    /// The facts of TLS where it was on before the first octet (RFC 8314 3.3).
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
