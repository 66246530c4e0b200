//! A stream of messages whose memory is set aside as they come, and that may take so long each.
//!
//! Invariant: what a client has sent of a message and has not ended is within the memory for content,
//! and ends in time or ends the connection.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tern_base::AccountId;
use tern_session::{ContentMemory as _, Reservation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::https::limits::{BODY_TIMEOUT, MESSAGE_FREE, MESSAGE_STEP};
use crate::memory::PeerMemory;

/// The stream.
pub(super) struct Metered<S> {
    stream: S,
    memory: PeerMemory,
    account: AccountId,
    /// Octets that came and are of no whole message yet.
    open: u64,
    held: Vec<Reservation>,
    /// When the message that has begun is given up.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Metered<S> {
    pub(super) const fn new(stream: S, memory: PeerMemory, account: AccountId) -> Self {
        Self {
            stream,
            memory,
            account,
            open: 0,
            held: Vec::new(),
            deadline: None,
        }
    }

    /// A message is whole: the memory that was set aside for it.
    pub(super) fn message(&mut self) -> Vec<Reservation> {
        self.open = 0;
        self.deadline = None;
        std::mem::take(&mut self.held)
    }

    /// A control frame came, which may be amid a message (RFC 6455 5.4): it is none of that.
    pub(super) fn control(&mut self, payload: usize) {
        // RFC 6455 5.2: two octets, and the mask of a client's frame.
        self.open = self.open.saturating_sub(payload as u64 + 6);
        if self.open == 0 {
            self.deadline = None;
        }
    }

    fn came(&mut self, octets: usize) -> io::Result<()> {
        self.open += octets as u64;
        while self.open > MESSAGE_FREE + self.held.len() as u64 * MESSAGE_STEP {
            let held = self.memory.reserve(Some(self.account), MESSAGE_STEP);
            self.held.push(held.ok_or(io::ErrorKind::OutOfMemory)?);
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            let octets = buffer.filled().len() - before;
            if let Err(error) = self.came(octets) {
                // What failed has read nothing.
                buffer.set_filled(before);
                return Poll::Ready(Err(error));
            }
            return read;
        }
        if self.open == 0 {
            return Poll::Pending;
        }
        let fresh = || Box::pin(sleep(BODY_TIMEOUT));
        ready!(self.deadline.get_or_insert_with(fresh).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Budget, Memory};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn metered<S>(stream: S) -> Metered<S> {
        let memory = Memory::new(Budget {
            total: 3 * MESSAGE_STEP,
            strangers: 2 * MESSAGE_STEP,
            share: 2 * MESSAGE_STEP,
        });
        let peer = "192.0.2.1".parse().expect("an address");
        Metered::new(stream, memory.of(peer), AccountId(1))
    }

    async fn read<S: AsyncRead + Unpin>(stream: &mut Metered<S>) -> io::Result<usize> {
        stream.read_to_end(&mut Vec::new()).await
    }

    #[tokio::test]
    async fn a_message_is_within_the_memory_and_gives_it_back() {
        let fits = vec![0; (MESSAGE_FREE + 2 * MESSAGE_STEP) as usize];
        let (first, second) = (&fits[..], [&fits[..], &[0]].concat());
        let mut stream = metered(first);
        assert_eq!(read(&mut stream).await.ok(), Some(fits.len()));
        assert_eq!(stream.held.len(), 2);
        // The next one has the memory of the last, once that is done with.
        drop(stream.message());
        stream.stream = first;
        assert_eq!(read(&mut stream).await.ok(), Some(fits.len()));
        let failed = read(&mut metered(&second[..])).await;
        assert_eq!(
            failed.map_err(|error| error.kind()),
            Err(io::ErrorKind::OutOfMemory)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_has_begun_ends_in_time() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut stream = metered(server);
        // A ping is no message, however long nothing follows it.
        client.write_all(&[0; 10]).await.expect("written");
        stream.read_exact(&mut [0; 10]).await.expect("read");
        stream.control(4);
        let quiet = tokio::time::timeout(2 * BODY_TIMEOUT, stream.read_u8()).await;
        assert!(quiet.is_err());
        client.write_all(&[0]).await.expect("written");
        assert_eq!(stream.read_u8().await.ok(), Some(0));
        let late = stream.read_u8().await.map_err(|error| error.kind());
        assert_eq!(late, Err(io::ErrorKind::TimedOut));
    }
}
