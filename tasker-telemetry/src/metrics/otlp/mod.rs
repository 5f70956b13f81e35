//! Metrics over OTLP, http/protobuf (feature `otlp`).
//!
//! ```no_run
//! use std::time::Duration;
//! use tasker_telemetry::Telemetry;
//! use tasker_telemetry::metrics::otlp::{OtlpMetrics, Temporality};
//!
//! let metrics = OtlpMetrics::new().endpoint("http://127.0.0.1:4318").temporality(Temporality::Delta);
//! let telemetry = Telemetry::builder().service_name("shop").otlp_metrics_with(metrics.every(Duration::from_secs(10))).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is not said in code is taken from the standard variables, `OTEL_EXPORTER_OTLP_METRICS_..` before `OTEL_EXPORTER_OTLP_..`, and
//! `OTEL_METRIC_EXPORT_INTERVAL` (default: a minute). Metrics are sent that often and when the telemetry is flushed or shut down,
//! with dotted names, units of UCUM (`s`, `By`), and the trace ids of exemplars.
//!
//! A push that fails is repeated by the next one: nothing is lost but the moment, cumulative or delta.

mod encode;
mod settings;

use std::time::Instant;

use self::encode::{Encoder, Series};
pub use self::settings::{OtlpMetrics, Temporality};
use super::MetricsBackend;
use super::push::{Push, PushError};
use crate::otlp::{Http, PROTOBUF, partial_success};
use crate::time::Timestamp;

/// Pushes them.
pub(crate) struct OtlpPush {
    http: Http,
    url: String,
    encoder: Encoder,
    limit: std::time::Duration,
}

impl Push for OtlpPush {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn push(&mut self, metrics: &MetricsBackend, deadline: Instant) -> Result<(), PushError> {
        let mut series = Series::default();
        let now = Timestamp::now().as_unix_nanos();
        metrics.visit(&mut series);
        let (body, told) = self.encoder.request(&series, now);
        let deadline = deadline.min(Instant::now() + self.limit);
        let answer = self.http.post(&self.url, PROTOBUF, body, deadline)?;
        self.encoder.was_sent(told, now);
        let sent = partial_success(&answer);
        match sent.message {
            Some(message) if sent.rejected > 0 => {
                Err(PushError::Refused(format!("{} values were refused: {message}", sent.rejected)))
            }
            Some(message) => {
                tracing::debug!(target: "tasker_telemetry", "the OTLP server says of metrics: {message}");
                Ok(())
            }
            None if sent.rejected > 0 => Err(PushError::Refused(format!("{} values were refused", sent.rejected))),
            None => Ok(()),
        }
    }
}
