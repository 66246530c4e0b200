//! The libFuzzer binary: one for all targets, chosen by `TERN_FUZZ_TARGET`. Started by
//! `cargo xtask fuzz`, which builds it with the coverage flags; arguments are libFuzzer's.
#![no_main]
// libFuzzer calls its target by an unmangled symbol.
#![allow(unsafe_code, reason = "the macro exports C symbols")]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tern_fuzz::{TARGETS, Target, target};

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn choose() -> Target {
    let name = std::env::var("TERN_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        let names = TARGETS.map(|target| target.name).join(", ");
        eprintln!("TERN_FUZZ_TARGET is `{name}`, and has to be one of {names}");
        std::process::exit(2);
    })
}

fuzz_target!(
    init: {
        CHOSEN.get_or_init(choose);
    },
    |data| {
        (CHOSEN.get_or_init(choose).run)(data);
    }
);
