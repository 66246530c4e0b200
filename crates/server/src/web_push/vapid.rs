//! Who pushes (RFC 8292): a token for each push service, signed with the key that clients hand on to
//! theirs when they subscribe (RFC 9749).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tern_base::Timestamp;
use url::Url;

use super::limits::SIGNATURE_MS;

/// The key of the server, and whom a push service may turn to.
pub(super) struct Vapid {
    pair: EcdsaKeyPair,
    public: String,
    contact: String,
}

impl Vapid {
    /// The key that this seed makes, the same each time.
    pub(super) fn new(seed: &[u8; 32], contact: String) -> Self {
        // Less than one of 4 billion seeds needs a second number.
        let made = (0_u32..).find_map(|n| key(&blake3::keyed_hash(seed, &n.to_le_bytes())));
        let (pair, public) = made.expect("some number of 256 bits is a key");
        Self {
            pair,
            public,
            contact,
        }
    }

    /// The public key, as clients are told it: a point, uncompressed, in base64url.
    pub(super) fn public(&self) -> &str {
        &self.public
    }

    /// The Authorization field of a request to a URL.
    pub(super) fn authorization(&self, url: &Url, now: Timestamp) -> Option<String> {
        let claims = json!({
            "aud": url.origin().ascii_serialization(),
            "exp": now.plus_millis(SIGNATURE_MS).as_secs(),
            "sub": self.contact,
        });
        let header = json!({"typ": "JWT", "alg": "ES256"});
        let [header, claims] = [header, claims].map(|it| URL_SAFE_NO_PAD.encode(it.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.ok()?);
        let public = &self.public;
        Some(format!("vapid t={signed}.{signature},k={public}"))
    }
}

fn key(scalar: &blake3::Hash) -> Option<(EcdsaKeyPair, String)> {
    let private = scalar.as_bytes();
    let public = PrivateKey::from_private_key(&ECDH_P256, private).ok()?;
    let public = public.compute_public_key().ok()?;
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public.as_ref());
    Some((pair.ok()?, URL_SAFE_NO_PAD.encode(public)))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_token_is_for_one_service_and_ends_within_a_day() {
        let vapid = Vapid::new(&[7; 32], "mailto:root@example.org".to_owned());
        let again = Vapid::new(&[7; 32], String::new());
        assert_eq!(vapid.public(), again.public());
        assert_ne!(vapid.public(), Vapid::new(&[8; 32], String::new()).public());
        let now = Timestamp::from_secs(1_800_000_000);
        let url = Url::parse("https://push.example.net:8443/send/1?x=y").expect("a URL");
        let field = vapid.authorization(&url, now).expect("signed");
        let (token, key) = field
            .strip_prefix("vapid t=")
            .and_then(|rest| rest.split_once(",k="))
            .expect("token and key");
        assert_eq!(key, vapid.public());
        let octets = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
        let (signed, signature) = token.rsplit_once('.').expect("a signature");
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, octets(key));
        let verified = public.verify(signed.as_bytes(), &octets(signature));
        verified.expect("the key's signature");
        let (header, claims) = signed.split_once('.').expect("claims");
        let read = |text: &str| serde_json::from_slice::<Value>(&octets(text)).expect("JSON");
        assert_eq!(read(header), json!({"typ": "JWT", "alg": "ES256"}));
        let claims = read(claims);
        assert_eq!(claims["aud"], "https://push.example.net:8443");
        assert_eq!(claims["sub"], "mailto:root@example.org");
        let ends = claims["exp"].as_u64().expect("a time");
        assert!((1_800_000_001..=1_800_086_400).contains(&ends));
    }
}
