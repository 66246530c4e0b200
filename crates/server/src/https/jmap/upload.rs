//! Uploads (RFC 8620 6.1), piece by piece: what one takes of the memory is a piece, whatever its size.

mod begun;

use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::{Request, StatusCode, header};
use serde_json::json;
use tern_base::AccountId;
use tern_jmap::Problem;
use tern_jmap::blob_id::{BlobKey, BlobRef};
use tern_jmap::limits::MAX_SIZE_UPLOAD;
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

impl Jmap {
    /// Answers an upload.
    pub(super) async fn upload(
        self: &Arc<Self>,
        login: &LoggedIn,
        rest: &str,
        request: Request<Incoming>,
    ) -> Answer {
        let account = login.caller.account;
        let named = ids::parse_account_id(rest.trim_end_matches('/'));
        if named != Some(account) {
            return problem(StatusCode::NOT_FOUND, "There is no such account.");
        }
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
                    "accountId": ids::account_id(account),
                    "blobId": BlobRef::upload(uploaded.blob).id(&key, account),
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
        mut body: Incoming,
    ) -> Result<Uploaded, Failed> {
        let most = body.size_hint().exact().unwrap_or(MAX_SIZE_UPLOAD);
        if most > MAX_SIZE_UPLOAD {
            return Err(Failed::TooLarge);
        }
        let jmap = Arc::clone(self);
        let begun = self
            .blocking(move |_| Begun::new(jmap, account, &kind, most))
            .await?;
        let (begun, gathered) = self.gather(begun, &mut body, most).await?;
        self.blocking(move |_| begun.finish(&gathered)).await
    }

    /// Takes what comes, and hands it to the store: answers what is not handed over yet.
    async fn gather(
        self: &Arc<Self>,
        mut begun: Begun,
        body: &mut Incoming,
        most: u64,
    ) -> Result<(Begun, Vec<u8>), Failed> {
        let (mut left, mut gathered) = (most, Vec::new());
        loop {
            let octets = match next(body).await {
                Ok(None) => return Ok((begun, gathered)),
                Ok(Some(octets)) => octets,
                Err(why) => return self.abandon(begun, why).await,
            };
            let Some(rest) = left.checked_sub(octets.len() as u64) else {
                return self.abandon(begun, Failed::TooLarge).await;
            };
            left = rest;
            gathered.extend_from_slice(&octets);
            // Frames are small, and each way to the store costs a thread's turn.
            if gathered.len() >= limits::UPLOAD_PIECE {
                let octets = std::mem::take(&mut gathered);
                begun = self.blocking(move |_| begun.more(&octets)).await?;
            }
        }
    }

    /// Gives an upload up, before its client hears why.
    async fn abandon<T>(self: &Arc<Self>, begun: Begun, why: Failed) -> Result<T, Failed> {
        self.blocking(move |_| {
            begun.abandon();
            Ok(())
        })
        .await?;
        Err(why)
    }

    /// Runs work of the mailboxes on the blocking pool.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, MailboxError> + Send + 'static,
    ) -> Result<T, Failed> {
        let jmap = Arc::clone(self);
        let done = self.pool.run(move || work(&jmap)).await;
        Ok(done.map_err(|_| Failed::Broken)??)
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
