//! Many steps as fast as two cores can, into a real OTLP exporter over HTTP.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};

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
    // Ours goes here: a variant, its words below, its set-up in `set_up`, its steps in `Burst::task`.
}

impl Exporter {
    /// All, in the order of the table.
    pub const ALL: [Self; 3] = [Self::SdkDefaults, Self::SdkLossless, Self::SdkLosslessLarge];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SdkDefaults => "sdk",
            Self::SdkLossless => "sdk-lossless",
            Self::SdkLosslessLarge => "sdk-lossless-large",
        }
    }

    /// What it is.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
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
            Self::SdkDefaults => builder,
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
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .build()
            .map_err(|error| error.to_string())?;
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(self.batches()).build();
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        TRACER.set(provider.tracer("bench")).map_err(|_| "there is a tracer already")?;
        Ok(Burst { provider })
    }
}

/// A burst that is set up.
#[derive(Debug)]
pub struct Burst {
    provider: SdkTracerProvider,
}

impl Burst {
    /// One task of so many steps, on the calling thread: so many spans and one.
    pub fn task(&self, steps: u64) {
        std::hint::black_box(drive(otel_task(async { calls!(otel::<0>, steps) })));
    }

    /// Waits until everything is exported that is.
    ///
    /// # Errors
    /// When it takes too long, in words.
    pub fn flush(&self) -> Result<(), String> {
        self.provider.force_flush().map_err(|error| error.to_string())
    }

    /// The longest that the queue was, in bytes, where one can know.
    #[must_use]
    pub fn peak_queue(&self) -> Option<u64> {
        None
    }
}
