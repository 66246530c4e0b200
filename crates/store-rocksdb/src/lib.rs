//! The default engine: RocksDB behind the four verbs
