//! Ways for metrics to leave that settings name: a Pushgateway, `StatsD`, pages over HTTP. In code they are objects of their own.

use std::time::Duration;

use crate::telemetry::{BuildError, Builder};

/// What settings say of them; `None`: nothing.
#[derive(Default)]
pub(crate) struct Ways {
    pub(crate) pushgateway_url: Option<String>,
    pub(crate) pushgateway_job: Option<String>,
    pub(crate) pushgateway_labels: Option<Vec<(String, String)>>,
    pub(crate) pushgateway_headers: Option<Vec<(String, String)>>,
    pub(crate) pushgateway_interval: Option<Duration>,
    pub(crate) statsd_address: Option<String>,
    pub(crate) statsd_dialect: Option<String>,
    pub(crate) statsd_prefix: Option<String>,
    pub(crate) statsd_tags: Option<Vec<(String, String)>>,
    pub(crate) statsd_max_packet: Option<usize>,
    pub(crate) statsd_interval: Option<Duration>,
    pub(crate) serve_address: Option<String>,
    pub(crate) serve_token: Option<String>,
}

#[cfg(any(feature = "otlp", feature = "statsd", feature = "serve"))]
fn said(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(any(feature = "otlp", feature = "statsd", feature = "serve"))]
fn failed(exporter: &'static str, error: &std::io::Error) -> BuildError {
    BuildError::Exporter { exporter, problem: error.to_string() }
}

impl Builder {
    /// Adds the pushes that settings name.
    #[cfg_attr(
        not(any(feature = "otlp", feature = "statsd")),
        allow(clippy::unnecessary_wraps, unused_mut, reason = "there is nothing to push to")
    )]
    pub(crate) fn with_named_pushes(mut self) -> Result<Self, BuildError> {
        #[cfg(feature = "otlp")]
        if let Some(url) = said(self.ways.pushgateway_url.as_ref()) {
            let job = said(self.ways.pushgateway_job.as_ref()).or(self.service_name.as_deref()).unwrap_or("tasker");
            let gateway = super::pushgateway::Pushgateway::new(url, job);
            let mut gateway = gateway.map_err(|error| failed("pushgateway", &error))?;
            for (name, value) in self.ways.pushgateway_labels.iter().flatten() {
                gateway = gateway.label(name, value);
            }
            for (name, value) in self.ways.pushgateway_headers.iter().flatten() {
                gateway = gateway.header(name, value);
            }
            let every = self.ways.pushgateway_interval.unwrap_or(Duration::from_mins(1));
            self = self.push_metrics(gateway, every);
        }
        #[cfg(feature = "statsd")]
        if let Some(address) = said(self.ways.statsd_address.as_ref()) {
            let ways = &self.ways;
            let mut statsd = super::statsd::StatsD::udp(address).map_err(|error| failed("statsd", &error))?;
            if ways.statsd_dialect.as_deref() == Some("dogstatsd") {
                statsd = statsd.dog();
            }
            if let Some(prefix) = said(ways.statsd_prefix.as_ref()) {
                statsd = statsd.prefix(prefix);
            }
            for (name, value) in ways.statsd_tags.iter().flatten() {
                statsd = statsd.tag(name, value);
            }
            if let Some(bytes) = ways.statsd_max_packet {
                statsd = statsd.max_packet(bytes);
            }
            let every = ways.statsd_interval.unwrap_or(Duration::from_secs(10));
            self = self.push_metrics(statsd, every);
        }
        Ok(self)
    }
}

impl Ways {
    /// Serves the pages where settings say so.
    #[cfg(feature = "serve")]
    pub(crate) fn serve(&self, metrics: super::MetricsBackend) -> Result<Option<super::serve::Server>, BuildError> {
        let Some(address) = said(self.serve_address.as_ref()) else { return Ok(None) };
        let token = self.serve_token.as_deref().unwrap_or_default();
        let server = super::serve::Pages::new(metrics).bearer_token(token).serve(address);
        server.map(Some).map_err(|error| failed("serve", &error))
    }
}
