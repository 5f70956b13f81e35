//! A layer for `tracing-subscriber` that sends what users log over OTLP (features `logs` and `otlp`).

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::lines::line_of;
use crate::telemetry;

/// Sends what is logged to the OTLP server of the telemetry in whose tasks it is logged, else of the installed one, if that
/// exports logs ([`Builder::otlp_logs`](crate::Builder::otlp_logs), `logs_exporter = ["otlp"]`). Every line says of which task, step
/// and trace it is, and the telemetry's filter holds for it, as for [`Lines`](super::Lines).
///
/// It hands lines over without waiting; what does not fit into the exporter's queue is dropped, and counted in
/// [`health().logs`](crate::Health::logs). What the exporter itself logs is not sent.
///
/// ```
/// use tasker_telemetry::logs::OtlpLayer;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry().with(OtlpLayer::new());
/// # let _ = subscriber;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct OtlpLayer {
    _private: (),
}

impl OtlpLayer {
    /// The layer: it finds the telemetry by itself.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl<S: Subscriber> Layer<S> for OtlpLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Records of the life cycle are sent as they are made.
        if super::is_quiet() || event.metadata().target().starts_with("tasker_telemetry") {
            return;
        }
        if let Some(core) = telemetry::current()
            && let Some(exporter) = core.log_exporter()
        {
            exporter.send(std::iter::once(line_of(event)));
        }
    }
}
