//! A connection that ends where its client does not take what it asked for.
//!
//! Invariant: each write gets the whole time; what counts is that the client goes on taking.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream whose writes may take so long and no longer.
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// When the write that is stuck is given up; `None` while none is.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) const fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            deadline: None,
        }
    }

    /// Looks at the time where a write got no further.
    fn waited<T>(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.deadline = None;
            return wrote;
        }
        let deadline = match &mut self.deadline {
            Some(deadline) => deadline,
            none => {
                let mut fresh = Box::pin(sleep(self.patience));
                fresh.as_mut().reset(Instant::now() + self.patience);
                none.insert(fresh)
            }
        };
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.waited(cx, wrote)
    }

    // What a response is made of goes as it lies, instead of being copied into one first.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.waited(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.waited(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.waited(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_on_taking_has_all_the_time() {
        let (mut client, server) = duplex(1);
        let mut server = Patient::new(server, Duration::from_secs(5));
        let taking = tokio::spawn(async move {
            let mut got = Vec::new();
            for _ in 0..4 {
                tokio::time::advance(Duration::from_secs(4)).await;
                got.push(client.read_u8().await.expect("an octet"));
            }
            (client, got)
        });
        server.write_all(b"abcd").await.expect("taken in time");
        let (_client, got) = taking.await.expect("ran");
        assert_eq!(got, b"abcd");
        server.write_all(b"e").await.expect("room for one");
        let stuck = server.write_all(b"f").await;
        assert_eq!(
            stuck.map_err(|error| error.kind()),
            Err(io::ErrorKind::TimedOut)
        );
    }
}
