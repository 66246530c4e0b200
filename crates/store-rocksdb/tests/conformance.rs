//! The engine contract.

use tern_store_rocksdb::{RocksEngine, Settings};

#[test]
fn conforms() {
    let root = tempfile::tempdir().expect("tempdir");
    let mut n = 0;
    tern_store::conformance::run(&mut || {
        n += 1;
        let directory = root.path().join(n.to_string());
        Box::new(RocksEngine::open(&directory, &Settings::default()).expect("open"))
    });
}
