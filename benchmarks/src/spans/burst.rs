//! Many steps as fast as two cores can, into a real OTLP exporter over HTTP.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tasker_telemetry::Telemetry;
use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::Otlp;

use super::ours::step;
use super::peers::{TRACER, otel, otel_task};
use super::work::drive;
use crate::steps::calls;

/// What exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exporter {
    /// The SDK's batch processor as it is by default, opentelemetry-otlp.
    SdkDefaults,
    /// The same with a queue that holds everything.
    SdkLossless,
    /// The same, and eight times as many spans in a request.
    SdkLosslessLarge,
    /// Ours with its default settings.
    Ours,
}

impl Exporter {
    /// All, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Ours, Self::SdkDefaults, Self::SdkLossless, Self::SdkLosslessLarge];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::SdkDefaults => "sdk",
            Self::SdkLossless => "sdk-lossless",
            Self::SdkLosslessLarge => "sdk-lossless-large",
        }
    }

    /// What it is.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Ours => "`#[step]`, OTLP from our records, defaults",
            Self::SdkDefaults => "SDK batch processor, defaults",
            Self::SdkLossless => "the same, a queue of 131,072",
            Self::SdkLosslessLarge => "the same, 4,096 spans a request",
        }
    }

    /// The exporter of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|exporter| exporter.name() == name)
    }

    fn batches(self) -> BatchConfig {
        let builder = BatchConfigBuilder::default();
        match self {
            Self::Ours | Self::SdkDefaults => builder,
            Self::SdkLossless => builder.with_max_queue_size(131_072),
            Self::SdkLosslessLarge => builder.with_max_queue_size(131_072).with_max_export_batch_size(4_096),
        }
        .build()
    }

    /// Sets it up with that endpoint, without `/v1/traces`. One per process.
    ///
    /// # Errors
    /// When it cannot be, in words.
    pub fn set_up(self, endpoint: &str) -> Result<Burst, String> {
        if self == Self::Ours {
            let otlp = Otlp::http().endpoint(endpoint);
            let telemetry = Telemetry::builder().auto_subscribers(false).otlp_with(otlp).build();
            return Ok(Burst::Ours(telemetry.map_err(|error| error.to_string())?));
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .build()
            .map_err(|error| error.to_string())?;
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(self.batches()).build();
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        TRACER.set(provider.tracer("bench")).map_err(|_| "there is a tracer already")?;
        Ok(Burst::Sdk(provider))
    }
}

/// A burst that is set up.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one in the process")]
pub enum Burst {
    /// Ours.
    Ours(Telemetry),
    /// The SDK's.
    Sdk(SdkTracerProvider),
}

/// What an event in our queue takes at most: a record and its part of the queue's block. (A short step takes 40.)
const RECORD_BYTES: u64 = 96;

impl Burst {
    /// One task of so many steps, on the calling thread: so many spans and one.
    pub fn task(&self, steps: u64) {
        let sum = match self {
            Self::Ours(telemetry) => drive(telemetry.scope(ours(steps))),
            Self::Sdk(_) => drive(otel_task(async { calls!(otel::<0>, steps) })),
        };
        std::hint::black_box(sum);
    }

    /// Waits until everything is exported that is.
    ///
    /// # Errors
    /// When it takes too long, in words.
    pub fn flush(&self) -> Result<(), String> {
        match self {
            Self::Ours(telemetry) => telemetry.flush_blocking().map_err(|error| error.to_string()),
            Self::Sdk(provider) => provider.force_flush().map_err(|error| error.to_string()),
        }
    }

    /// The longest that the queue was, in bytes, where one can know.
    #[must_use]
    pub fn peak_queue(&self) -> Option<u64> {
        match self {
            Self::Ours(telemetry) => Some(telemetry.health().queue.high_water as u64 * RECORD_BYTES),
            Self::Sdk(_) => None,
        }
    }
}

#[task(name = "task")]
async fn ours(steps: u64) -> u64 {
    calls!(step::<0>, steps)
}
