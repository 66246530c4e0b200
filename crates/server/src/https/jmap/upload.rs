//! Uploads (RFC 8620 6.1), piece by piece: what one takes of the memory is a piece, whatever its size.

mod begun;

use std::sync::Arc;

use futures_util::future::join;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::{Request, StatusCode, header};
use serde_json::json;
use tern_base::AccountId;
use tern_jmap::blob_id::{BlobKey, BlobRef};
use tern_jmap::limits::MAX_SIZE_UPLOAD;
use tern_jmap::{Problem, UploadDesk};
use tern_mailbox::{MailboxError, Uploaded};
use tern_session::{Mechanism, ids};
use tokio::time::{Instant, timeout};

use super::login::LoggedIn;
use super::{Jmap, problem, problem_json};
use crate::https::answer::Answer;
use crate::https::{limits, origin};
use begun::Begun;

/// Why an upload came to nothing.
enum Failed {
    TooLarge,
    Slow,
    Lost,
    Refused(MailboxError),
    Broken,
}

impl From<MailboxError> for Failed {
    fn from(error: MailboxError) -> Self {
        Self::Refused(error)
    }
}

impl UploadDesk for Jmap {
    fn may_upload(&self, account: AccountId) -> bool {
        self.upload_rate.take(account, Instant::now()).is_ok()
    }
}

impl Jmap {
    /// Answers an upload.
    pub(super) async fn upload(
        self: &Arc<Self>,
        login: &LoggedIn,
        rest: &str,
        request: Request<Incoming>,
    ) -> Answer {
        let account = login.caller.account;
        let named = rest.trim_end_matches('/').to_owned();
        let (jmap, caller) = (Arc::clone(self), login.caller.clone());
        let sees = move || tern_jmap::account_seen(&jmap.verbs(), &caller, &named);
        let named = match self.pool.run(account, sees).await {
            Ok(Ok(Some(named))) => named,
            Ok(Ok(None)) => return problem(StatusCode::NOT_FOUND, "There is no such account."),
            Ok(Err(_)) | Err(_) => {
                let why = "The account can't be read now.";
                return problem(StatusCode::SERVICE_UNAVAILABLE, why);
            }
        };
        // What a page of another site may send unasked comes with the Basic login that a browser keeps; what
        // such a page means to send it asks for, or shows a token.
        let headers = request.headers();
        if login.caller.mechanism != Mechanism::Bearer
            && origin::is_elsewhere(headers)
            && origin::is_simple(headers)
        {
            return problem(
                StatusCode::FORBIDDEN,
                "A page of another site needs a token here, or another media type.",
            );
        }
        if let Err(wait) = self.upload_rate.take(account, Instant::now()) {
            return problem_json(&Problem::TooOften { wait });
        }
        let Some(_slot) = self.uploads.take(account) else {
            return problem_json(&Problem::Limit("maxConcurrentUpload"));
        };
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or("application/octet-stream").to_owned();
        match self.receive(account, kind, request.into_body()).await {
            Ok(uploaded) => {
                let key = BlobKey::new(self.mailboxes.content_key());
                let body = json!({
                    "accountId": ids::account_id(named),
                    "blobId": BlobRef::upload(uploaded.blob).id(&key, named),
                    "type": uploaded.media_type, "size": uploaded.size,
                });
                super::json(StatusCode::CREATED, &body)
            }
            Err(Failed::TooLarge) => problem_json(&Problem::Limit("maxSizeUpload")),
            Err(Failed::Slow) => problem(
                StatusCode::REQUEST_TIMEOUT,
                "The upload took too long to come.",
            ),
            Err(Failed::Lost) => {
                problem(StatusCode::BAD_REQUEST, "The upload ends before its end.")
            }
            Err(Failed::Refused(MailboxError::QuotaExceeded)) => problem(
                StatusCode::INSUFFICIENT_STORAGE,
                "Uploads that wait to be used take all the room that an account has for them.",
            ),
            Err(Failed::Refused(_) | Failed::Broken) => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "The upload can't be kept now.",
            ),
        }
    }

    async fn receive(
        self: &Arc<Self>,
        account: AccountId,
        kind: String,
        body: Incoming,
    ) -> Result<Uploaded, Failed> {
        let most = body.size_hint().exact().unwrap_or(MAX_SIZE_UPLOAD);
        if most > MAX_SIZE_UPLOAD {
            return Err(Failed::TooLarge);
        }
        let jmap = Arc::clone(self);
        let begun = self
            .blocking(account, move |_| Begun::new(jmap, account, &kind, most))
            .await?;
        let mut body = Coming {
            body,
            left: most,
            over: Bytes::new(),
        };
        let (begun, gathered) = self.gather(begun, &mut body).await?;
        self.blocking(account, move |_| begun.finish(&gathered))
            .await
    }

    /// Takes what comes, and hands it to the store a piece at a time, while the next one comes: answers what
    /// is not handed over yet.
    async fn gather(
        self: &Arc<Self>,
        mut begun: Begun,
        body: &mut Coming,
    ) -> Result<(Begun, Vec<u8>), Failed> {
        let mut piece = body.piece().await;
        loop {
            let full = match piece {
                Ok(last) if last.len() < limits::UPLOAD_PIECE => return Ok((begun, last)),
                Ok(full) => full,
                Err(why) => return self.abandon(begun, why).await,
            };
            let store = self.blocking(begun.account, move |_| begun.more(&full));
            let (stored, next) = join(store, body.piece()).await;
            (begun, piece) = (stored?, next);
        }
    }

    /// Gives an upload up, before its client hears why.
    async fn abandon<T>(self: &Arc<Self>, begun: Begun, why: Failed) -> Result<T, Failed> {
        self.blocking(begun.account, move |_| {
            begun.abandon();
            Ok(())
        })
        .await?;
        Err(why)
    }

    /// Runs work of the mailboxes on the blocking pool.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        account: AccountId,
        work: impl FnOnce(&Self) -> Result<T, MailboxError> + Send + 'static,
    ) -> Result<T, Failed> {
        let jmap = Arc::clone(self);
        let done = self.pool.run(account, move || work(&jmap)).await;
        Ok(done.map_err(|_| Failed::Broken)??)
    }
}

