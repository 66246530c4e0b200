//! The directory at its boundary.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

mod anew;
mod changes;
mod delegates;
mod factors;
mod grants;
mod identities;
mod login;
mod principals;
mod redirects;
mod resolve;
mod subscriptions;
mod world;
