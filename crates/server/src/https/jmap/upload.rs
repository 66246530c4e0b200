//! Uploads (RFC 8620 6.1), piece by piece: what one takes of the memory is a piece, whatever its size.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::{Request, StatusCode, header};
use serde_json::json;
use tern_base::AccountId;
use tern_jmap::Problem;
use tern_jmap::blob_id::{BlobKey, BlobRef};
use tern_jmap::limits::MAX_SIZE_UPLOAD;
use tern_mailbox::{MailboxError, Upload, Uploaded};
use tern_session::{Mechanism, ids};
use tokio::time::timeout;

use super::login::LoggedIn;
use super::{Jmap, problem, problem_json};
use crate::clock::{self, OsEntropy};
use crate::https::answer::Answer;
use crate::https::{limits, origin};

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
        let mut upload = self
            .blocking(move |jmap| {
                let now = clock::now();
                jmap.mailboxes
                    .begin_upload(account, &kind, most, now, &mut OsEntropy)
            })
            .await?;
        let (mut left, mut gathered) = (most, Vec::new());
        loop {
            let next = timeout(limits::BODY_TIMEOUT, body.frame()).await;
            let Some(frame) = next.map_err(|_| Failed::Slow)? else {
                break;
            };
            let Ok(octets) = frame.map_err(|_| Failed::Lost)?.into_data() else {
                continue;
            };
            left = left
                .checked_sub(octets.len() as u64)
                .ok_or(Failed::TooLarge)?;
            gathered.extend_from_slice(&octets);
            // Frames are small, and each way to the store costs a thread's turn.
            if gathered.len() >= limits::UPLOAD_PIECE {
                upload = self.keep(upload, std::mem::take(&mut gathered)).await?;
            }
        }
        upload = self.keep(upload, gathered).await?;
        self.blocking(move |jmap| jmap.mailboxes.finish_upload(upload, clock::now()))
            .await
    }

    /// Hands octets to the store.
    async fn keep(self: &Arc<Self>, mut upload: Upload, octets: Vec<u8>) -> Result<Upload, Failed> {
        self.blocking(move |jmap| {
            jmap.mailboxes.upload_more(&mut upload, &octets)?;
            Ok(upload)
        })
        .await
    }

    /// Runs work of the mailboxes on the blocking pool.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, MailboxError> + Send + 'static,
    ) -> Result<T, Failed> {
        let jmap = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&jmap)).await;
        Ok(done.map_err(|_| Failed::Broken)??)
    }
}
