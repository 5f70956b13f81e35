//! `StatsD` and `DogStatsD` over UDP (feature `statsd`).
//!
//! ```no_run
//! use std::time::Duration;
//! use tasker_telemetry::Telemetry;
//! use tasker_telemetry::metrics::statsd::StatsD;
//!
//! let telemetry = Telemetry::builder()
//!     .service_name("shop")
//!     .push_metrics(StatsD::udp("127.0.0.1:8125")?, Duration::from_secs(10))
//!     .build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | metric | is sent as |
//! | --- | --- |
//! | counter | what it grew by since the last push, `\|c`; 0 once, so that it is there |
//! | gauge | its value, `\|g`; left out while it is no number |
//! | histogram in seconds | milliseconds, `\|ms` |
//! | any other histogram | `\|ms` to `StatsD`, which knows timers only; `\|h` to `DogStatsD` |
//!
//! The names are the dotted ones. `StatsD` has no labels: their values become parts of the name, in the order of the labels, what
//! is not a letter, a digit, `_` or `-` of ASCII written `_`. `DogStatsD` gets them as tags.
//!
//! **Histograms are told from their buckets**: as many values as there were, each within the bucket of the true one, that add up to
//! the true sum. So count, sum and mean are exact, percentiles within a bucket. Of more than 1,000 values a push and series, some
//! stand for the others by their sample rate (`\|@0.1`): the count stays exact, and servers that scale no sums (Etsy's) then
//! tell less.
//!
//! A datagram that cannot be sent is an error of the push, and what it told is sent with the next. One that is lost on the
//! way is lost: UDP does not tell.

pub(crate) mod lines;

use std::collections::HashMap;
use std::fmt;
use std::net::{ToSocketAddrs, UdpSocket};
use std::time::Instant;

use cadence::{MetricSink, UdpMetricSink};

use self::lines::{Change, Gather};
use super::MetricsBackend;
use super::push::{Push, PushError, Told};

/// What fits into an Ethernet frame with all headers: larger datagrams are cut up on the way, and lost when one part is.
const PACKET: usize = 1_432;

/// Whether labels are tags or parts of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Plain,
    Dog,
}

/// Pushes metrics as `StatsD` does. See the [module](self).
pub struct StatsD {
    sink: Box<dyn MetricSink + Send>,
    dialect: Dialect,
    prefix: String,
    tags: Vec<(String, String)>,
    packet: usize,
    told: HashMap<String, Told>,
}

impl StatsD {
    /// Plain `StatsD` at that address, over UDP.
    ///
    /// # Errors
    /// When the address cannot be resolved, or there is no socket to be had.
    pub fn udp(address: impl ToSocketAddrs) -> std::io::Result<Self> {
        let address = address.to_socket_addrs()?.next();
        let address =
            address.ok_or_else(|| std::io::Error::other("the address of the StatsD server has no IP address"))?;
        let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        let sink = UdpMetricSink::from(address, socket).map_err(std::io::Error::other)?;
        Ok(Self::to_sink(sink))
    }

    /// Plain `StatsD` over a sink of cadence's, or of your own: each text it is given is one datagram.
    #[must_use]
    pub fn to_sink(sink: impl MetricSink + Send + 'static) -> Self {
        Self {
            sink: Box::new(sink),
            dialect: Dialect::Plain,
            prefix: String::new(),
            tags: Vec::new(),
            packet: PACKET,
            told: HashMap::new(),
        }
    }

    /// Labels as tags, as the Datadog agent, Vector, Telegraf and others take them.
    #[must_use]
    pub const fn dog(mut self) -> Self {
        self.dialect = Dialect::Dog;
        self
    }

    /// What all names begin with: `shop` makes `shop.tasker.task.executions`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = lines::name(prefix);
        self
    }

    /// A tag that everything is given, `env`, `production`. Only `DogStatsD` has tags. The filter holds for it as for any label.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.tags.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How many bytes a datagram may have. Default: 1,432. A single line that is longer goes alone.
    #[must_use]
    pub const fn max_packet(mut self, bytes: usize) -> Self {
        self.packet = bytes;
        self
    }

    /// Sends the changes, several in a datagram; notes what was sent. At the first that fails the rest stays untold.
    fn send(&mut self, changes: Vec<Change>, deadline: Instant) -> Result<(), PushError> {
        let mut packet = String::new();
        let mut in_packet: Vec<(String, Told)> = Vec::new();
        for change in changes {
            for line in change.lines {
                if !packet.is_empty() && packet.len() + 1 + line.len() > self.packet {
                    self.emit(&mut packet, &mut in_packet, deadline)?;
                }
                if !packet.is_empty() {
                    packet.push('\n');
                }
                packet.push_str(&line);
            }
            if let Some(told) = change.told {
                in_packet.push((change.key, told));
            }
        }
        self.emit(&mut packet, &mut in_packet, deadline)
    }

    fn emit(
        &mut self,
        packet: &mut String,
        told: &mut Vec<(String, Told)>,
        deadline: Instant,
    ) -> Result<(), PushError> {
        if packet.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(PushError::Late);
        }
        self.sink.emit(packet)?;
        self.told.extend(told.drain(..));
        packet.clear();
        Ok(())
    }
}

impl Push for StatsD {
    fn name(&self) -> &'static str {
        "statsd"
    }

    fn push(&mut self, metrics: &MetricsBackend, deadline: Instant) -> Result<(), PushError> {
        let mut tags = String::new();
        for (name, value) in &self.tags {
            lines::tag(&mut tags, name, &metrics.shown_label(name, value));
        }
        let mut gather = Gather::new(self.dialect, &self.prefix, &tags);
        metrics.visit(&mut gather);
        let changes = gather.changes(&self.told);
        self.send(changes, deadline)?;
        self.sink.flush()?;
        Ok(())
    }
}

impl fmt::Debug for StatsD {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatsD")
            .field("dialect", &self.dialect)
            .field("prefix", &self.prefix)
            .field("series", &self.told.len())
            .finish_non_exhaustive()
    }
}
