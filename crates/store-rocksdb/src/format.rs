//! The directory of a store: a `FORMAT` file beside RocksDB's own folder `db`.
//!
//! Invariant: `FORMAT` names the version of everything beside it, of the rows that others keep in it, too. It is written before RocksDB
//! makes a new store, and after everything else in a backup (its mark included), so a folder without it is unfinished.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The version that this build writes, and the only one that it reads: rows are changed in place for as long as
/// nothing has been released. The sum of the versions of all kinds of rows, which `cargo xtask tidy` holds.
pub const FORMAT_VERSION: u32 = 152;

const FILE: &str = "FORMAT";
const NAME: &str = "tern-store-rocksdb";

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Another build wrote it, whose rows are others.
    #[error("the store {} has format {found}; this build reads format {FORMAT_VERSION} alone", .path.display())]
    OtherFormat {
        /// The directory.
        path: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// There are files, but no valid `FORMAT` file: not a store, or a backup that was cut short.
    #[error("{} is not a store, or an unfinished backup: its FORMAT file is missing or damaged", .0.display())]
    NotAStore(PathBuf),
    /// The directory could not be read or made.
    #[error("the store {}: {error}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// RocksDB refuses it, as when a file is damaged or missing.
    #[error("the store {}: {message}", .path.display())]
    Engine {
        /// The directory.
        path: PathBuf,
        /// What RocksDB says.
        message: String,
    },
}

/// Where RocksDB keeps its files.
pub(crate) fn database_path(directory: &Path) -> PathBuf {
    directory.join("db")
}

/// Makes a directory a store, or checks that it is one this build can read.
pub(crate) fn prepare(directory: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::Io {
        path: directory.to_owned(),
        error,
    };
    let text = match fs::read(directory.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if database_path(directory).exists() {
                return Err(OpenError::NotAStore(directory.to_owned()));
            }
            fs::create_dir_all(directory).map_err(failed)?;
            return write(directory).map_err(failed);
        }
        Err(error) => return Err(failed(error)),
    };
    match parse(&text) {
        Some(FORMAT_VERSION) => Ok(()),
        Some(found) => Err(OpenError::OtherFormat {
            path: directory.to_owned(),
            found,
        }),
        None => Err(OpenError::NotAStore(directory.to_owned())),
    }
}

/// Writes the `FORMAT` file, durably.
pub(crate) fn write(directory: &Path) -> io::Result<()> {
    let unfinished = directory.join("FORMAT.new");
    let mut file = File::create(&unfinished)?;
    file.write_all(format!("{NAME} {FORMAT_VERSION}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

fn parse(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let version = text.strip_prefix(NAME)?.strip_prefix(' ')?;
    version.strip_suffix('\n')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_is_a_version() {
        let cases: [(&[u8], Option<u32>); 6] = [
            (b"tern-store-rocksdb 1\n", Some(1)),
            (b"tern-store-rocksdb 27\n", Some(27)),
            (b"tern-store-rocksdb 1", None),
            (b"tern-store-rocksdb \n", None),
            (b"", None),
            (b"\xff\n", None),
        ];
        for (text, version) in cases {
            assert_eq!(parse(text), version, "{text:?}");
        }
    }
}
