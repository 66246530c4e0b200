//! The binary: configuration, sockets, TLS, clock, command line
