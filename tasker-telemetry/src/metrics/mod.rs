//! Counters, gauges and histograms, recorded on the spot and read by exports.
//!
//! The library records its tasks and steps by itself, directly from the life cycle: metrics go on when nobody subscribes to
//! events, when the queue is full, or when a subscriber fails. Yours go the same way:
//!
//! - as statics: [`Counter`], [`Gauge`], [`Histogram`], best where the metric is known when the program is written;
//! - at run time: [`MetricsBackend::counter`] and its kin, for names and labels that are known only then.
//!
//! Recording is one or two atomic operations; no export can delay it. A metric has at most 2,000 series (a limit that can
//! be set): what is over is recorded in one with the single label `otel_metric_overflow="true"`, so that sums stay right.
//! [`MetricsBackend::render`] writes everything as Prometheus text, `OpenMetrics`, JSON or CSV.
//!
//! | file | subject |
//! | --- | --- |
//! | `cell.rs`, `histogram.rs`, `exemplar.rs`, `shards.rs` | the atomics of one series, and how threads keep out of each other's way |
//! | `short.rs`, `chain.rs` | what several series count in one place |
//! | `steps.rs` | finding the series of a step |
//! | `family.rs`, `registry.rs`, `name.rs`, `error.rs` | a metric and its series; metrics by name; what is allowed |
//! | `user.rs`, `backend.rs` | the two ways in |
//! | `lifecycle.rs`, `error_type.rs`, `books.rs` | what the library says of tasks, steps and itself |
//! | `render/` | the exports |
//! | `serve/` | pages over HTTP |
//! | `push/`, `otlp/`, `pushgateway.rs`, `statsd/` | sending them somewhere |
//! | `ways.rs` | the same where settings say so |

mod backend;
mod books;
#[cfg(feature = "metrics-bridge")]
pub mod bridge;
mod catalog;
mod cell;
mod chain;
mod error;
mod error_type;
mod exemplar;
mod family;
mod histogram;
mod lifecycle;
mod name;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod push;
#[cfg(feature = "otlp")]
pub mod pushgateway;
mod registry;
mod render;
#[cfg(feature = "serve")]
pub mod serve;
mod shards;
mod short;
pub mod span_metrics;
#[cfg(feature = "statsd")]
pub mod statsd;
mod steps;
mod user;
pub(crate) mod ways;

pub use self::backend::MetricsBackend;
pub(crate) use self::backend::Store;
pub use self::catalog::{MetricInfo, catalog};
pub(crate) use self::catalog::{catalog_with, problems_of};
pub use self::cell::{CounterSeries, GaugeSeries};
pub use self::error::MetricError;
pub(crate) use self::error_type::error_type;
pub use self::family::{DEFAULT_SERIES_LIMIT, Handle};
pub use self::histogram::HistogramSeries;
pub(crate) use self::lifecycle::{TaskSeries, Took};
pub use self::name::MetricKind;
pub use self::render::{Format, UnknownFormat};
pub(crate) use self::user::registered;
pub use self::user::{Counter, Gauge, Histogram};
#[doc(hidden)]
pub use self::user::{Declare, MetricEntry, MetricSpec};

/// The upper bounds of a histogram's buckets unless others are given: made for durations in seconds.
pub const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
