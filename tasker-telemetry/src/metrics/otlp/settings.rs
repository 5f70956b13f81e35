//! Where metrics go and how: said in code, else by the standard variables, else the standard's defaults.

use std::fmt;
use std::time::Duration;

use super::OtlpPush;
use super::encode::Encoder;
use crate::credentials::{names, shown};
use crate::otlp::{BadTarget, Http};
use crate::resource::Resource;
use crate::settings::Value;
use crate::time::Timestamp;
use crate::variables::{InvalidVariable, Variables};

/// Since when sums are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Temporality {
    /// Since the telemetry was built, as Prometheus and most others want it.
    #[default]
    Cumulative,
    /// Since the last push that arrived, as Datadog, Dynatrace and some others do.
    Delta,
}

/// The settings of metrics over OTLP. See the [module](super).
#[derive(Clone, Default)]
#[must_use]
pub struct OtlpMetrics {
    endpoint: Option<String>,
    headers: Vec<(String, String)>,
    gzip: Option<bool>,
    timeout: Option<Duration>,
    temporality: Option<Temporality>,
    every: Option<Duration>,
}

impl OtlpMetrics {
    /// What the variables say; by default to `http://localhost:4318`, cumulative, every minute.
    pub fn new() -> Self {
        Self::default()
    }

    /// The address of the server, to which `/v1/metrics` is added, as it is to `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// One more header of every request. It beats one of that name in `OTEL_EXPORTER_OTLP_HEADERS`.
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

    /// Since when sums are told. Default: `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`, else cumulative.
    pub const fn temporality(mut self, temporality: Temporality) -> Self {
        self.temporality = Some(temporality);
        self
    }

