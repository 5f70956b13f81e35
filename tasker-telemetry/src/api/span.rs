//! The span of a call, by OpenTelemetry's conventions for HTTP clients, and what the service is told of it.

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Url, Version};

use super::error::{ApiError, StatusError};
use super::response::ApiResponse;
use crate::classify::ErrorKind as _;
use crate::filter::{Filter, Secrets};
use crate::scope::{self, StepScope};
use crate::trace::{OpenCall, Remote};
use crate::value::Value;

/// The span of a call that is under way. Dropped before the call has ended, it says so.
pub(super) struct CallSpan(Option<Open>);

struct Open {
    call: OpenCall,
    name: String,
    attributes: Vec<(&'static str, Value)>,
}

/// What may be shown of the values of a request.
pub(super) struct Shown<'a> {
    filter: &'a Filter,
}

impl Shown<'_> {
    /// What stands in the place of a parameter's value; `None`: itself.
    pub(super) fn param(&self, name: &str, value: &str) -> Option<String> {
        if self.filter.masks(name) {
            return Some(self.filter.mask().to_owned());
        }
        match self.filter.text(value) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(_) => Some(self.filter.mask().to_owned()),
        }
    }
}

/// The methods that the conventions know: others are too many for a name.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

impl CallSpan {
    /// `None`: nobody makes spans of it. `path` writes the URL with parameters as they may be shown.
    pub(super) fn begin(
        method: &Method,
        template: &'static str,
        url: &Url,
        path: impl FnOnce(&Shown<'_>) -> Option<Url>,
        query: &[(String, String)],
    ) -> Option<Self> {
        let call = OpenCall::begin()?;
        let known = METHODS.contains(&method.as_str());
        let verb = if known { method.as_str() } else { "HTTP" };
        let mut attributes: Vec<(&'static str, Value)> = Vec::with_capacity(10);
        attributes.push(("http.request.method", if known { method.to_string() } else { "_OTHER".to_owned() }.into()));
        attributes.push(("server.address", url.host_str().unwrap_or_default().to_owned().into()));
        if let Some(port) = url.port_or_known_default() {
            attributes.push(("server.port", port.into()));
        }
        let (filter, secrets) = call.shown_by();
        if let Some(shown) = path(&Shown { filter }) {
            attributes.push(("url.full", full(shown, query, filter, secrets).into()));
        }
        attributes.push(("url.template", template.into()));
        let before = StepScope::current().map_or(0, |step| step.attempt_number().saturating_sub(1));
        if before > 0 {
            attributes.push(("http.request.resend_count", before.into()));
        }
        let name = format!("{verb} {template}");
        Some(Self(Some(Open { call, name, attributes })))
    }

    /// As the service is told of it.
    fn as_remote(&self) -> Option<Remote> {
        self.0.as_ref()?.call.as_remote()
    }

    /// The call has ended.
    pub(super) fn end(mut self, result: &Result<ApiResponse, ApiError>) {
        let Some(mut open) = self.0.take() else { return };
        let response = match result {
            Ok(response) => Some(response),
            Err(error) => error.as_status().map(StatusError::response),
        };
        if let Some(response) = response {
            open.attributes.push(("http.response.status_code", response.status().into()));
            if let Some(version) = version(response.version()) {
                open.attributes.push(("network.protocol.version", version.into()));
            }
        }
        // By the conventions a redirect is no error of the client, whatever it means for the step.
        let failure = match result {
            Err(error) => match error.status() {
                Some(status) if status < 400 => None,
                Some(status) => Some((status.to_string().into(), String::new())),
                None => Some((error.error_kind().into(), error.to_string())),
            },
            Ok(_) => None,
        };
        open.end(failure);
    }
}

impl Open {
    fn end(mut self, failure: Option<(Value, String)>) {
        let message = failure.map(|(error_type, message)| {
            self.attributes.push(("error.type", error_type));
            message
        });
        self.call.end(self.name, self.attributes, message);
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.end(Some(("cancelled".into(), "dropped before it was answered".to_owned())));
        }
    }
}

/// The URL as it may be shown: no user, no password, the names of the query without their values, and nothing that was masked
/// elsewhere in the task.
fn full(mut url: Url, query: &[(String, String)], filter: &Filter, secrets: &Secrets) -> String {
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query.iter().map(|(name, _)| (name.as_str(), "REDACTED")));
    }
    filter.error_text(url.into(), Some(secrets))
}

/// `1.1`
const fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// Sends `traceparent` along, and `tracestate`: of the call's own span, where no span is made of the call of the step's, and
/// outside all of ours of the one that another library has open. A request that has one of its own keeps it.
pub(super) fn propagate(span: Option<&CallSpan>, headers: &mut HeaderMap) {
    if headers.contains_key("traceparent") {
        return;
    }
    let remote = span.and_then(CallSpan::as_remote).or_else(scope::span);
    let Some(remote) = remote.or_else(|| crate::otel::caller().map(|(caller, _)| caller)) else { return };
    if let Ok(value) = HeaderValue::from_str(&remote.to_string()) {
        headers.insert("traceparent", value);
    }
    if let Some(state) = remote.tracestate().and_then(|state| HeaderValue::from_str(state).ok()) {
        headers.insert("tracestate", state);
    }
}
