//! Prometheus' Pushgateway, for jobs that end before anybody scrapes them (feature `otlp`, whose HTTP client it uses).
//!
//! ```no_run
//! use std::time::Duration;
//! use tasker_telemetry::Telemetry;
//! use tasker_telemetry::metrics::pushgateway::Pushgateway;
//!
//! let gateway = Pushgateway::new("http://127.0.0.1:9091", "nightly")?.label("instance", "a");
//! // Pushed when the job ends, and every minute if it takes that long.
//! let telemetry = Telemetry::builder().push_metrics(gateway, Duration::from_secs(60)).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each push replaces all metrics of its group: of the job and the labels given here.

use std::fmt;
use std::io;
use std::time::Instant;

use super::push::{Push, PushError};
use super::{Format, MetricsBackend};
use crate::credentials::shown;
use crate::otlp::Http;

/// Pushes metrics to a Pushgateway. See the [module](self).
pub struct Pushgateway {
    server: String,
    /// The job, and the labels that tell its groups apart.
    group: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    http: Option<Http>,
}

impl Pushgateway {
    /// The gateway at that address, `http://host:port`, and the job whose metrics they are.
    ///
    /// # Errors
    /// When that is no address of a server, or the job has no name.
    pub fn new(server: &str, job: &str) -> io::Result<Self> {
        let server = server.trim_end_matches('/');
        if job.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a job of a Pushgateway needs a name"));
        }
        let group = vec![("job".to_owned(), job.to_owned())];
        let gateway = Self { server: server.to_owned(), group, headers: Vec::new(), http: None };
        gateway.client()?;
        Ok(gateway)
    }

    /// One more label that tells this group from others of the job, such as the instance. The filter holds for it as for any label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.group.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more header of every request: `authorization`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self.http = None;
        self
    }

    /// Where the group is, its labels masked.
    fn url(&self, metrics: &MetricsBackend) -> String {
        let mut url = format!("{}/metrics", self.server);
        for (name, value) in &self.group {
            url.push('/');
            url.push_str(&part(name, &metrics.shown_label(name, value)));
        }
        url
    }

    fn client(&self) -> io::Result<Http> {
        let client = Http::new(&self.server, &self.headers, false, None);
        client.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
    }
}

impl Push for Pushgateway {
    fn name(&self) -> &'static str {
        "pushgateway"
    }

    fn push(&mut self, metrics: &MetricsBackend, deadline: Instant) -> Result<(), PushError> {
        let mut http = match self.http.take() {
            Some(http) => http,
            None => self.client()?,
        };
        let url = self.url(metrics);
        let body = metrics.render(Format::Prometheus);
        let sent = http.put(&url, Format::Prometheus.content_type(), body.as_bytes(), deadline);
        self.http = Some(http);
        sent?;
        Ok(())
    }
}

impl fmt::Debug for Pushgateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushgateway").field("server", &shown(&self.server)).finish_non_exhaustive()
    }
}

/// `name/value`, or `name@base64/..` where a path could not carry the value.
fn part(name: &str, value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if !value.is_empty() && value.chars().all(is_plain) && !matches!(value, "." | "..") {
        format!("{name}/{value}")
    } else {
        format!("{name}@base64/{}", base64_url(value.as_bytes()))
    }
}

/// Base64 for paths, without padding; a `=` for nothing at all, as the Pushgateway has it.
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if bytes.is_empty() {
        return "=".to_owned();
    }
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..=three.len() {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(char::from(DIGITS[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_travel_in_the_path() {
        let parts = ["nightly", "", "a/b", "ü", "..", "x y", "abcdef/"].map(|value| part("job", value));
        let expected = [
            "job/nightly",
            "job@base64/=",
            "job@base64/YS9i",
            "job@base64/w7w",
            "job@base64/Li4",
            "job@base64/eCB5",
            "job@base64/YWJjZGVmLw",
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn an_impossible_address_is_an_error_at_once() {
        assert!(Pushgateway::new("127.0.0.1:9091", "a").is_err());
        assert!(Pushgateway::new("http://127.0.0.1:9091", "").is_err());
    }
}