    /// How often they are sent. Default: `OTEL_METRIC_EXPORT_INTERVAL`, else a minute.
    pub const fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval);
        self
    }

    /// What code says here, as values of options.
    pub(crate) fn said(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &str| Value::Text(text.to_owned());
        let temporality = self.temporality.map(|temporality| match temporality {
            Temporality::Cumulative => "cumulative",
            Temporality::Delta => "delta",
        });
        let headers = (!self.headers.is_empty()).then(|| Value::Pairs(self.headers.clone()));
        [
            ("otlp.metrics.endpoint", self.endpoint.as_deref().map(text)),
            ("otlp.metrics.headers", headers),
            ("otlp.metrics.compression", self.gzip.map(|gzip| text(if gzip { "gzip" } else { "none" }))),
            ("otlp.metrics.timeout", self.timeout.map(Value::Time)),
            ("metrics_temporality", temporality.map(text)),
            ("metrics_interval", self.every.map(Value::Time)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }

    /// Decides everything.
    pub(crate) fn resolve(self, variables: &Variables) -> Result<Target, InvalidVariable> {
        if let Some((name, value)) = first(variables, "PROTOCOL")
            && value != "http/protobuf"
        {
            let only = "metrics are sent as `http/protobuf` only; other signals have a protocol of their own \
                (`otlp.traces.protocol`, `otlp.logs.protocol`)";
            return Err(InvalidVariable::new(&name, &value, only));
        }
        let gzip = match (self.gzip, first(variables, "COMPRESSION")) {
            (Some(gzip), _) => gzip,
            (None, None) => false,
            (None, Some((name, value))) => match value.as_str() {
                "gzip" => true,
                "none" => false,
                _ => return Err(InvalidVariable::new(&name, &value, "known are `gzip` and `none`")),
            },
        };
        let mut headers = variables.pairs("OTEL_EXPORTER_OTLP_HEADERS")?;
        for (name, value) in variables.pairs("OTEL_EXPORTER_OTLP_METRICS_HEADERS")?.into_iter().chain(self.headers) {
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        let timeout = variables.millis(&["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])?;
        let every = variables.millis(&["OTEL_METRIC_EXPORT_INTERVAL"])?;
        Ok(Target {
            url: url(self.endpoint, variables),
            headers,
            gzip,
            certificate: first(variables, "CERTIFICATE").map(|(_, path)| path),
            timeout: self.timeout.or(timeout).unwrap_or(Duration::from_secs(10)),
            temporality: match self.temporality {
                Some(temporality) => temporality,
                None => temporality(variables)?,
            },
            every: self.every.or(every).unwrap_or(Duration::from_mins(1)),
        })
    }
}

/// Never the values of headers: they hold credentials.
impl fmt::Debug for OtlpMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpMetrics")
            .field("endpoint", &self.endpoint.as_deref().map(shown))
            .field("headers", &names(&self.headers))
            .finish_non_exhaustive()
    }
}

/// Everything decided.
pub(crate) struct Target {
    url: String,
    headers: Vec<(String, String)>,
    gzip: bool,
    certificate: Option<String>,
    timeout: Duration,
    temporality: Temporality,
    pub(crate) every: Duration,
}

impl Target {
    /// All of it, credentials included, for tests.
    #[cfg(test)]
    pub(crate) fn everything(&self) -> String {
        let Self { url, headers, gzip, certificate, timeout, temporality, every } = self;
        format!("{url} {headers:?} {gzip} {certificate:?} {timeout:?} {temporality:?} {every:?}")
    }

    pub(crate) fn push(self, resource: &Resource) -> Result<OtlpPush, BadTarget> {
        let http = Http::new(&self.url, &self.headers, self.gzip, self.certificate.as_deref())?;
        let encoder = Encoder::new(resource, self.temporality, Timestamp::now().as_unix_nanos());
        Ok(OtlpPush { http, url: self.url, encoder, limit: self.timeout })
    }
}

/// The variable of metrics, else that of all signals, with its name.
fn first(variables: &Variables, what: &str) -> Option<(String, String)> {
    let names = [format!("OTEL_EXPORTER_OTLP_METRICS_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
    names.into_iter().find_map(|name| variables.get(&name).map(|value| (name, value)))
}

/// The variable of metrics is the whole address; anything else is what the path is added to.
fn url(endpoint: Option<String>, variables: &Variables) -> String {
    let base = match (endpoint, variables.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")) {
        (Some(base), _) => base,
        (None, Some(url)) => return url,
        (None, None) => {
            variables.get("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_else(|| "http://localhost:4318".to_owned())
        }
    };
    let base = if base.contains("://") { base } else { format!("http://{base}") };
    let base = base.trim_end_matches('/');
    let base = base.strip_suffix("/v1/metrics").unwrap_or(base);
    format!("{base}/v1/metrics")
}

fn temporality(variables: &Variables) -> Result<Temporality, InvalidVariable> {
    const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let value = variables.get(NAME).unwrap_or_default();
    match value.to_ascii_lowercase().as_str() {
        "" | "cumulative" => Ok(Temporality::Cumulative),
        // All our sums are counters and histograms, which both want as deltas.
        "delta" | "lowmemory" => Ok(Temporality::Delta),
        _ => Err(InvalidVariable::new(NAME, &value, "known are `cumulative`, `delta` and `lowmemory`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Variables {
        Variables::Given(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn metrics_own_variable_is_stronger_and_code_is_strongest() {
        let variables = given(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1/base/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "k=common,other=1"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "K=own"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ]);
        let target = OtlpMetrics::new().resolve(&variables).unwrap();
        assert_eq!(target.url, "http://a:1/base/v1/metrics");
        assert_eq!(target.headers, [("other", "1"), ("K", "own")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!((target.gzip, target.temporality), (true, Temporality::Delta));
        assert_eq!((target.timeout, target.every), (Duration::from_secs(1), Duration::from_secs(5)));
        let code = OtlpMetrics::new().endpoint("b:2").gzip(false).temporality(Temporality::Cumulative);
        let target = code.every(Duration::from_secs(1)).resolve(&variables).unwrap();
        assert_eq!((target.url.as_str(), target.gzip), ("http://b:2/v1/metrics", false));
        assert_eq!((target.temporality, target.every), (Temporality::Cumulative, Duration::from_secs(1)));
        let own = given(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:3/odd")]);
        assert_eq!(OtlpMetrics::new().resolve(&own).unwrap().url, "http://c:3/odd");
        let none = OtlpMetrics::new().resolve(&given(&[])).unwrap();
        assert_eq!((none.url.as_str(), none.every), ("http://localhost:4318/v1/metrics", Duration::from_mins(1)));
    }

    #[test]
    fn what_cannot_be_is_an_error_that_names_it() {
        for (name, value, says) in [
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes", "delta"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1m", "milliseconds"),
        ] {
            let error = OtlpMetrics::new().resolve(&given(&[(name, value)])).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains(says), "{error}");
        }
    }
}
