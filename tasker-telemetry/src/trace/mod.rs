//! One true trace per task: spans, the ids that tie them together, and where they go.
//!
//! The life cycle publishes what happened; behind the publisher's queue the `TelemetrySubscriber` makes a [`Span`] of each end,
//! with its true start, and hands it to every exporter. No span is held open: what is under way costs no memory here.
//!
//! - which spans: a task is `tasker.task.execution`, each attempt of a step `tasker.step.execution`; a call that a handler of an
//!   HTTP service makes is a span of kind client, named by its method and path template
//! - which ids: [`TraceId`] and root span are functions of the task's id, so any process finds them without asking
//! - which tasks: [`Sampling`]
//! - where to: [`Otlp`], the console ([`Waterfall`]), [`InMemorySpans`], or any exporter of the `opentelemetry` crate (feature `otel-sdk`)
//! - over processes: [`Carrier`]
//!
//! ```
//! use tasker_telemetry::prelude::*;
//! use tasker_telemetry::trace::{InMemorySpans, Sampling, TraceParenting};
//!
//! #[task(id = "0190a5b6-7c8d-7e9f-8a0b-1c2d3e4f5061")]
//! fn order_process() {}
//!
//! let spans = InMemorySpans::default();
//! let telemetry = Telemetry::builder()
//!     .auto_subscribers(false)
//!     .in_memory_spans(spans.clone())
//!     .sampling(Sampling::all())
//!     .trace_parenting(TraceParenting::Link)
//!     .build()?;
//! telemetry.in_scope(order_process);
//! telemetry.flush_blocking()?;
//! assert_eq!(spans.spans()[0].trace_id().to_string(), "0190a5b67c8d7e9f8a0b1c2d3e4f5061");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assembler;
mod books;
mod builder;
mod call;
mod carried;
mod carrier;
#[cfg(feature = "console")]
mod console;
mod export;
mod ids;
mod memory;
mod plan;
mod runs;
mod sampling;
mod span;
mod subscriber;
mod task;
mod undecided;
mod w3c;
#[cfg(feature = "console")]
mod waterfall;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use self::books::{ExporterHealth, SpansHealth};
pub(crate) use self::call::Call;
#[cfg(feature = "api")]
pub(crate) use self::call::OpenCall;
pub(crate) use self::carried::CarriedSpan;
pub use self::carrier::{Carrier, CarrierError};
pub(crate) use self::export::{Again, Batching, SendError, Sent, Sink, SpanSink};
pub use self::ids::{InvalidId, SpanId, TraceId};
pub use self::memory::InMemorySpans;
pub(crate) use self::plan::{
    SinkPlan, batching, exception_signals, exporters, exports_logs, metric_exporters, resolve, sampler,
};
use self::sampling::LiveSampling;
pub use self::sampling::Sampling;
pub(crate) use self::span::{AttributeValue, Link, Rules, visit_exception};
pub use self::span::{Span, SpanEvent, SpanKind, SpanStatus};
pub use self::task::TraceParenting;
pub(crate) use self::task::{Recording, TaskTrace};
pub use self::w3c::{InvalidTraceparent, Remote};
#[cfg(feature = "console")]
pub use self::waterfall::Waterfall;
#[cfg(feature = "otlp")]
pub use crate::otlp::Otlp;

use self::assembler::{Assembler, OpenTasks};
use self::books::Totals;
#[cfg(feature = "console")]
use self::console::Console;
pub(crate) use self::export::Exporter;
use self::runs::Runs;
use self::subscriber::TelemetrySubscriber;
use self::undecided::{Budget, Undecided};
use crate::id::TaskId;
use crate::lifecycle::TaskCore;
use crate::publisher::{Record, RecordSink};
use crate::time::Timestamp;

/// What the builder says about traces, and other sources of settings where it says nothing.
#[derive(Debug, Default)]
pub(crate) struct TraceOptions {
    pub(crate) ratio: Option<f64>,
    pub(crate) keep_failures: Option<bool>,
    pub(crate) parent_based: Option<bool>,
    pub(crate) parenting: Option<TraceParenting>,
    pub(crate) success_is_ok: Option<bool>,
    pub(crate) undecided_spans: Option<usize>,
    pub(crate) open_task_limit: Option<usize>,
    pub(crate) open_task_ttl: Option<Duration>,
    pub(crate) baggage_keys: Option<Vec<String>>,
    pub(crate) log_spans: Option<bool>,
    pub(crate) span_metrics: Option<bool>,
}

