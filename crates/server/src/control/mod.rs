//! The control socket: how the command line reaches a server that runs.
//!
//! A Unix socket in the data directory, for the server's own user alone: one JSON line in, one
//! out, as often as the client likes. A line that is too long is said so, and ends the connection.
//!
//! Invariant: who is answered is root or the server's user, by the kernel's word, whatever the
//! permissions of the socket have become; the audit log names them.

pub mod audit;
pub mod hold;
pub mod request;

use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::clock::{self, OsEntropy};
use request::{Request, Response};

/// Longest request, in bytes.
const MAX_REQUEST: u64 = 1 << 20;

/// Where the socket is.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Serves the socket until the server stops.
pub(crate) fn serve(
    data_dir: &Path,
    admin: Arc<Admin>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let path = path(data_dir);
    // The store is open, and only one process can have it: whoever left the socket is gone.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Its owner's alone before anybody finds it under its name.
    let unnamed = path.with_extension("new");
    match fs::remove_file(&unnamed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&unnamed)?;
    fs::set_permissions(&unnamed, fs::Permissions::from_mode(0o600))?;
    fs::rename(&unnamed, &path)?;
    Ok(tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                _ = stopped.changed() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(client(stream, Arc::clone(&admin)));
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // The next start removes what is left.
        let _ = fs::remove_file(&path);
    }))
}

async fn client(stream: UnixStream, admin: Arc<Admin>) {
    let uid = match stream.peer_cred() {
        Ok(cred) => Uid::from_raw(cred.uid()),
        Err(error) => return tracing::warn!(%error, "who is at the control socket is unknown"),
    };
    let operator = user_name(uid);
    if !may_operate(uid, Uid::effective()) {
        return tracing::warn!(operator, "the control socket is not for this user");
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = String::new();
        match (&mut read).take(MAX_REQUEST).read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let is_whole = line.ends_with('\n');
        if !is_whole && line.len() as u64 >= MAX_REQUEST {
            // The rest of it is no request.
            let why = format!("a request is at most {MAX_REQUEST} bytes long");
            return drop(answer(&mut write, &Response::Failed(why)).await);
        }
        let response = match serde_json::from_str::<Request>(&line) {
            Ok(request) => {
                let (admin, operator) = (Arc::clone(&admin), operator.clone());
                let work = move || admin.execute(&request, &operator, clock::now(), &mut OsEntropy);
                let done = tokio::task::spawn_blocking(work).await;
                done.unwrap_or_else(|_| Response::Failed(String::from("the request panicked")))
            }
            Err(error) => Response::Failed(format!("not a request: {error}")),
        };
        if answer(&mut write, &response).await.is_err() {
            return;
        }
    }
}

async fn answer(write: &mut OwnedWriteHalf, response: &Response) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(response)?;
    bytes.push(b'\n');
    write.write_all(&bytes).await
}

/// Whether a user may do what an operator may: the server's own may, and root, who may anyway.
fn may_operate(user: Uid, server: Uid) -> bool {
    user == server || user.is_root()
}

/// The name of a user of this machine.
pub(crate) fn user_name(uid: Uid) -> String {
    let user = User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// A connection to a server that runs.
pub(crate) struct Client {
    read: io::BufReader<BlockingStream>,
    write: BlockingStream,
}

impl Client {
    /// Connects; `None` when no server runs on this data directory.
    pub(crate) fn connect(data_dir: &Path) -> io::Result<Option<Self>> {
        match BlockingStream::connect(path(data_dir)) {
            Ok(write) => Ok(Some(Self {
                read: io::BufReader::new(write.try_clone()?),
                write,
            })),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, request: &Request) -> io::Result<Response> {
        let mut bytes = serde_json::to_vec(request)?;
        bytes.push(b'\n');
        if bytes.len() as u64 > MAX_REQUEST {
            let why = format!("a request is at most {MAX_REQUEST} bytes long");
            return Err(io::Error::other(why));
        }
        self.write.write_all(&bytes)?;
        let mut line = String::new();
        self.read.read_line(&mut line)?;
        if line.is_empty() {
            return Err(io::Error::other("the server ended the connection"));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_root_and_the_servers_own_user() {
        let (root, server, other) = (Uid::from_raw(0), Uid::from_raw(70), Uid::from_raw(71));
        assert!(may_operate(server, server));
        assert!(may_operate(root, server));
        assert!(!may_operate(other, server));
        assert!(!may_operate(other, root));
    }
}
