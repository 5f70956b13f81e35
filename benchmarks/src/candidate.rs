//! Each candidate with its set-up and its end.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tasker_telemetry::trace::Sampling;
use tasker_telemetry::{BuildError, EventRecord, Subscriber, Telemetry};

use crate::steps::{self, calls};
use crate::work::{run, work};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// The work alone.
    Bare,
    /// The same behind one plain `async fn`.
    Plain,
    /// `#[step]`, no telemetry in the process.
    Off,
    /// The same, with eight `fields(..)`.
    OffFields,
    /// `#[step]` in a task, nobody listens.
    Nobody,
    /// The same, with eight `fields(..)`.
    NobodyFields,
    /// `#[step]` outside any task, nobody listens.
    NobodyLone,
    /// The same, where the telemetry is the installed one.
    NobodyLoneInstalled,
    /// One subscriber, to one event a step.
    OneToOne,
    /// One subscriber, to all events of steps: three a step.
    One,
    /// The same, beside one whose handler sleeps for a minute.
    OneAndSleeping,
    /// Five such.
    Five,
    /// A span, the OpenTelemetry context, metrics, and one subscriber to two events a step.
    Everything,
    /// The same without the subscriber.
    Spans,
    /// The same, sampled out: metrics.
    SampledOut,
    /// `#[tracing::instrument]`, no subscriber.
    Instrument,
    /// `#[tracing::instrument]` with a registry.
    InstrumentRegistry,
    /// `#[fastrace::trace]`, no reporter.
    Fastrace,
}

impl Candidate {
    /// All, in the order of the table.
    pub const ALL: [Self; 18] = [
        Self::Bare,
        Self::Plain,
        Self::Off,
        Self::OffFields,
        Self::Nobody,
        Self::NobodyFields,
        Self::NobodyLone,
        Self::NobodyLoneInstalled,
        Self::OneToOne,
        Self::One,
        Self::OneAndSleeping,
        Self::Five,
        Self::Everything,
        Self::Spans,
        Self::SampledOut,
        Self::Instrument,
        Self::InstrumentRegistry,
        Self::Fastrace,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Plain => "plain",
            Self::Off => "off",
            Self::OffFields => "off-fields",
            Self::Nobody => "nobody",
            Self::NobodyFields => "nobody-fields",
            Self::NobodyLone => "nobody-lone",
            Self::NobodyLoneInstalled => "nobody-lone-installed",
            Self::OneToOne => "one-to-one",
            Self::One => "one",
            Self::OneAndSleeping => "one-and-sleeping",
            Self::Five => "five",
            Self::Everything => "everything",
            Self::Spans => "spans",
            Self::SampledOut => "sampled-out",
            Self::Instrument => "instrument",
            Self::InstrumentRegistry => "instrument-registry",
            Self::Fastrace => "fastrace",
        }
    }

    /// What it is.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare call",
            Self::Plain => "uninstrumented `async fn`",
            Self::Off => "`#[step]`, off",
            Self::OffFields => "`#[step]` with 8 fields, off",
            Self::Nobody => "`#[step]` in a task, nobody listens",
            Self::NobodyFields => "`#[step]` with 8 fields in a task, nobody listens",
            Self::NobodyLone => "`#[step]` outside a task, nobody listens",
            Self::NobodyLoneInstalled => "the same, telemetry installed",
            Self::OneToOne => "`#[step]`, 1 subscriber to 1 event a step",
            Self::One => "`#[step]`, 1 subscriber to 3 events a step",
            Self::OneAndSleeping => "the same, beside one that sleeps 60 s",
            Self::Five => "`#[step]`, 5 subscribers to 3 events a step",
            Self::Everything => "`#[step]`, span, context, metrics, 1 subscriber to 2 events a step",
            Self::Spans => "`#[step]`, span, context, metrics",
            Self::SampledOut => "`#[step]`, sampled out, metrics",
            Self::Instrument => "`#[tracing::instrument]`, no subscriber",
            Self::InstrumentRegistry => "`#[tracing::instrument]`, registry",
            Self::Fastrace => "`#[fastrace::trace]`, no reporter",
        }
    }

    /// The candidate of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| candidate.name() == name)
    }

    /// Sets up what the steps run under. One per process: some of it is global.
    ///
    /// # Errors
    /// When the telemetry cannot be built.
    pub fn set_up(self) -> Result<Session, BuildError> {
        // What these steps cost is that of the life cycle and the events; `benches/metrics.rs` has the metrics.
        let builder = Telemetry::builder().auto_subscribers(false).metrics_enabled(false);
        let traced = || Telemetry::builder().auto_subscribers(false).__discard_spans();
        let telemetry = match self {
            Self::Everything => Some(traced().subscriber(CountTwo).build()?),
            Self::Spans => Some(traced().build()?),
            Self::SampledOut => Some(traced().sampling(Sampling::none()).build()?),
            Self::Nobody | Self::NobodyFields | Self::NobodyLone => Some(builder.build()?),
            Self::NobodyLoneInstalled => Some(builder.install()?),
            Self::OneToOne => Some(builder.subscriber(CountCompleted).build()?),
            Self::One => Some(builder.subscriber(Count::<1>).build()?),
            Self::OneAndSleeping => {
                let impatient = builder.shutdown_timeout(Duration::from_secs(1));
                Some(impatient.subscriber(Count::<1>).subscriber(Sleeping).build()?)
            }
            Self::Five => Some(
                builder
                    .subscriber(Count::<1>)
                    .subscriber(Count::<2>)
                    .subscriber(Count::<3>)
                    .subscriber(Count::<4>)
                    .subscriber(Count::<5>)
                    .build()?,
            ),
            _ => None,
        };
        if self == Self::InstrumentRegistry {
            // The only one of its process, so this cannot fail; were it to, the figures would show it.
            let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        }
        Ok(Session { candidate: self, telemetry })
    }
}

