//! What can stop a measurement. Every variant names the step, so that a failed run says where.

/// A measurement that could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The target is not a loopback address: this tool loads nobody else's server.
    #[error("{0} is not a loopback address: only loopback targets are allowed")]
    NotLoopback(String),
    /// An option or configuration value that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The operating system said no.
    #[error("{step}: {source}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// An exchange over HTTP came to nothing.
    #[error("{step}: {source}")]
    Http {
        /// What was being done.
        step: &'static str,
        /// What went wrong.
        source: hyper::Error,
    },
    /// The server closed the connection while an answer was due.
    #[error("the server closed the connection while an answer to {0} was due")]
    Closed(&'static str),
    /// The server answered something else than success.
    #[error("{step} answered: {reply}")]
    Refused {
        /// The command.
        step: &'static str,
        /// The line that the server sent.
        reply: String,
    },
    /// The bound on time was reached.
    #[error("{step} did not finish within {seconds} s")]
    Late {
        /// The measurement.
        step: String,
        /// The bound.
        seconds: u64,
    },
}

/// The result of every fallible step here.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Names the step at which an I/O error happened.
pub(crate) trait Step<T> {
    /// Attaches the step's name.
    fn step(self, step: &'static str) -> Result<T>;
}

impl<T> Step<T> for std::io::Result<T> {
    fn step(self, step: &'static str) -> Result<T> {
        self.map_err(|source| Error::Io { step, source })
    }
}
