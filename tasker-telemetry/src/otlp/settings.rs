//! Where OTLP goes and how: said in code, else by the standard variables, else the standard's defaults.

use std::fmt;
use std::time::Duration;

use crate::credentials::{names, shown};
use crate::settings::Value;
use crate::trace::{Batching, batching};
use crate::variables::{InvalidVariable, Variables};

/// The settings of an OTLP exporter. What is not said here is taken from the standard variables (`OTEL_EXPORTER_OTLP_*`, those
/// with `TRACES` first; `OTEL_BSP_*`), and what they do not say is the standard's default.
///
/// ```
/// use std::time::Duration;
/// use tasker_telemetry::Telemetry;
/// use tasker_telemetry::trace::Otlp;
///
/// let honeycomb = Otlp::http()
///     .endpoint("http://127.0.0.1:4318")
///     .header("x-honeycomb-team", "the key")
///     .gzip(true)
///     .timeout(Duration::from_secs(5));
/// let builder = Telemetry::builder().service_name("shop").otlp_with(honeycomb);
/// # let _ = builder;
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Otlp {
    pub(super) protocol: Option<Protocol>,
    pub(super) endpoint: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) gzip: Option<bool>,
    pub(super) timeout: Option<Duration>,
    pub(super) queue: Option<usize>,
    pub(super) batch: Option<usize>,
    pub(super) delay: Option<Duration>,
}

/// How OTLP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Grpc,
}

/// Everything decided.
#[derive(Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) protocol: Protocol,
    /// For HTTP the address of the traces, for gRPC that of the server.
    pub(crate) traces: String,
    pub(crate) logs: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) gzip: bool,
    /// A PEM file with the certificates to trust.
    pub(crate) certificate: Option<String>,
    pub(crate) batching: Batching,
}

impl Otlp {
    /// What the variables say (`OTEL_EXPORTER_OTLP_PROTOCOL`), by default HTTP with protobuf.
    pub fn new() -> Self {
        Self::default()
    }

    /// HTTP with protobuf; by default to `http://localhost:4318`.
    pub fn http() -> Self {
        Self { protocol: Some(Protocol::Http), ..Self::default() }
    }

    /// gRPC, with the feature `grpc`; by default to `http://localhost:4317`.
    #[cfg(feature = "grpc")]
    pub fn grpc() -> Self {
        Self { protocol: Some(Protocol::Grpc), ..Self::default() }
    }

    /// The address of the server. HTTP adds `/v1/traces` to it, as it does to `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// One more header of every request: a key, a tenant. It beats one of that name in `OTEL_EXPORTER_OTLP_HEADERS`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Whether requests are compressed. Default: no.
    pub const fn gzip(mut self, gzip: bool) -> Self {
        self.gzip = Some(gzip);
        self
    }

    /// How long one request may take. Default: 10 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How many spans may wait; what is over is dropped and counted. Default: 131,072.
    pub const fn queue(mut self, spans: usize) -> Self {
        self.queue = Some(spans);
        self
    }

    /// How many spans one request has at most. Default: 4,096.
    pub const fn batch(mut self, spans: usize) -> Self {
        self.batch = Some(spans);
        self
    }