/// A body that comes.
struct Coming {
    body: Incoming,
    /// How many more octets it may have.
    left: u64,
    /// What came behind the last piece.
    over: Bytes,
}

impl Coming {
    /// As many octets as the store takes at once; fewer at the end.
    async fn piece(&mut self) -> Result<Vec<u8>, Failed> {
        // Frames are small, and each way to the store costs a thread's turn.
        let most = self.left.saturating_add(self.over.len() as u64);
        let most = most.min(limits::UPLOAD_PIECE as u64);
        let mut piece = Vec::with_capacity(usize::try_from(most).unwrap_or_default());
        loop {
            let room = limits::UPLOAD_PIECE - piece.len();
            let octets = self.over.split_to(room.min(self.over.len()));
            piece.extend_from_slice(&octets);
            if piece.len() == limits::UPLOAD_PIECE {
                return Ok(piece);
            }
            let Some(octets) = next(&mut self.body).await? else {
                return Ok(piece);
            };
            let left = self.left.checked_sub(octets.len() as u64);
            self.left = left.ok_or(Failed::TooLarge)?;
            self.over = octets;
        }
    }
}

/// The next octets of a body.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Failed> {
    let next = timeout(limits::BODY_TIMEOUT, body.frame()).await;
    let Some(frame) = next.map_err(|_| Failed::Slow)? else {
        return Ok(None);
    };
    let frame = frame.map_err(|_| Failed::Lost)?;
    // Trailers hold no octets.
    Ok(Some(frame.into_data().unwrap_or_default()))
}
