//! The two pages, as an axum router.

use std::fmt;
use std::io::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::Server;
use super::negotiate;
use crate::metrics::MetricsBackend;
use crate::time::Timestamp;

/// What is served, and to whom.
#[derive(Clone)]
pub struct Pages {
    metrics: MetricsBackend,
    token: Option<Arc<str>>,
}

impl Pages {
    /// The pages of a telemetry.
    #[must_use]
    pub const fn new(metrics: MetricsBackend) -> Self {
        Self { metrics, token: None }
    }

    /// Asks for `Authorization: Bearer <token>`. An empty token asks for nothing.
    #[must_use]
    pub fn bearer_token(mut self, token: &str) -> Self {
        self.token = (!token.is_empty()).then(|| token.into());
        self
    }

    /// The pages as a router, to be merged into another.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(health))
            .layer(middleware::from_fn_with_state(self.clone(), authorize))
            .with_state(self.clone())
    }

    /// Serves the pages on a thread of their own until the answer is dropped. Port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be resolved or listened on, or the thread cannot be started.
    pub fn serve(&self, address: impl ToSocketAddrs) -> std::io::Result<Server> {
        let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
        Server::start(&addresses, self.router())
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("has_token", &self.token.is_some()).finish_non_exhaustive()
    }
}

async fn authorize(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let sent = header(request.headers(), &AUTHORIZATION);
    match &pages.token {
        Some(token) if !sent.strip_prefix("Bearer ").is_some_and(|sent| same(sent.trim(), token)) => {
            let body = reason("unauthorized", "send the token as `Authorization: Bearer <token>`");
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], body).into_response()
        }
        _ => next.run(request).await,
    }
}

/// Compares in a time that does not tell how much of it was right.
fn same(sent: &str, token: &str) -> bool {
    let different = sent.bytes().zip(token.bytes()).fold(0, |seen, (a, b)| seen | (a ^ b));
    sent.len() == token.len() && different == 0
}

async fn metrics(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    if !pages.metrics.is_enabled() {
        let body = reason("metrics_disabled", "metrics are off: `metrics_enabled` or `enabled` is false");
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    let format = negotiate::format(header(&headers, &ACCEPT), pages.metrics.format());
    answer(&headers, format.content_type(), pages.metrics.render(format))
}

async fn health(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    match serde_json::to_string(&pages.metrics.health()) {
        Ok(body) => answer(&headers, "application/json", body),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, reason("unserializable", &error.to_string())).into_response(),
    }
}

/// `{error, message, timestamp}`
fn reason(error: &str, message: &str) -> Response {
    let body = json!({"error": error, "message": message, "timestamp": Timestamp::now()}).to_string();
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn answer(headers: &HeaderMap, content_type: &'static str, body: String) -> Response {
    let common = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store"), (VARY, "Accept, Accept-Encoding")];
    if negotiate::takes_gzip(header(headers, &ACCEPT_ENCODING))
        && let Ok(packed) = gzip(body.as_bytes())
    {
        return (common, [(CONTENT_ENCODING, "gzip")], packed).into_response();
    }
    (common, body).into_response()
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// A header as text; empty when there is none.
fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
