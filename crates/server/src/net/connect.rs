//! A connection to one of the addresses of a host.
//!
//! Invariant: an address that swallows packets keeps none of the others from being tried (RFC 5321
//! 5.1): the next is begun beside it. What is tried, and for how long, is bounded.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long an address has before the next one is begun as well (RFC 8305 5 has a quarter of it, for
/// people who wait).
const HEAD_START: Duration = Duration::from_secs(1);

/// Connects to the first of these that answers, in their order, within `limit`.
pub(crate) async fn connect(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let stream = timeout(limit, race(addresses));
    let stream = stream
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut rest = addresses.iter();
    let mut begun = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    loop {
        begun.extend(rest.next().map(|address| TcpStream::connect(*address)));
        let more = !rest.as_slice().is_empty();
        tokio::select! {
            done = begun.next() => match done {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failure = error,
                None => return Err(failure),
            },
            () = sleep(HEAD_START), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener as StdListener;

    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// An address whose connections are never made: its backlog is full, so what is sent to it is
    /// dropped.
    fn black_hole() -> (SocketAddr, Vec<Socket>) {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = socket();
        listener.bind(&any.into()).expect("bound");
        listener.listen(0).expect("listening");
        let address = listener.local_addr().expect("an address");
        let mut held = vec![listener];
        for _ in 0..4 {
            let full = socket();
            full.set_nonblocking(true).expect("set");
            // It connects, or waits for ever.
            let _ = full.connect(&address);
            held.push(full);
        }
        (address.as_socket().expect("of IP"), held)
    }

    fn closed() -> SocketAddr {
        let listener = StdListener::bind("127.0.0.1:0").expect("bound");
        listener.local_addr().expect("an address")
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().expect("a runtime");
        runtime.block_on(future)
    }

    #[test]
    fn an_address_that_swallows_packets_does_not_keep_back_the_next() {
        run(async {
            let (hole, _held) = black_hole();
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let open = listener.local_addr().expect("an address");
            let stream = connect(&[hole, closed(), open], LIMIT).await;
            assert_eq!(stream.expect("connected").peer_addr().expect("one"), open);
        });
    }

    #[test]
    fn what_fails_everywhere_fails_by_the_last_word() {
        run(async {
            let refused = connect(&[closed(), closed()], LIMIT).await;
            let kind = refused.expect_err("refused").kind();
            assert_eq!(kind, io::ErrorKind::ConnectionRefused);
            let none = connect(&[], LIMIT).await;
            assert_eq!(none.expect_err("nothing").kind(), io::ErrorKind::NotFound);
            let (hole, _held) = black_hole();
            let late = connect(&[hole], Duration::from_millis(50)).await;
            assert_eq!(late.expect_err("late").kind(), io::ErrorKind::TimedOut);
        });
    }
}
