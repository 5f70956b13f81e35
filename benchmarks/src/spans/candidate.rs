//! Each candidate with its set-up and its end.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt as _;

use super::exporter::{CountingExporter, batched, exported};
use super::ours::{Ours, step};
use super::peers::{TRACER, fastrace_task, in_span, instrument, instrument_task, otel, otel_task, plain, trace};
use super::work::drive;
use crate::steps::calls;

/// What makes the spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// Nothing: what the others are compared with.
    Plain,
    /// `#[step]`, everything on: a subscriber to two events a step, metrics, spans, the OpenTelemetry context.
    Ours,
    /// The same without a subscriber, as most programs have it.
    OursSpans,
    /// The same, nothing sampled.
    OursSampledOut,
    /// The task alone, everything on: what it calls are no steps. What it costs to be polled is no cost of a step.
    OursTask,
    /// The OpenTelemetry API by hand.
    Otel,
    /// The same, nothing sampled.
    OtelSampledOut,
    /// `#[tracing::instrument]` with tracing-opentelemetry, without the places in the code and the threads.
    Tracing,
    /// The same, nothing sampled.
    TracingSampledOut,
    /// fastrace with its OpenTelemetry reporter, `in_span`.
    FastraceInSpan,
    /// The same, `#[fastrace::trace]`.
    FastraceTrace,
}

impl Maker {
    /// All, in the order of the table.
    pub const ALL: [Self; 11] = [
        Self::Plain,
        Self::Ours,
        Self::OursSpans,
        Self::OursTask,
        Self::Otel,
        Self::FastraceInSpan,
        Self::FastraceTrace,
        Self::Tracing,
        Self::OursSampledOut,
        Self::OtelSampledOut,
        Self::TracingSampledOut,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ours => "ours",
            Self::OursSpans => "ours-spans",
            Self::OursSampledOut => "ours-sampled-out",
            Self::OursTask => "ours-task",
            Self::Otel => "otel",
            Self::OtelSampledOut => "otel-sampled-out",
            Self::Tracing => "tracing",
            Self::TracingSampledOut => "tracing-sampled-out",
            Self::FastraceInSpan => "fastrace-in-span",
            Self::FastraceTrace => "fastrace-trace",
        }
    }

    /// What it is.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Plain => "uninstrumented `async fn`",
            Self::Ours => "`#[step]`: span, context, metrics, 2 events to a subscriber",
            Self::OursSpans => "`#[step]`: span, context, metrics",
            Self::OursSampledOut => "`#[step]`, sampled out: metrics",
            Self::OursTask => "uninstrumented `async fn` in a `#[task]`: span, context",
            Self::Otel => "OpenTelemetry API, batch processor",
            Self::OtelSampledOut => "the OpenTelemetry API, sampled out",
            Self::Tracing => "`#[instrument]`, tracing-opentelemetry, batch processor",
            Self::TracingSampledOut => "`#[instrument]`, tracing-opentelemetry, sampled out",
            Self::FastraceInSpan => "fastrace `in_span`, OpenTelemetry reporter",
            Self::FastraceTrace => "`#[fastrace::trace]`, OpenTelemetry reporter",
        }
    }

    /// The maker of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|maker| maker.name() == name)
    }

    /// Whether its spans are exported.
    const fn exports(self) -> bool {
        !matches!(
            self,
            Self::Plain
                | Self::Ours
                | Self::OursSpans
                | Self::OursSampledOut
                | Self::OursTask
                | Self::OtelSampledOut
                | Self::TracingSampledOut
        )
    }

    /// Sets up what the steps run under. One per process: most of it is global.
    ///
    /// # Errors
    /// When it cannot be set up, in words.
    pub fn set_up(self) -> Result<Session, String> {
        let sampler = match self {
            Self::OtelSampledOut | Self::TracingSampledOut => Sampler::AlwaysOff,
            _ => Sampler::AlwaysOn,
        };
        let mut session = Session { maker: self, provider: None, ours: None, made: AtomicU64::new(0) };
        match self {
            Self::Plain => {}
            Self::Ours | Self::OursSpans | Self::OursSampledOut | Self::OursTask => {
                let ours = match self {
                    Self::Ours | Self::OursTask => Ours::everything(),
                    Self::OursSpans => Ours::spans(),
                    _ => Ours::sampled_out(),
                };
                session.ours = Some(ours.map_err(|error| error.to_string())?);
            }
            Self::Otel | Self::OtelSampledOut => {
                let provider = batched(CountingExporter, sampler);
                TRACER.set(provider.tracer("bench")).map_err(|_| "there is a tracer already")?;
                session.provider = Some(provider);
            }
            Self::Tracing | Self::TracingSampledOut => {
                let provider = batched(CountingExporter, sampler);
                let layer = tracing_opentelemetry::layer()
                    .with_tracer(provider.tracer("bench"))
                    .with_location(false)
                    .with_threads(false)
                    .with_target(false)
                    .with_tracked_inactivity(false);
                let subscriber = tracing_subscriber::registry().with(layer);
                tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())?;
                session.provider = Some(provider);
            }
            Self::FastraceInSpan | Self::FastraceTrace => {
                let scope = opentelemetry::InstrumentationScope::builder("bench").build();
                let resource = std::borrow::Cow::Owned(Resource::builder().build());
                let reporter = fastrace_opentelemetry::OpenTelemetryReporter::new(CountingExporter, resource, scope);
                fastrace::set_reporter(reporter, fastrace::collector::Config::default());
            }
        }
        Ok(session)
    }
}

