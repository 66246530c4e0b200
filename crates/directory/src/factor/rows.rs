//! The rows of second factors, tables 0x2c and 0x2d.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Timestamp};
use tern_store::{StoreError, Transaction};

use super::{FactorId, FactorKind};
use crate::tables;

/// A TOTP secret, sealed, and what was used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Totp {
    /// What [`super::seal::FactorKey::seal`] made of the secret.
    pub(crate) sealed: Vec<u8>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When its first code was shown; until then it proves nothing.
    pub(crate) confirmed: Option<Timestamp>,
    /// The newest time step a code of which was accepted; no code of it or an older one is again.
    pub(crate) last_step: u64,
}

/// A factor as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// An authenticator application.
    Totp(Totp),
    /// Recovery codes.
    Recovery {
        /// When they were made.
        created: Timestamp,
        /// The keyed hashes of those that are left.
        digests: Vec<[u8; 32]>,
    },
}

impl Stored {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(tables::VERSION);
        match self {
            Self::Totp(totp) => {
                w.byte(0).bytes(&totp.sealed).number(totp.created.0);
                w.option(totp.confirmed, |w, time| {
                    w.number(time.0);
                });
                w.number(totp.last_step)
            }
            Self::Recovery { created, digests } => {
                w.byte(1).number(created.0).list(digests, |w, digest| {
                    w.array(digest);
                })
            }
        };
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, tables::VERSION)?;
        Ok(match r.byte()? {
            0 => Self::Totp(Totp {
                sealed: r.bytes()?.to_vec(),
                created: Timestamp(r.number()?),
                confirmed: r.option(Reader::number)?.map(Timestamp),
                last_step: r.number()?,
            }),
            1 => Self::Recovery {
                created: Timestamp(r.number()?),
                digests: r.list(Reader::array)?,
            },
            _ => return Err(Damaged),
        })
    }

    pub(crate) fn get(
        txn: &mut Transaction<'_>,
        account: AccountId,
        factor: FactorId,
    ) -> Result<Option<Self>, StoreError> {
        match txn.get(&tables::factor_key(account, factor.0))? {
            Some(row) => Ok(Some(Self::decode(&row)?)),
            None => Ok(None),
        }
    }

    pub(crate) fn put(&self, txn: &mut Transaction<'_>, account: AccountId, factor: FactorId) {
        txn.put(tables::factor_key(account, factor.0), self.encode());
    }
}

/// What all factors of an account have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Wrong codes since the last right one.
    pub(crate) failures: u32,
    /// When the last of them was shown.
    pub(crate) last_failure: Timestamp,
    /// When a right code was last shown, and of what kind.
    pub(crate) last_shown: Option<(Timestamp, FactorKind)>,
    /// Raised by whatever makes an invitation to set one up void: see [`FactorStatus::generation`].
    ///
    /// [`FactorStatus::generation`]: super::FactorStatus::generation
    pub(crate) generation: u64,
}

/// The version of the row of a [`State`].
const STATE_VERSION: u8 = 2;

impl State {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(STATE_VERSION);
        w.number(self.failures.into()).number(self.last_failure.0);
        w.option(self.last_shown, |w, (time, kind)| {
            w.number(time.0).byte(match kind {
                FactorKind::Totp => 0,
                FactorKind::RecoveryCode => 1,
            });
        });
        w.number(self.generation);
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, STATE_VERSION)?;
        let (failures, last_failure) = (r.number32()?, Timestamp(r.number()?));
        let last_shown = r.option(|r| {
            let time = Timestamp(r.number()?);
            let kind = match r.byte()? {
                0 => FactorKind::Totp,
                1 => FactorKind::RecoveryCode,
                _ => return Err(Damaged),
            };
            Ok((time, kind))
        })?;
        Ok(Self {
            failures,
            last_failure,
            last_shown,
            generation: r.number()?,
        })
    }

    pub(crate) fn get(txn: &mut Transaction<'_>, account: AccountId) -> Result<Self, StoreError> {
        match txn.get(&tables::factors_key(account))? {
            Some(row) => Ok(Self::decode(&row)?),
            None => Ok(Self::default()),
        }
    }

    pub(crate) fn put(&self, txn: &mut Transaction<'_>, account: AccountId) {
        txn.put(tables::factors_key(account), self.encode());
    }
}
