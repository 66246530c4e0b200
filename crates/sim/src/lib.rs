//! The whole server on the in-memory engine from one seed, with faults
