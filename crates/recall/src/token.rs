//! The `Recall-Token` header: an opaque mark on every outgoing message by which a copy that comes
//! back, perhaps changed on its way, can be told from a forgery.
//!
//! The token names the submission and proves, with a key that only this server has, that the
//! server issued it for that submission's content. It proves nothing of the content that it
//! arrives with: whoever received the message can put it on another. So it may add a copy to what
//! its own submission's recall covers, and give nobody power over anything else: what else has to hold
//! for that is in [`crate::returned`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tern_base::{ContentDigest, OriginId};

use crate::limits;

/// The header's name.
pub const HEADER: &str = "Recall-Token";

/// The token of a submission.
pub fn issue(key: &[u8; 32], submission: OriginId, digest: ContentDigest) -> String {
    let mut bytes = submission.0.to_vec();
    bytes.extend_from_slice(&proof(key, submission, digest));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The tokens in the header of a message, as many as are looked at.
pub(crate) fn tokens_of(content: &[u8]) -> Vec<String> {
    let fields = tern_mime::headers(content).filter(|field| field.is(HEADER));
    let texts = fields.filter_map(|field| str::from_utf8(field.value.trim_ascii()).ok());
    texts.take(limits::MAX_TOKENS).map(str::to_owned).collect()
}

/// The submission that a token names. Whether the token is real shows only [`is_genuine`], with
/// the digest that the submission has on record.
pub fn submission_of(token: &str) -> Option<OriginId> {
    let bytes = URL_SAFE_NO_PAD.decode(token.trim()).ok()?;
    OriginId::from_slice(bytes.get(..16)?)
}

/// Whether this server issued the token for a submission with this content.
pub fn is_genuine(
    key: &[u8; 32],
    token: &str,
    submission: OriginId,
    digest: ContentDigest,
) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(token.trim()) else {
        return false;
    };
    let expected = [submission.0, proof(key, submission, digest)].concat();
    // Every octet is looked at, so that the time tells nothing of where they differ.
    bytes.len() == expected.len()
        && bytes
            .iter()
            .zip(&expected)
            .fold(0, |differ, (a, b)| differ | (a ^ b))
            == 0
}

fn proof(key: &[u8; 32], submission: OriginId, digest: ContentDigest) -> [u8; 16] {
    let text = [b"recall-token".as_slice(), &submission.0, &digest.0].concat();
    let mac = tern_mime::blob_id(key, &text);
    let mut proof = [0; 16];
    proof.copy_from_slice(&mac.0[..16]);
    proof
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_proves_its_submission_and_content() {
        let (key, id, digest) = ([1; 32], OriginId([2; 16]), ContentDigest([3; 16]));
        let token = issue(&key, id, digest);
        assert_eq!(submission_of(&token), Some(id));
        assert!(is_genuine(&key, &token, id, digest));
        assert!(!is_genuine(&[9; 32], &token, id, digest));
        assert!(!is_genuine(&key, &token, id, ContentDigest([4; 16])));
        let mut forged = token.clone().into_bytes();
        forged[30] ^= 1;
        assert!(!is_genuine(
            &key,
            &String::from_utf8(forged).unwrap(),
            id,
            digest
        ));
        assert_eq!(submission_of("not a token"), None);
    }
}
