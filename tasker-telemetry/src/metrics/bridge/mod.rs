//! A bridge to and from the facade `metrics` 0.24 (feature `metrics-bridge`).
//!
//! **From it:** [`Recorder`] is what its macros record into, so that the metrics of libraries that use the facade are in all exports
//! of a telemetry:
//!
//! ```
//! use tasker_telemetry::Telemetry;
//! use tasker_telemetry::metrics::Format;
//! use tasker_telemetry::metrics::bridge::Recorder;
//! # use metrics_facade as metrics;
//!
//! let telemetry = Telemetry::builder().auto_subscribers(false).build()?;
//! let recorder = Recorder::new(telemetry.metrics()); // for the process: metrics::set_global_recorder(recorder)
//! metrics::with_local_recorder(&recorder, || metrics::counter!("http_requests", "method" => "GET").increment(2));
//! assert!(telemetry.metrics().render(Format::Prometheus).contains("http_requests_total{method=\"GET\"} 2\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **To it:** [`ToFacade`] is a [`Push`](super::push::Push) that hands everything to a recorder of the facade, such as an exporter that
//! the program has anyway. Not both for one telemetry: a histogram would be counted again with each push.
//!
//! | facade | here |
//! | --- | --- |
//! | names and labels with other characters than letters, digits, `_` and `.` | `_` in their place; `m_` before one that begins with none |
//! | a name that begins with `tasker` | `m_` before it |
//! | `absolute` of a counter | raises it to that number; exact while one caller does it |
//! | `describe_*` | the help of metrics that have none; units are not made part of names |
//! | series with one name and different labels | stay one metric |
//! | histograms | the buckets of [`Recorder::buckets`]; pushed to the facade as values within the buckets, with the true number and sum |
//!
//! What cannot be recorded (a name used for another kind of metric, too many metrics) is counted, [`Recorder::refused`], and logged once.

mod from;
mod to;

pub use self::from::Recorder;
pub use self::to::ToFacade;
