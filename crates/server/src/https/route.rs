//! From a request to the page that it is for.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tern_recall::{APPROVAL_PATH, LINK_PATH};

use super::answer::{self, Answer};
use super::form::{self, Form};
use super::{Site, blocking, limits, origin, pages};

/// The path under which invitations to set up a second factor lie, before the token.
pub(crate) const ENROL_PATH: &str = "/factor/set-up/";

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Style,
    Confirm(String),
    Approve(String),
    Enrol(String),
    Nothing,
}

impl Route {
    fn of(path: &str) -> Self {
        if path == pages::STYLE_PATH {
            return Self::Style;
        }
        let token = |prefix| {
            let token: Option<&str> = path.strip_prefix(prefix);
            token.filter(|token| token.len() <= limits::MAX_TOKEN)
        };
        if let Some(token) = token(LINK_PATH) {
            return Self::Confirm(token.to_owned());
        }
        if let Some(token) = token(APPROVAL_PATH) {
            return Self::Approve(token.to_owned());
        }
        token(ENROL_PATH).map_or(Self::Nothing, |token| Self::Enrol(token.to_owned()))
    }

    /// The methods that it takes.
    const fn allow(&self) -> &'static str {
        match self {
            Self::Style | Self::Nothing => "GET, HEAD",
            Self::Confirm(_) | Self::Approve(_) | Self::Enrol(_) => "GET, HEAD, POST",
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
            let shared = Arc::clone(&site.shared);
            blocking(&shared, peer, move || site.confirm_page(&token, &peer)).await
        }
        Route::Approve(token) if is_read => {
            let shared = Arc::clone(&site.shared);
            blocking(&shared, peer, move || site.approval_page(&token, &peer)).await
        }
        Route::Enrol(token) if is_read => {
            let shared = Arc::clone(&site.shared);
            blocking(&shared, peer, move || site.enrol_page(&token, &peer)).await
        }
        Route::Confirm(_) | Route::Approve(_) | Route::Enrol(_)
            if *request.method() == Method::POST =>
        {
            if !origin::is_own(request.headers()) {
                return pages::problem(StatusCode::FORBIDDEN);
            }
            match form::read(request).await {
                Ok(form) => send(site, peer, route, form).await,
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

/// What a form of a page does.
async fn send(site: Arc<Site>, peer: IpAddr, route: Route, form: Form) -> Answer {
    let shared = Arc::clone(&site.shared);
    match route {
        Route::Confirm(token) => {
            blocking(&shared, peer, move || site.confirm(&token, &form, &peer)).await
        }
        Route::Approve(token) => {
            blocking(&shared, peer, move || site.approval(&token, &form, &peer)).await
        }
        Route::Enrol(token) => site.enrol(token, form, peer).await,
        Route::Style | Route::Nothing => pages::problem(StatusCode::METHOD_NOT_ALLOWED),
    }
}
