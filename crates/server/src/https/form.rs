//! Forms: small, sent by a page of this server, and read within a time.

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header;
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use super::limits;

/// The fields of a form.
pub(super) struct Form(Bytes);

impl Form {
    /// The first value of this name.
    pub(super) fn get(&self, wanted: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(&self.0);
        let found = fields.find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    }
}

/// Reads a form.
pub(super) async fn read(request: Request<Incoming>) -> Result<Form, StatusCode> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let body = Limited::new(request.into_body(), limits::MAX_FORM).collect();
    let body = match timeout(limits::FORM_TIMEOUT, body).await {
        Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Ok(Err(_)) => return Err(StatusCode::BAD_REQUEST),
        Ok(Ok(body)) => body.to_bytes(),
    };
    Ok(Form(body))
}