impl TraceOptions {
    /// With the defaults for what nobody said.
    pub(crate) fn settle(self, exception_events: bool) -> TraceSettings {
        let default = TraceSettings::default();
        let sampling = self.ratio.map_or(default.sampling, Sampling::ratio);
        TraceSettings {
            sampling: sampling
                .keep_failures_if(self.keep_failures.unwrap_or(false))
                .parent_based(self.parent_based.unwrap_or(true)),
            parenting: self.parenting.unwrap_or_default(),
            rules: Rules { success_is_ok: self.success_is_ok.unwrap_or(true), exception_events },
            undecided_spans: self.undecided_spans.unwrap_or(default.undecided_spans),
            open_task_limit: self.open_task_limit.unwrap_or(default.open_task_limit),
            open_task_ttl: self.open_task_ttl.unwrap_or(default.open_task_ttl),
            baggage_keys: self.baggage_keys.unwrap_or_default(),
            log_spans: self.log_spans.unwrap_or(default.log_spans),
        }
    }
}

/// What was decided about traces.
#[derive(Debug)]
pub(crate) struct TraceSettings {
    pub(crate) sampling: Sampling,
    pub(crate) parenting: TraceParenting,
    pub(crate) rules: Rules,
    pub(crate) undecided_spans: usize,
    pub(crate) open_task_limit: usize,
    pub(crate) open_task_ttl: Duration,
    pub(crate) baggage_keys: Vec<String>,
    pub(crate) log_spans: bool,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            sampling: Sampling::all(),
            parenting: TraceParenting::Link,
            rules: Rules::default(),
            undecided_spans: 100_000,
            open_task_limit: 100_000,
            open_task_ttl: Duration::from_hours(24),
            baggage_keys: Vec::new(),
            log_spans: true,
        }
    }
}

/// What makes spans in one telemetry.
pub(crate) struct Tracing {
    settings: TraceSettings,
    sampling: LiveSampling,
    runs: Runs,
    undecided: Arc<Budget>,
    open: Arc<OpenTasks>,
    exporters: Arc<[Exporter<Span>]>,
    totals: Arc<Totals>,
}

impl Tracing {
    /// Starts a thread for each exporter; also gives what makes the spans.
    pub(crate) fn start(
        settings: TraceSettings,
        sinks: Vec<(Box<dyn SpanSink>, Batching)>,
    ) -> std::io::Result<(Self, Box<dyn RecordSink>)> {
        let exporters = sinks.into_iter().map(|(sink, batching)| Exporter::start(sink, batching));
        let exporters: Arc<[Exporter<Span>]> = exporters.collect::<std::io::Result<Vec<_>>>()?.into();
        let totals = Arc::new(Totals::default());
        let open = Arc::new(OpenTasks::new(settings.open_task_limit, settings.open_task_ttl));
        let subscriber =
            TelemetrySubscriber::new(settings.rules, Arc::clone(&exporters), Arc::clone(&totals), Arc::clone(&open));
        let undecided = Budget::new(settings.undecided_spans);
        let sampling = LiveSampling::new(settings.sampling);
        let tracing = Self { settings, sampling, runs: Runs::default(), undecided, open, exporters, totals };
        Ok((tracing, Box::new(subscriber)))
    }

    /// The trace of a task that begins here.
    pub(crate) fn begin(&self, id: &TaskId) -> TaskTrace {
        let own = id.trace_id();
        let run = if id.is_given() { self.runs.next(own, 1) } else { 1 };
        let caller = match self.settings.parenting {
            TraceParenting::None => None,
            TraceParenting::Link | TraceParenting::Child => {
                crate::otel::caller().or_else(|| Some((crate::scope::span()?, false)))
            }
        };
        let called_remotely = caller.as_ref().is_some_and(|(_, remote)| *remote);
        let caller = caller.map(|(caller, _)| caller);
        let child = self.settings.parenting == TraceParenting::Child;
        let (parent, link) = if child { (caller, None) } else { (None, caller) };
        let trace = parent.as_ref().map_or(own, Remote::trace_id);
        let sampled = self.sampling().samples(trace, parent.as_ref().map(Remote::is_sampled));
        TaskTrace {
            id: trace,
            root: SpanId::of_root(own, run),
            run,
            tracestate: parent.as_ref().and_then(Remote::tracestate).map(Into::into),
            parent: parent.map(Box::new),
            link: link.map(Box::new),
            called_remotely,
            recording: self.recording(sampled),
            baggage: Box::default(),
            resumed: false,
        }
    }