/// A candidate that is set up.
#[derive(Debug)]
pub struct Session {
    candidate: Candidate,
    telemetry: Option<Telemetry>,
}

impl Session {
    /// Runs so many steps on the calling thread. `scripts/instructions` counts what happens in here: it must stay a call.
    #[inline(never)]
    pub fn steps(&self, count: u64) {
        let sum = match self.candidate {
            Candidate::Bare => run(async { calls!(work, count) }),
            Candidate::Plain => run(async { calls!(steps::plain, count) }),
            Candidate::Off => run(async { calls!(steps::step, count) }),
            Candidate::OffFields => run(async { calls!(steps::step_with_fields, count) }),
            Candidate::Nobody
            | Candidate::OneToOne
            | Candidate::One
            | Candidate::OneAndSleeping
            | Candidate::Five
            | Candidate::Everything
            | Candidate::Spans
            | Candidate::SampledOut => run(self.scope(steps::task(count))),
            Candidate::NobodyFields => run(self.scope(steps::task_with_fields(count))),
            Candidate::NobodyLone => run(self.scope(async { calls!(steps::step, count) })),
            Candidate::NobodyLoneInstalled => run(async { calls!(steps::step, count) }),
            Candidate::Instrument | Candidate::InstrumentRegistry => run(async { calls!(steps::instrument, count) }),
            Candidate::Fastrace => run(async { calls!(steps::trace, count) }),
        };
        black_box(sum);
    }

    async fn scope<F: Future>(&self, steps: F) -> F::Output {
        match &self.telemetry {
            Some(telemetry) => telemetry.scope(steps).await,
            None => steps.await,
        }
    }

    /// Waits until every event has been handled.
    ///
    /// # Panics
    /// When that takes more than five seconds.
    pub fn flush(&self) {
        if let Some(telemetry) = &self.telemetry {
            let flushed = telemetry.flush_blocking();
            assert!(flushed.is_ok() || self.candidate == Candidate::OneAndSleeping, "counting is quick: {flushed:?}");
        }
    }

    /// How many events were lost.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.telemetry.as_ref().map_or(0, |telemetry| telemetry.health().dropped())
    }
}

static SEEN: AtomicU64 = AtomicU64::new(0);

/// Counts all events of steps.
#[derive(Debug, Subscriber)]
#[subscribe("step.*")]
#[subscriber(manual)]
struct Count<const N: usize>;

impl<const N: usize> Count<N> {
    #[allow(clippy::unused_self, reason = "the form of a handler")]
    fn handle_event(&self, _: &EventRecord) {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sleeps for a minute at its first event; the others wait for it.
#[derive(Debug, Subscriber)]
#[subscribe("step.*")]
#[subscriber(manual)]
struct Sleeping;

impl Sleeping {
    #[allow(clippy::unused_self, reason = "the form of a handler")]
    fn handle_event(&self, _: &EventRecord) {
        std::thread::sleep(Duration::from_mins(1));
    }
}

/// Counts the steps that ended well.
#[derive(Debug, Subscriber)]
#[subscribe("step.completed")]
#[subscriber(manual)]
struct CountCompleted;

impl CountCompleted {
    #[allow(clippy::unused_self, reason = "the form of a handler")]
    fn handle_step_completed(&self, _: &tasker_telemetry::event::step::Completed) {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts the steps that began, and those that ended well.
#[derive(Debug, Subscriber)]
#[subscribe("step.started", "step.completed")]
#[subscriber(manual)]
struct CountTwo;

#[allow(clippy::unused_self, reason = "the form of a handler")]
impl CountTwo {
    fn handle_step_started(&self, _: &tasker_telemetry::event::step::Started) {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }

    fn handle_step_completed(&self, _: &tasker_telemetry::event::step::Completed) {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }
}
