//! From a request to the page that it is for.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tern_recall::LINK_PATH;

use super::answer::{self, Answer};
use super::{Site, form, limits, pages};

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Style,
    Confirm(String),
    Nothing,
}

impl Route {
    fn of(path: &str) -> Self {
        if path == pages::STYLE_PATH {
            return Self::Style;
        }
        match path.strip_prefix(LINK_PATH) {
            Some(token) if token.len() <= limits::MAX_TOKEN => Self::Confirm(token.to_owned()),
            _ => Self::Nothing,
        }
    }

    /// The methods that it takes.
    const fn allow(&self) -> &'static str {
        match self {
            Self::Style | Self::Nothing => "GET, HEAD",
            Self::Confirm(_) => "GET, HEAD, POST",
        }
    }
}

/// Answers a request.
pub(super) async fn answer(site: Arc<Site>, peer: IpAddr, request: Request<Incoming>) -> Answer {
    let route = Route::of(request.uri().path());
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match route {
        Route::Nothing => pages::problem(StatusCode::NOT_FOUND),
        Route::Style if is_read => answer::style(),
        Route::Confirm(token) if is_read => {
            blocking(move || site.confirm_page(&token, &peer)).await
        }
        Route::Confirm(token) if *request.method() == Method::POST => {
            if !form::is_own(request.headers()) {
                return pages::problem(StatusCode::FORBIDDEN);
            }
            match form::field(request, "code").await {
                Ok(code) => {
                    let code = code.unwrap_or_default();
                    blocking(move || site.confirm(&token, &code, &peer)).await
                }
                Err(status) => pages::problem(status),
            }
        }
        route => {
            let mut refused = pages::problem(StatusCode::METHOD_NOT_ALLOWED);
            let allow = HeaderValue::from_static(route.allow());
            refused.headers_mut().insert(header::ALLOW, allow);
            refused
        }
    }
}

/// Makes a page on the blocking pool.
async fn blocking(make: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    let made = tokio::task::spawn_blocking(make).await;
    made.unwrap_or_else(|_| pages::problem(StatusCode::INTERNAL_SERVER_ERROR))
}
