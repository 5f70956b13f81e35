//! Counters and timings of events, to `StatsD` or `DogStatsD`.

use std::fmt;
use std::net::{ToSocketAddrs, UdpSocket};

use cadence::{MetricSink, UdpMetricSink};

use super::{Handled, subscribes};
use crate::event::{EventExt as _, EventRecord};
use crate::metrics::statsd::lines;

/// Sends a counter for every event of a task or step, and the times that it carries.
///
/// | event | is sent as |
/// | --- | --- |
/// | any `task.*`, `step.*` | `tasker.step.failed:1\|c` |
/// | one with `execution_duration` | `tasker.step.execution_duration:250\|ms` |
/// | one with `queue_time` | `tasker.step.queue_time:3\|ms` |
/// | one with `backoff_seconds` | `tasker.step.backoff:2000\|ms` |
///
/// `DogStatsD` gets the event's tags ([`metric_tags`](crate::EventExt::metric_tags)) and `error_type:`; to plain `StatsD`, which has no tags, the names of task and step are
/// parts of the name: `tasker.step.failed.order_process.charge`.
///
/// It is a translation of events: what the queue drops is not counted there. Figures that must be right whatever happens are
/// the metrics of the life cycle, which [`metrics::statsd`](crate::metrics::statsd) pushes.
///
/// ```no_run
/// use tasker_telemetry::Telemetry;
/// use tasker_telemetry::subscribers::StatsDEvents;
///
/// let events = StatsDEvents::udp("127.0.0.1:8125")?.dog().tag("env", "production");
/// let telemetry = Telemetry::builder().subscriber(events).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StatsDEvents {
    sink: Box<dyn MetricSink + Send>,
    dog: bool,
    prefix: String,
    tags: String,
}

subscribes!(StatsDEvents, ["task.*", "step.*"]);

impl StatsDEvents {
    /// Plain `StatsD` at that address, over UDP.
    ///
    /// # Errors
    /// When the address cannot be resolved, or there is no socket to be had.
    pub fn udp(address: impl ToSocketAddrs) -> std::io::Result<Self> {
        let address = address.to_socket_addrs()?.next();
        let address =
            address.ok_or_else(|| std::io::Error::other("the address of the StatsD server has no IP address"))?;
        let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        Ok(Self::to_sink(UdpMetricSink::from(address, socket).map_err(std::io::Error::other)?))
    }

    /// Plain `StatsD` over a sink of cadence's, or of your own: each text it is given is one datagram, the lines of one event.
    #[must_use]
    pub fn to_sink(sink: impl MetricSink + Send + 'static) -> Self {
        Self { sink: Box::new(sink), dog: false, prefix: "tasker".to_owned(), tags: String::new() }
    }

    /// With tags, as the Datadog agent, Vector, Telegraf and others take them.
    #[must_use]
    pub const fn dog(mut self) -> Self {
        self.dog = true;
        self
    }

    /// What all names begin with, instead of `tasker`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = lines::name(prefix);
        self
    }

    /// A tag that everything is given, `env`, `production`. Only `DogStatsD` has tags.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        lines::tag(&mut self.tags, name, value);
        self
    }

    fn take(&self, event: &EventRecord) -> Handled {
        self.sink.emit(&self.lines(event)).map(|_| ()).map_err(|error| error.to_string())
    }

    fn lines(&self, event: &EventRecord) -> String {
        let (mut place, mut tags) = (String::new(), String::new());
        if self.dog {
            for tag in event.metric_tags() {
                let (name, value) = tag.split_once(':').unwrap_or((&tag, ""));
                lines::tag(&mut tags, name, value);
            }
            if event.payload().get("error_class").is_some() {
                lines::tag(&mut tags, "error_type", &event.error().error_type);
            }
            if !self.tags.is_empty() {
                tags.push_str(if tags.is_empty() { "" } else { "," });
                tags.push_str(&self.tags);
            }
            tags.insert_str(0, if tags.is_empty() { "" } else { "|#" });
        } else {
            for name in event.task_name().into_iter().chain(event.step_name()) {
                place.push('.');
                lines::part(&mut place, name);
            }
        }
        let prefix = if self.prefix.is_empty() { String::new() } else { format!("{}.", self.prefix) };
        let name = event.name();
        let entity = name.split('.').next().unwrap_or_default();
        let mut text = format!("{prefix}{name}{place}:1|c{tags}");
        for (field, timing) in
            [("execution_duration", "execution_duration"), ("queue_time", "queue_time"), ("backoff_seconds", "backoff")]
        {
            let seconds = event.payload().get(field).and_then(serde_json::Value::as_f64);
            if let Some(seconds) = seconds.filter(|seconds| *seconds >= 0.0) {
                let millis = seconds * 1e3;
                // Writing into a String cannot fail.
                let _ = fmt::Write::write_fmt(
                    &mut text,
                    format_args!("\n{prefix}{entity}.{timing}{place}:{millis}|ms{tags}"),
                );
            }
        }
        text
    }
}

impl fmt::Debug for StatsDEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatsDEvents").field("dog", &self.dog).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
