//! One request over HTTP, by a blocking client: the thread that calls is an exporter's own, so any runtime of the program's may
//! sleep, be current-thread, or be gone.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use ureq::RequestBuilder;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ureq::typestate::WithBody;

use crate::credentials::shown;
use crate::trace::{Again, SendError};

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
    headers: Vec<(HeaderName, HeaderValue)>,
    gzip: bool,
    compressed: Vec<u8>,
}

/// What cannot be sent at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadTarget(pub(crate) String);

/// An answer is an error text or a few numbers; nobody reads more.
const LONGEST_ANSWER: u64 = 64 * 1024;

impl Http {
    /// A client; `certificate`: a PEM file with the certificates to trust.
    pub(crate) fn new(
        url: &str,
        headers: &[(String, String)],
        gzip: bool,
        certificate: Option<&str>,
    ) -> Result<Self, BadTarget> {
        check_url(url)?;
        let mut checked = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            // The value may be a credential: it is not shown.
            let bad = || BadTarget(format!("the header `{name}` has a name or a value that no header may have"));
            let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            checked.push((HeaderName::try_from(name.as_str()).map_err(|_| bad())?, value));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("tasker-telemetry/", env!("CARGO_PKG_VERSION")))
            .output_buffer_size(64 * 1024);
        let agent = trust(config, certificate)?.build().new_agent();
        Ok(Self { agent, headers: checked, gzip, compressed: Vec::new() })
    }

    /// Sends a body, and gives the answer's.
    pub(crate) fn post(
        &mut self,
        url: &str,
        content_type: &str,
        body: &[u8],
        until: Instant,
    ) -> Result<Vec<u8>, SendError> {
        self.send(self.agent.post(url), url, content_type, body, until)
    }

    /// The same with `PUT`.
    pub(crate) fn put(
        &mut self,
        url: &str,
        content_type: &str,
        body: &[u8],
        until: Instant,
    ) -> Result<Vec<u8>, SendError> {
        self.send(self.agent.put(url), url, content_type, body, until)
    }

    fn send(
        &mut self,
        request: RequestBuilder<WithBody>,
        url: &str,
        content_type: &str,
        body: &[u8],
        until: Instant,
    ) -> Result<Vec<u8>, SendError> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SendError { message: format!("no time was left for {}", shown(url)), again: Again::Soon });
        }
        let mut request = request.config().timeout_global(Some(left)).build();
        request = request.header("content-type", content_type);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = if self.gzip {
            request = request.header("content-encoding", "gzip");
            compress(body, &mut self.compressed)
        } else {
            body
        };
        let failed = |error: ureq::Error| SendError { message: format!("{}: {error}", shown(url)), again: Again::Soon };
        let answer = request.send(body).map_err(failed)?;
        let (head, answer) = answer.into_parts();
        let text = answer.into_with_config().limit(LONGEST_ANSWER).read_to_vec();
        if head.status.is_success() {
            // It was taken, even if the answer broke off: sent again, it would be there twice.
            return Ok(text.unwrap_or_default());
        }
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).chars().take(200).collect::<String>();
        let printable = text.chars().all(|c| !c.is_control() || c.is_whitespace());
        let text = if printable && !text.is_empty() { format!(": {}", text.trim()) } else { String::new() };
        Err(SendError {
            message: format!("{} answered {}{text}", shown(url), head.status),
            again: again(head.status, &head.headers),
        })
    }
}

/// By the OTLP specification: these four may be sent again, no other.
fn again(status: StatusCode, headers: &HeaderMap) -> Again {
    if !matches!(status.as_u16(), 429 | 502 | 503 | 504) {
        return Again::Never;
    }
    let asked = headers.get("retry-after").and_then(|value| value.to_str().ok());
    asked.and_then(|value| retry_after(value, jiff::Timestamp::now())).map_or(Again::Soon, Again::After)
}

/// `Retry-After`: seconds, or a date.
fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

fn compress<'a>(body: &[u8], out: &'a mut Vec<u8>) -> &'a [u8] {
    out.clear();
    let mut encoder = GzEncoder::new(&mut *out, Compression::fast());
    // Into memory: it cannot fail.
    let _ = encoder.write_all(body);
    let _ = encoder.finish();
    out
}

pub(crate) fn check_url(url: &str) -> Result<(), BadTarget> {
    let parsed: Result<ureq::http::Uri, _> = url.parse();
    let url = shown(url);
    let parsed = parsed.map_err(|error| BadTarget(format!("`{url}` is no address of a server: {error}")))?;
    match parsed.scheme_str() {
        Some("http") if parsed.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        Some("https") if cfg!(feature = "tls") => Ok(()),
        Some("https") => Err(BadTarget(format!("`{url}` needs the feature `tls` of tasker-telemetry"))),
        _ => Err(BadTarget(format!("`{url}` is no address of a server: write `http://host:port`"))),
    }
}

type Config = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

#[cfg(feature = "tls")]
fn trust(config: Config, certificate: Option<&str>) -> Result<Config, BadTarget> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
    let Some(path) = certificate else { return Ok(config) };
    let pem = std::fs::read(path).map_err(|error| BadTarget(format!("the certificate `{path}`: {error}")))?;
    let items: Result<Vec<_>, _> = parse_pem(&pem).collect();
    let items = items.map_err(|error| BadTarget(format!("the certificate `{path}`: {error}")))?;
    let roots = items.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let roots: Vec<_> = roots.collect();
    if roots.is_empty() {
        return Err(BadTarget(format!("`{path}` has no certificate")));
    }
    let roots = RootCerts::Specific(std::sync::Arc::new(roots));
    Ok(config.tls_config(TlsConfig::builder().root_certs(roots).build()))
}

#[cfg(not(feature = "tls"))]
fn trust(config: Config, certificate: Option<&str>) -> Result<Config, BadTarget> {
    match certificate {
        None => Ok(config),
        Some(path) => Err(BadTarget(format!("the certificate `{path}` needs the feature `tls` of tasker-telemetry"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: jiff::Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 01 Mar 2026 12:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 01 Mar 2026 11:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn an_address_that_cannot_be_is_refused_with_the_remedy() {
        assert!(check_url("http://127.0.0.1:4318/v1/traces").is_ok());
        for bad in ["", "127.0.0.1:4318", "ftp://a", "http://", "http://a b"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
        let header = [("bad name".to_owned(), "s3cret".to_owned())];
        let error = Http::new("http://a", &header, false, None).unwrap_err().to_string();
        assert!(error.contains("bad name") && !error.contains("s3cret"));
    }
}
