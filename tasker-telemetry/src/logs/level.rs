//! What is told, now: it can change while tasks run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::event::EventKind;
use crate::telemetry::Builder;

/// Which records of tasks and steps are made; each includes the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum LogLevel {
    /// None. Slow steps are told nevertheless, if a threshold is set.
    #[default]
    Off,
    /// What failed.
    Warn,
    /// Everything that happens to tasks and steps.
    Debug,
}

impl LogLevel {
    const ALL: [Self; 3] = [Self::Off, Self::Warn, Self::Debug];

    /// `off`, `warn` or `debug`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Debug => "debug",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// What the builder and other sources say of logs.
#[derive(Debug, Default)]
pub(crate) struct LogOptions {
    pub(crate) level: Option<LogLevel>,
    pub(crate) slow_step_threshold: Option<Duration>,
    /// Whether lines are sent over OTLP.
    pub(crate) otlp: Option<bool>,
}

impl LogOptions {
    /// `None`: nobody is to be told, and nobody can change that later. `may_change`: settings are read, so they can be read again.
    pub(crate) fn control(&self, may_change: bool) -> Option<Arc<LogControl>> {
        let (level, slow) = (self.level.unwrap_or_default(), self.slow_step_threshold.unwrap_or_default());
        let is_wanted = may_change || level > LogLevel::Off || !slow.is_zero();
        is_wanted.then(|| Arc::new(LogControl::new(level, slow)))
    }
}

impl Builder {
    /// Which records of the `tracing` crate are made of what happens to tasks and steps. Default: [`LogLevel::Off`]. See
    /// [`logs`](crate::logs).
    pub const fn log_level(mut self, level: LogLevel) -> Self {
        self.log.level = Some(level);
        self
    }

    /// Sends logs over OTLP, with HTTP or gRPC as the standard variables say (`OTEL_EXPORTER_OTLP_LOGS_*`, `OTEL_EXPORTER_OTLP_*`,
    /// `OTEL_BLRP_*`): the records that [`log_level`](Self::log_level) asks for, and with the feature `logs` and `logs::OtlpLayer` what
    /// users log. In code the same is said by [`option`](Self::option): `.option("otlp.logs.protocol", "grpc")`.
    #[cfg(feature = "otlp")]
    pub const fn otlp_logs(mut self) -> Self {
        self.log.otlp = Some(true);
        self
    }

    /// From how long on an attempt of a step is slow, and warned of. Default: never, which is what zero means, too.
    pub const fn slow_step_threshold(mut self, threshold: Duration) -> Self {
        self.log.slow_step_threshold = Some(threshold);
        self
    }
}

/// The kinds that mean a failure.
pub(super) const FAILURES: u32 =
    EventKind::StepFailed.bit() | EventKind::StepMaxRetriesReached.bit() | EventKind::TaskFailed.bit();
/// Those that say how long an attempt took.
pub(super) const ENDS: u32 = EventKind::StepCompleted.bit() | EventKind::StepFailed.bit();

/// Level and threshold in force.
#[derive(Debug, Default)]
pub(crate) struct LogControl {
    level: AtomicU8,
    /// In nanoseconds; 0 for none.
    slow: AtomicU64,
}

impl LogControl {
    pub(crate) fn new(level: LogLevel, slow: Duration) -> Self {
        let control = Self::default();
        control.set_level(level);
        control.set_slow(slow);
        control
    }

    pub(crate) fn level(&self) -> LogLevel {
        match self.level.load(Ordering::Relaxed) {
            0 => LogLevel::Off,
            1 => LogLevel::Warn,
            _ => LogLevel::Debug,
        }
    }

    pub(crate) fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// From how long on an attempt is slow; `None`: never.
    pub(crate) fn slow(&self) -> Option<Duration> {
        let nanos = self.slow.load(Ordering::Relaxed);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    pub(crate) fn set_slow(&self, threshold: Duration) {
        self.slow.store(u64::try_from(threshold.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The bits of the kinds of event that are needed to tell it.
    pub(crate) fn wanted(&self) -> u32 {
        let by_level = match self.level() {
            LogLevel::Off => 0,
            LogLevel::Warn => FAILURES,
            LogLevel::Debug => EventKind::ALL.iter().fold(0, |mask, kind| mask | kind.bit()) & !EventKind::Custom.bit(),
        };
        by_level | if self.slow().is_some() { ENDS } else { 0 }
    }
}
