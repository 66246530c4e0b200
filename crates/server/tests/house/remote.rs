//! The server of somebody else, whose part the test plays word by word.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use super::TIME_LIMIT;

/// Listens on loopback.
pub(crate) struct Remote {
    pub(crate) port: u16,
    calls: Receiver<TcpStream>,
}

impl Remote {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, calls) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { port, calls }
    }

    /// The route of a domain to it.
    pub(crate) fn route(&self, domain: &str) -> String {
        format!("\"{domain}\" = \"127.0.0.1:{}\"\n", self.port)
    }

    /// The next who calls; nothing is said yet.
    pub(crate) fn call(&self) -> Call {
        let stream = self.calls.recv_timeout(TIME_LIMIT).expect("a call");
        stream.set_read_timeout(Some(TIME_LIMIT)).expect("set");
        Call(BufReader::new(stream))
    }

    /// Whether nobody has called who was not answered.
    pub(crate) fn is_quiet(&self) -> bool {
        self.calls.try_recv().is_err()
    }
}

/// One connection.
pub(crate) struct Call(BufReader<TcpStream>);

impl Call {
    pub(crate) fn say(&mut self, reply: &str) {
        let line = format!("{reply}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).expect("sent");
    }

    /// The next line; empty at the end, also where that came with something on its way.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            read => drop(read.expect("a line")),
        }
        line.trim_end().to_owned()
    }

    /// From the greeting to 354: what it was told, line by line.
    pub(crate) fn until_data(&mut self) -> Vec<String> {
        self.greet("250 DSN");
        self.envelope(|_| "250 ok")
    }

    /// From the greeting to what the server offers.
    pub(crate) fn greet(&mut self, offers: &str) {
        self.say("220 other.test");
        let hello = self.hear();
        assert!(hello.starts_with("EHLO"), "{hello:?}");
        self.say(&format!("250-other.test\r\n{offers}"));
    }

    /// From MAIL to 354, with what is said to each line before that.
    pub(crate) fn envelope<'a>(&mut self, answer: impl Fn(&str) -> &'a str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let line = self.hear();
            let is_data = line == "DATA";
            match &*line {
                "" => panic!("hung up after {heard:?}"),
                "DATA" => self.say("354 go on"),
                line => self.say(answer(line)),
            }
            heard.push(line);
            if is_data {
                return heard;
            }
        }
    }

    /// From MAIL to the n-th RCPT, which is left to be answered; `None` where DATA came before, and was
    /// answered.
    pub(crate) fn until_recipient(&mut self, n: usize) -> Option<String> {
        let mut recipients = 0;
        loop {
            let line = self.hear();
            recipients += usize::from(line.starts_with("RCPT"));
            match &*line {
                "" => panic!("hung up"),
                "DATA" => {
                    self.say("354 go on");
                    return None;
                }
                _ if recipients == n => return Some(line),
                _ => self.say("250 ok"),
            }
        }
    }

    /// The content, to its end.
    pub(crate) fn content(&mut self) -> String {
        let mut content = String::new();
        loop {
            let line = self.hear();
            if line == "." {
                return content;
            }
            content.push_str(&line);
            content.push('\n');
        }
    }

    /// Takes a message as servers do.
    pub(crate) fn take(&mut self) -> String {
        self.until_data();
        let content = self.content();
        self.say("250 taken");
        content
    }

    /// Some octets of what comes, whatever they are.
    pub(crate) fn some(&mut self, octets: usize) {
        self.0.read_exact(&mut vec![0; octets]).expect("octets");
    }

    pub(crate) fn hang_up(self) {
        let _ = self.0.get_ref().shutdown(Shutdown::Both);
    }
}
