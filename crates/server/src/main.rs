//! The binary `tern`.

use std::process::ExitCode;

/// Rows, texts and JSON are many small pieces that one thread makes and another lets go of: the C library
/// spends a quarter of a listing on that. It stands for RocksDB's as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tern_server::cli::main()
}
