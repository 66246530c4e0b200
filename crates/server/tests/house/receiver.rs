//! A push service: takes what is posted to it under TLS, and what a device makes of it.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::signature::{self, ECDSA_P256_SHA256_FIXED};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use super::TIME_LIMIT;

/// What was posted.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// A push service on loopback, with a certificate for `localhost`.
pub(crate) struct PushService {
    pub(crate) port: u16,
    /// Its certificate.
    trusted: tempfile::NamedTempFile,
    posted: Receiver<Posted>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl PushService {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec![String::from("localhost")]);
        let made = made.expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))
            .expect("a configuration");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, posted) = channel();
        let answers = Arc::<Mutex<VecDeque<String>>>::default();
        let queued = Arc::clone(&answers);
        std::thread::spawn(move || {
            let tls = Arc::new(tls);
            for stream in listener.incoming().map_while(Result::ok) {
                serve(stream, &tls, &queued, &sender);
            }
        });
        let mut trusted = tempfile::NamedTempFile::new().expect("a file");
        let pem = made.cert.pem();
        trusted.write_all(pem.as_bytes()).expect("written");
        Self {
            port,
            trusted,
            posted,
            answers,
        }
    }

    /// What the server needs to push to it.
    pub(crate) fn options(&self) -> String {
        let trusted = self.trusted.path();
        format!(
            "[push]\nallowed_networks = [\"127.0.0.0/8\", \"::1\"]\ntrusted_certificates = {trusted:?}\n"
        )
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.port)
    }

    /// What the next request is answered instead of 201: status line and fields.
    pub(crate) fn answer(&self, head: &str) {
        let mut answers = self.answers.lock().expect("whole");
        answers.push_back(head.to_owned());
    }

    /// The next request.
    pub(crate) fn next(&self) -> Posted {
        let posted = self.posted.recv_timeout(TIME_LIMIT);
        posted.expect("something is posted")
    }

    /// Whether nothing has come that was not looked at.
    pub(crate) fn is_quiet(&self) -> bool {
        self.posted.try_recv().is_err()
    }
}

fn serve(
    stream: TcpStream,
    tls: &Arc<ServerConfig>,
    answers: &Mutex<VecDeque<String>>,
    sender: &Sender<Posted>,
) {
    let _ = stream.set_read_timeout(Some(TIME_LIMIT));
    let session = ServerConnection::new(Arc::clone(tls)).expect("a session");
    let mut reader = BufReader::new(StreamOwned::new(session, stream));
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    // Whoever does not trust the certificate sends none.
    let Some(first) = line().filter(|first| !first.is_empty()) else {
        return;
    };
    let mut posted = Posted {
        line: first,
        fields: Vec::new(),
        body: Vec::new(),
    };
    while let Some((name, value)) = line().as_deref().and_then(|line| line.split_once(':')) {
        let name = name.to_ascii_lowercase();
        posted.fields.push((name, value.trim().to_owned()));
    }
    let length = posted.field("content-length").and_then(|n| n.parse().ok());
    posted.body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut posted.body).expect("a body");
    let head = answers.lock().expect("whole").pop_front();
    let head = head.unwrap_or_else(|| "201 Created".to_owned());
    let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
    let connection = reader.get_mut();
    connection.write_all(answer.as_bytes()).expect("answered");
    connection.conn.send_close_notify();
    let _ = connection.flush();
    let _ = sender.send(posted);
}

/// A device that what it is told is encrypted for.
pub(crate) struct Device {
    private: PrivateKey,
    public: Vec<u8>,
    auth: [u8; 16],
}

struct Octets(usize);

impl KeyType for Octets {
    fn len(&self) -> usize {
        self.0
    }
}

fn hkdf(salt: &[u8], secret: &[u8], info: &[&[u8]], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let secret = Salt::new(HKDF_SHA256, salt).extract(secret);
    let okm = secret.expand(info, Octets(len)).expect("expanded");
    okm.fill(&mut out).expect("filled");
    out
}

impl Device {
    pub(crate) fn new() -> Self {
        let private = PrivateKey::generate(&ECDH_P256).expect("a key");
        let public = private.compute_public_key().expect("its other half");
        Self {
            public: public.as_ref().to_vec(),
            private,
            auth: [9; 16],
        }
    }

    /// The `keys` of its subscription.
    pub(crate) fn keys(&self) -> Value {
        let [public, auth] = [&self.public[..], &self.auth].map(|it| URL_SAFE_NO_PAD.encode(it));
        json!({"p256dh": public, "auth": auth})
    }

    /// What it reads of a message (RFC 8291 3, RFC 8188 2).
    pub(crate) fn read(&self, posted: &Posted) -> Value {
        assert_eq!(posted.field("content-encoding"), Some("aes128gcm"));
        let body = &posted.body;
        let (salt, key, record) = (&body[..16], &body[21..86], &body[86..]);
        assert_eq!(body[20], 65);
        let other = UnparsedPublicKey::new(&ECDH_P256, key);
        let info = [b"WebPush: info\0", &self.public[..], key];
        let shared = agree(&self.private, other, (), |secret| {
            Ok(hkdf(&self.auth, secret, &info, 32))
        });
        let shared = shared.expect("agreed");
        let content_key = hkdf(salt, &shared, &[b"Content-Encoding: aes128gcm\0"], 16);
        let nonce = hkdf(salt, &shared, &[b"Content-Encoding: nonce\0"], 12);
        let content_key = UnboundKey::new(&AES_128_GCM, &content_key).expect("a key");
        let nonce = Nonce::try_assume_unique_for_key(&nonce).expect("12 octets");
        let mut record = record.to_vec();
        let opened = LessSafeKey::new(content_key).open_in_place(nonce, Aad::empty(), &mut record);
        let text = opened.expect("for this device");
        let text = text.strip_suffix(&[2]).expect("the last record");
        serde_json::from_slice(text).expect("JSON")
    }
}

/// The claims of who pushed, verified with the key that is shown (RFC 8292): the key, and the claims.
pub(crate) fn pusher(posted: &Posted) -> (String, Value) {
    let field = posted.field("authorization").expect("signed");
    let (token, key) = field
        .strip_prefix("vapid t=")
        .and_then(|rest| rest.split_once(",k="))
        .expect("token and key");
    let octets = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let (signed, made) = token.rsplit_once('.').expect("a signature");
    let public = signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, octets(key));
    let verified = public.verify(signed.as_bytes(), &octets(made));
    verified.expect("the key's signature");
    let (_, claims) = signed.split_once('.').expect("claims");
    let claims = serde_json::from_slice(&octets(claims)).expect("JSON");
    (key.to_owned(), claims)
}