    /// The trace of a task that comes from another process, as its carrier says. Where that says nothing of a trace, or nothing
    /// that can be read, the task's id does.
    pub(crate) fn resume(&self, id: &TaskId, carrier: &Carrier) -> TaskTrace {
        let own = id.trace_id();
        let remote = carrier.remote();
        // A later run here must not get this one's root.
        let run = self.runs.next(own, carrier.run).min(carrier.run).max(1);
        let trace = remote.as_ref().map_or(own, Remote::trace_id);
        // The decision travels. Without one, the trace id says here what it said there.
        let sampled = remote.as_ref().map_or_else(|| self.sampling().samples(trace, None), Remote::is_sampled);
        let parse = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Remote>().ok()).map(Box::new);
        TaskTrace {
            id: trace,
            root: remote.as_ref().map_or_else(|| SpanId::of_root(own, run), Remote::span_id),
            run,
            tracestate: remote.as_ref().and_then(Remote::tracestate).map(Into::into),
            parent: parse(&carrier.parent),
            link: parse(&carrier.link),
            called_remotely: true,
            recording: self.recording(sampled),
            baggage: carrier.baggage.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            resumed: true,
        }
    }

    fn sampling(&self) -> Sampling {
        self.sampling.get()
    }

    /// From now on tasks that begin are sampled otherwise.
    pub(crate) fn change_sampling(&self, change: impl Fn(Sampling) -> Sampling) {
        self.sampling.change(change);
    }

    fn recording(&self, sampled: bool) -> Recording {
        if sampled {
            Recording::Sampled
        } else if self.sampling().keeps_failures() {
            Recording::Undecided(Undecided::new(&self.undecided))
        } else {
            Recording::Out
        }
    }

    /// A task that came from another process is open here from now on; `carried`: the spans that came with it.
    pub(crate) fn resumed(&self, task: &Arc<TaskCore>, since: Timestamp, carried: Vec<CarriedSpan>, lost: u64) {
        self.open.add(task, since);
        self.undecided.evicted_elsewhere(lost);
        match task.trace().and_then(TaskTrace::undecided) {
            Some(undecided) => carried.into_iter().for_each(|span| undecided.push(task, Record::carried(span))),
            None => self.undecided.evicted_elsewhere(carried.len() as u64),
        }
    }

    /// What has to travel of the spans of a task that goes on elsewhere; `None`: they are so many that they are kept here, and
    /// the task with them.
    pub(crate) fn pack(&self, task: &Arc<TaskCore>, records: &[Record]) -> Option<Vec<CarriedSpan>> {
        let mut assembler = Assembler::new(self.settings.rules, Arc::clone(&self.open), Arc::clone(&self.totals));
        let records = records.iter().map(|record| Record { task: Some(Arc::clone(task)), ..record.clone() });
        let mut spans = Vec::new();
        assembler.assemble(records.collect(), &mut spans);
        CarriedSpan::pack(&spans)
    }

    pub(crate) fn baggage_keys(&self) -> &[String] {
        &self.settings.baggage_keys
    }

    pub(crate) fn health(&self) -> SpansHealth {
        let open = self.open.read();
        let (undecided, undecided_evicted) = self.undecided.read();
        let age = open.oldest.map(|since| Timestamp::now().saturating_duration_since(since).as_secs_f64());
        SpansHealth {
            produced: self.totals.produced.load(Ordering::Relaxed),
            exporters: self.exporters.iter().map(|exporter| exporter.books().health()).collect(),
            open_tasks: open.open,
            oldest_open_seconds: age,
            open_tasks_evicted: open.evicted,
            undecided,
            undecided_evicted,
            span_events_dropped: self.totals.events_dropped.load(Ordering::Relaxed),
        }
    }
}
