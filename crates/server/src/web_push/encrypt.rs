//! Message encryption for web push (RFC 8291): one record of `aes128gcm` (RFC 8188), for the device alone.
//!
//! Invariant: each message has a key of its own, made of fresh entropy; nothing of it is kept.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use tern_base::Entropy;
use tern_directory::PushKeys;
use zeroize::Zeroizing;

use super::limits::MAX_BODY;

/// What precedes the record: salt, record size, length of the key id, and the key (RFC 8188 2.1).
const HEADER: usize = 16 + 4 + 1 + 65;
const TAG: usize = 16;
/// Octets of the longest text: behind it stands one octet of padding.
pub(super) const MAX_TEXT: usize = MAX_BODY - HEADER - TAG - 1;

/// As many octets as are asked for.
struct Octets(usize);

impl KeyType for Octets {
    fn len(&self) -> usize {
        self.0
    }
}

/// The message as it is sent. `None` where the device's key is no point of the curve, or the text is
/// longer than a push service takes.
pub(super) fn encrypt(keys: &PushKeys, text: &[u8], entropy: &mut dyn Entropy) -> Option<Vec<u8>> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    let own = fresh_key(entropy)?;
    seal(keys, text, &own, &salt)
}

fn fresh_key(entropy: &mut dyn Entropy) -> Option<PrivateKey> {
    // Less than one of 4 billion numbers of 256 bits is beyond the order of the curve.
    (0..4).find_map(|_| {
        let mut scalar = Zeroizing::new([0; 32]);
        entropy.fill(&mut *scalar);
        PrivateKey::from_private_key(&ECDH_P256, &*scalar).ok()
    })
}

fn seal(keys: &PushKeys, text: &[u8], own: &PrivateKey, salt: &[u8; 16]) -> Option<Vec<u8>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let public = own.compute_public_key().ok()?;
    let device = UnparsedPublicKey::new(&ECDH_P256, &keys.p256dh[..]);
    // RFC 8291 3.3, 3.4
    let info = [b"WebPush: info\0", &keys.p256dh[..], public.as_ref()];
    let shared = agree(own, device, (), |secret| {
        derive(&keys.auth, secret, &info, 32).ok_or(())
    });
    let shared = shared.ok()?;
    let content_key = derive(salt, &shared, &[b"Content-Encoding: aes128gcm\0"], 16)?;
    let nonce = derive(salt, &shared, &[b"Content-Encoding: nonce\0"], 12)?;
    let mut record = text.to_vec();
    // RFC 8188 2: the last record, without padding.
    record.push(2);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content_key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut record)
        .ok()?;
    let mut message = Vec::with_capacity(HEADER + record.len());
    message.extend_from_slice(salt);
    message.extend_from_slice(&(MAX_BODY as u32).to_be_bytes());
    message.push(65);
    message.extend_from_slice(public.as_ref());
    message.append(&mut record);
    Some(message)
}

/// HKDF with SHA-256 (RFC 5869).
fn derive(salt: &[u8], secret: &[u8], info: &[&[u8]], len: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(vec![0; len]);
    let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(secret);
    let okm = pseudorandom.expand(info, Octets(len)).ok()?;
    okm.fill(&mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use tern_base::SeededEntropy;

    use super::*;

    fn octets(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    }

    fn device() -> PushKeys {
        let point = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        PushKeys {
            p256dh: octets(point).try_into().expect("a point"),
            auth: octets("BTBZMqHH6r4Tts7J_aSIgg")
                .try_into()
                .expect("16 octets"),
        }
    }

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        // RFC 8291 5, with the keys of Appendix A.
        let own = octets("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let own = PrivateKey::from_private_key(&ECDH_P256, &own).expect("a key");
        let salt = octets("DGv6ra1nlYgDCS1FRnbzlw")
            .try_into()
            .expect("16 octets");
        let text = b"When I grow up, I want to be a watermelon";
        let sealed = seal(&device(), text, &own, &salt).expect("sealed");
        assert_eq!(
            URL_SAFE_NO_PAD.encode(sealed),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS\
             6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn no_two_messages_share_a_key_and_what_can_not_be_sealed_is_not() {
        let mut entropy = SeededEntropy::new(1);
        let mut seal = |keys: &PushKeys, len: usize| encrypt(keys, &vec![b'x'; len], &mut entropy);
        let first = seal(&device(), 10).expect("sealed");
        let second = seal(&device(), 10).expect("sealed");
        assert!(first[..16] != second[..16] && first[21..86] != second[21..86]);
        let most = MAX_TEXT;
        assert_eq!(seal(&device(), most).expect("sealed").len(), MAX_BODY);
        assert_eq!(seal(&device(), most + 1), None);
        let off_the_curve = PushKeys {
            p256dh: [4; 65],
            ..device()
        };
        assert_eq!(seal(&off_the_curve, 10), None);
    }
}
