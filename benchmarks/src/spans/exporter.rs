//! An exporter that does nothing but count, and the pipeline before it.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};

static EXPORTED: AtomicU64 = AtomicU64::new(0);

/// How many spans any [`CountingExporter`] of this process was given.
#[must_use]
pub fn exported() -> u64 {
    EXPORTED.load(Ordering::Relaxed)
}

/// Counts.
#[derive(Debug, Default)]
pub struct CountingExporter;

impl SpanExporter for CountingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        EXPORTED.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// The SDK's batch processor, in front of it a queue that holds a whole sample: with the default of 2,048 it would drop most of
/// it, and dropping is cheap.
#[must_use]
pub fn batched(exporter: impl SpanExporter + 'static, sampler: Sampler) -> SdkTracerProvider {
    let config = BatchConfigBuilder::default().with_max_queue_size(32_768).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    SdkTracerProvider::builder().with_span_processor(processor).with_sampler(sampler).build()
}