    /// How long a span waits for others before it is sent. Default: 1 s.
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// What code says here, as values of options.
    pub(crate) fn said(&self) -> Vec<(&'static str, Value)> {
        let protocol = self.protocol.map(|protocol| match protocol {
            Protocol::Http => "http/protobuf",
            Protocol::Grpc => "grpc",
        });
        let shape = self.protocol.unwrap_or(Protocol::Http);
        let count = |count: usize| Value::Count(u64::try_from(count).unwrap_or(u64::MAX));
        let text = |text: &str| Value::Text(text.to_owned());
        let headers = (!self.headers.is_empty()).then(|| Value::Pairs(self.headers.clone()));
        [
            ("otlp.traces.protocol", protocol.map(text)),
            ("otlp.traces.endpoint", self.endpoint.as_deref().map(|base| text(&both(shape, base).0))),
            ("otlp.traces.headers", headers),
            ("otlp.traces.compression", self.gzip.map(|gzip| text(if gzip { "gzip" } else { "none" }))),
            ("otlp.traces.timeout", self.timeout.map(Value::Time)),
            ("spans.queue", self.queue.map(count)),
            ("spans.batch", self.batch.map(count)),
            ("spans.delay", self.delay.map(Value::Time)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }

    /// Decides everything.
    pub(crate) fn resolve(self, variables: &Variables) -> Result<Target, InvalidVariable> {
        let protocol = match self.protocol {
            Some(protocol) => protocol,
            None => protocol_of(variables)?,
        };
        let (traces, logs) = match self.endpoint {
            Some(base) => both(protocol, &base),
            None => endpoints(protocol, variables),
        };
        let mut headers = variables.pairs("OTEL_EXPORTER_OTLP_HEADERS")?;
        for (name, value) in variables.pairs("OTEL_EXPORTER_OTLP_TRACES_HEADERS")?.into_iter().chain(self.headers) {
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        let gzip = match self.gzip {
            Some(gzip) => gzip,
            None => compression(variables)?,
        };
        let certificate = variables.first(&["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]);
        let timeout = variables.millis(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])?;
        let common = batching(variables)?;
        let batching = Batching {
            timeout: self.timeout.or(timeout).unwrap_or(common.timeout),
            queue: self.queue.unwrap_or(common.queue),
            batch: self.batch.unwrap_or(common.batch).max(1),
            delay: self.delay.unwrap_or(common.delay),
            patience: common.patience,
        };
        Ok(Target { protocol, traces, logs, headers, gzip, certificate: certificate.map(|(_, path)| path), batching })
    }
}

impl Protocol {
    /// As a variable names it.
    pub(super) fn named(variable: &str, name: &str) -> Result<Self, InvalidVariable> {
        match name {
            "http/protobuf" => Ok(Self::Http),
            "grpc" if cfg!(feature = "grpc") => Ok(Self::Grpc),
            "grpc" => Err(InvalidVariable::new(variable, name, "needs the feature `grpc` of tasker-telemetry")),
            _ => Err(InvalidVariable::new(variable, name, "known are `http/protobuf` and `grpc`")),
        }
    }

    pub(super) const fn default_server(self) -> &'static str {
        match self {
            Self::Http => "http://localhost:4318",
            Self::Grpc => "http://localhost:4317",
        }
    }
}

fn protocol_of(variables: &Variables) -> Result<Protocol, InvalidVariable> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    variables.first(&names).map_or(Ok(Protocol::Http), |(name, value)| Protocol::named(name, &value))
}

fn compression(variables: &Variables) -> Result<bool, InvalidVariable> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
    match variables.first(&names) {
        None => Ok(false),
        Some((name, value)) => match value.as_str() {
            "gzip" => Ok(true),
            "none" => Ok(false),
            _ => Err(InvalidVariable::new(name, &value, "known are `gzip` and `none`")),
        },
    }
}

/// A signal's own variable is the whole address; the common one is what the signal's path is added to.
fn endpoints(protocol: Protocol, variables: &Variables) -> (String, String) {
    let base = variables.get("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_else(|| protocol.default_server().to_owned());
    let (traces, logs) = both(protocol, &base);
    let own = |name| variables.get(name);
    (
        own("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").unwrap_or(traces),
        own("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT").unwrap_or(logs),
    )
}

fn both(protocol: Protocol, base: &str) -> (String, String) {
    // Given with the path already, as people do.
    let base = match protocol {
        Protocol::Http => base.trim_end_matches('/').strip_suffix("/v1/traces").unwrap_or(base),
        Protocol::Grpc => base,
    };
    (address(protocol, base, "/v1/traces"), address(protocol, base, "/v1/logs"))
}

/// The address of a signal at that server: gRPC has no paths of its own.
pub(super) fn address(protocol: Protocol, base: &str, path: &str) -> String {
    let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
    match protocol {
        Protocol::Http => format!("{}{path}", base.trim_end_matches('/')),
        Protocol::Grpc => base,
    }
}

#[cfg(test)]
impl Target {
    /// All of it, credentials included, for tests.
    pub(crate) fn everything(&self) -> String {
        format!("{self:?} {} {:?} {:?}", self.logs, self.headers, self.certificate)
    }
}

/// Never the values of headers: they hold credentials.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("protocol", &self.protocol)
            .field("traces", &shown(&self.traces))
            .field("headers", &names(&self.headers))
            .field("gzip", &self.gzip)
            .field("batching", &self.batching)
            .finish_non_exhaustive()
    }
}

/// Never the values of headers, either.
impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp")
            .field("protocol", &self.protocol)
            .field("endpoint", &self.endpoint.as_deref().map(shown))
            .field("headers", &names(&self.headers))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Variables {
        Variables::Given(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_defaults_are_the_standards() {
        let target = Otlp::new().resolve(&given(&[])).unwrap();
        assert_eq!(target.traces, "http://localhost:4318/v1/traces");
        assert_eq!((target.protocol, target.gzip, target.batching), (Protocol::Http, false, Batching::default()));
    }

    #[test]
    fn a_signals_own_variable_is_stronger_and_code_is_strongest() {
        let variables = given(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1/base/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "k=common,other=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "K=own"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "7"),
        ]);
        let target = Otlp::new().resolve(&variables).unwrap();
        assert_eq!(target.traces, "http://a:1/base/v1/traces");
        assert_eq!(target.logs, "http://a:1/base/v1/logs");
        assert_eq!(target.headers, [("other", "1"), ("K", "own")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!((target.gzip, target.batching.queue), (true, 7));
        assert_eq!(target.batching.timeout, Duration::from_secs(1));
        let code = Otlp::http().endpoint("b:2").gzip(false).queue(9).timeout(Duration::from_secs(3)).header("k", "x");
        let target = code.resolve(&variables).unwrap();
        assert_eq!((target.traces.as_str(), target.gzip, target.batching.queue), ("http://b:2/v1/traces", false, 9));
        assert_eq!(target.headers.last().unwrap().1, "x");
        let own = given(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:3/odd")]);
        assert_eq!(Otlp::new().resolve(&own).unwrap().traces, "http://c:3/odd");
    }

    #[test]
    fn what_cannot_be_is_an_error_that_names_it() {
        for (name, value, says) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "at least 1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"),
        ] {
            let error = Otlp::new().resolve(&given(&[(name, value)])).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_target_is_shown_without_its_credentials() {
        let target = Otlp::http().header("x-key", "s3cret").resolve(&given(&[])).unwrap();
        let otlp = Otlp::http().header("x-key", "s3cret").endpoint("http://u:s3cret@a:1");
        for shown in [format!("{target:?}"), format!("{otlp:?}")] {
            assert!(shown.contains("x-key") && !shown.contains("s3cret"), "{shown}");
        }
    }
}