/// Steps with so many awaits that really wait.
pub const AWAITS: [usize; 4] = [0, 1, 3, 10];

/// A candidate that is set up.
#[derive(Debug)]
pub struct Session {
    maker: Maker,
    provider: Option<SdkTracerProvider>,
    ours: Option<Ours>,
    made: AtomicU64,
}

impl Session {
    /// Runs so many steps on the calling thread, each with so many awaits that wait: one of [`AWAITS`]. Instructions are counted
    /// in here: it must stay a call.
    #[inline(never)]
    pub fn steps(&self, count: u64, awaits: usize) {
        match awaits {
            0 => self.run::<0>(count),
            1 => self.run::<1>(count),
            3 => self.run::<3>(count),
            _ => self.run::<10>(count),
        }
    }

    fn run<const AWAITS: usize>(&self, count: u64) {
        let sum = match self.maker {
            Maker::Plain => drive(async { calls!(plain::<AWAITS>, count) }),
            Maker::Ours | Maker::OursSpans | Maker::OursSampledOut => {
                let calls = async { calls!(step::<AWAITS>, count) };
                self.ours.as_ref().map_or(0, |ours| drive(ours.task(calls)))
            }
            Maker::OursTask => {
                let calls = async { calls!(plain::<AWAITS>, count) };
                self.ours.as_ref().map_or(0, |ours| drive(ours.task(calls)))
            }
            Maker::Otel | Maker::OtelSampledOut => drive(otel_task(async { calls!(otel::<AWAITS>, count) })),
            Maker::Tracing | Maker::TracingSampledOut => {
                drive(instrument_task(async { calls!(instrument::<AWAITS>, count) }))
            }
            Maker::FastraceInSpan => drive(fastrace_task(async { calls!(in_span::<AWAITS>, count) })),
            Maker::FastraceTrace => drive(fastrace_task(async { calls!(trace::<AWAITS>, count) })),
        };
        black_box(sum);
        // The task is one, too.
        self.made.fetch_add(count + 1, Ordering::Relaxed);
    }

    /// Waits until everything is exported.
    ///
    /// # Panics
    /// When that fails.
    pub fn flush(&self) {
        if let Some(provider) = &self.provider {
            provider.force_flush().expect("an exporter that does nothing is quick");
        }
        if let Some(ours) = &self.ours {
            ours.flush();
        }
        if matches!(self.maker, Maker::FastraceInSpan | Maker::FastraceTrace) {
            // What found its queue full waits on this thread until the next span, and no flush sees it: so there is a next
            // one. Sleeping costs no CPU time.
            for _ in 0..200 {
                drop(fastrace::Span::root("flush", fastrace::prelude::SpanContext::random()));
                self.made.fetch_add(1, Ordering::Relaxed);
                fastrace::flush();
                if self.dropped() == 0 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// How many spans were made and not exported, of those that were to be.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        if let Some(ours) = &self.ours {
            return ours.dropped();
        }
        if self.maker.exports() { self.made.load(Ordering::Relaxed).saturating_sub(exported()) } else { 0 }
    }
}
