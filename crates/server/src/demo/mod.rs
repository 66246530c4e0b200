//! `tern demo`: a small organisation on loopback.

use miette::{Result, miette};

use crate::cli::{DemoArgs, Outcome};

pub(crate) fn main(_args: &DemoArgs) -> Result<Outcome> {
    Err(miette!("not yet"))
}
