//! The keys of the server: made once, at its first start, and kept in the store with the data that
//! they protect (those that sign the audit log are the log's own). Losing one makes links, tokens and content addresses of the past unverifiable.

use std::fmt;

use tern_base::Entropy;
use tern_base::codec::{Damaged, Reader, Writer};
use tern_store::{Engine, StoreError, Verdict, transact};

use crate::factor::FactorKey;
use crate::tables;

const VERSION: u8 = 2;

/// Keys, each for one purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Keys the digests that address content.
    pub content_key: [u8; 32],
    /// Authenticates tokens that leave the server in messages and links.
    pub token_key: [u8; 32],
    /// Authenticates sessions of the console and of HTTP.
    pub session_key: [u8; 32],
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// The key under which the secrets of second factors are sealed at rest.
    pub fn factor_key(&self) -> FactorKey {
        FactorKey::derive(&self.session_key)
    }

    /// What the key is made of by which push services know the server: the same at every start.
    pub fn push_seed(&self) -> [u8; 32] {
        blake3::derive_key(
            "tern 2026-11 push application server key",
            &self.session_key,
        )
    }
}

/// The keys of the server; made from `entropy` when there are none yet.
pub fn secrets(engine: &dyn Engine, entropy: &mut dyn Entropy) -> Result<Secrets, StoreError> {
    let mut fresh = [[0; 32]; 3];
    fresh.iter_mut().for_each(|key| entropy.fill(key));
    let [content_key, token_key, session_key] = fresh;
    transact(engine, |txn| {
        if let Some(row) = txn.get(&tables::secrets_key())? {
            return Ok(Verdict::Abandon(decode(&row)?));
        }
        let value = Writer::versioned(VERSION)
            .array(&content_key)
            .array(&token_key)
            .array(&session_key)
            .finish();
        txn.put(tables::secrets_key(), value);
        Ok(Verdict::Commit(Secrets {
            content_key,
            token_key,
            session_key,
        }))
    })
}

fn decode(bytes: &[u8]) -> Result<Secrets, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Secrets {
        content_key: r.array()?,
        token_key: r.array()?,
        session_key: r.array()?,
    })
}
