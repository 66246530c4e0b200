//! A scripted server for the clients' tests: expects lines, sends answers, on a loopback port.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// Serves one connection: sends `greeting`, then for each pair reads a line and sends the answer.
/// A line that differs is answered by naming what was expected, so that the client fails.
pub(crate) async fn serve(
    greeting: &'static str,
    script: &'static [(&'static str, &'static str)],
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(greeting.as_bytes()).await.unwrap();
        for (expected, answer) in script {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let answer = if line.trim_end() == *expected {
                (*answer).to_owned()
            } else {
                format!("999 expected {expected:?}, got {line:?}\r\n")
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}
