//! The harness of the interop tests: the real `tern` binary in a fresh directory, provisioned by
//! its command line, and foreign clients driven against it over loopback sockets.
//!
//! Invariants: every wait has a deadline; every process that is started is ended, also when a test
//! panics; nothing outside the test's own directory is written; the server is reached as its users
//! and administrators reach it, never through a crate of the house.
//!
//! Where things are comes from the environment: `TERN_BIN` is the built server, `TERN_TEST_PYTHON`
//! a python3 that can `import imapclient`; `cargo xtask test` sets both.

// A harness reads clocks, starts threads and panics: the bans are for the crates of the house.
#![allow(clippy::disallowed_methods)]

pub mod admin;
pub mod agent;
pub mod disk;
pub mod factor;
pub mod house;
pub mod interimap;
pub mod jmap;
pub mod line;
pub mod mbsync;
pub mod policy;
pub mod process;
pub mod push;
pub mod screen;
pub mod server;
pub mod wait;

pub use agent::Agent;
pub use disk::Disk;
pub use factor::Authenticator;
pub use house::House;
pub use screen::Screen;
pub use server::Tern;
pub use wait::{DEADLINE, until};

/// The files of this package's `clients` folder, which hold the scripts that foreign clients run.
pub fn client_script(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(name)
}

/// The messages of the repository's corpus, sorted by path.
pub fn corpus() -> Vec<std::path::PathBuf> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let mut folders = vec![root];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder);
        let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "eml") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "the corpus is empty");
    files
}
