//! The server outside: takes what is relayed to it, and remembers every message that it has
//! answered for. It is not killed.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A running server; it ends with the process.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    taken: Arc<Mutex<BTreeSet<String>>>,
}

impl Sink {
    /// Listens on loopback.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0");
        let listener = listener.unwrap_or_else(|error| panic!("sink: {error}"));
        let address = listener.local_addr();
        let address = address.unwrap_or_else(|error| panic!("sink: {error}"));
        let sink = Self {
            address,
            taken: Arc::default(),
        };
        let serving = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = serving.clone();
                // A connection that breaks off is a kill of the other side.
                std::thread::spawn(move || drop(sink.serve(stream)));
            }
        });
        sink
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The recipients of every message that it took, as far as it has said so or was about to.
    pub(crate) fn taken(&self) -> BTreeSet<String> {
        let taken = self.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut replies = stream.try_clone()?;
        let mut lines = BufReader::new(stream).lines();
        let mut recipients = Vec::new();
        replies.write_all(b"220 sink.test\r\n")?;
        while let Some(line) = lines.next() {
            let line = line?;
            let verb = line.split([' ', ':']).next().unwrap_or_default();
            let reply: &[u8] = match verb.to_ascii_uppercase().as_str() {
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                    recipients.push(address.to_owned());
                    b"250 recipient\r\n"
                }
                "DATA" => {
                    replies.write_all(b"354 go on\r\n")?;
                    for line in lines.by_ref() {
                        if line? == "." {
                            break;
                        }
                    }
                    // Before the reply: what the other side may believe must be on the list.
                    let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                    taken.extend(recipients.drain(..));
                    b"250 taken\r\n"
                }
                "MAIL" | "RSET" => {
                    recipients.clear();
                    b"250 yes\r\n"
                }
                "QUIT" => {
                    replies.write_all(b"221 bye\r\n")?;
                    return Ok(());
                }
                _ => b"250 sink.test\r\n",
            };
            replies.write_all(reply)?;
        }
        Ok(())
    }
}
