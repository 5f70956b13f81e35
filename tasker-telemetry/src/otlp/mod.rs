//! OTLP, written straight from our records: a tenth of what the way through other types costs (`docs/benchmarks.md`).
//!
//! - `wire.rs`: Protocol Buffers; `attributes.rs`, `spans.rs`: OTLP's messages
//! - `settings.rs`: where to, by code and by the standard variables
//! - `fixed.rs`: what is the same for all spans of a step
//! - `logs.rs`: lines of logs
//! - `http.rs`, `grpc.rs`: one request; `sink.rs`: spans on their way

mod attributes;
mod fixed;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod logs;
mod settings;
mod sink;
mod spans;
mod wire;

pub(crate) use self::attributes::{attribute, envelope, resource};
pub(crate) use self::http::{BadTarget, Http, check_url};
pub(crate) use self::logs::{LogSink, log_target};
pub use self::settings::Otlp;
pub(crate) use self::settings::{Protocol, Target};
pub(crate) use self::sink::{PROTOBUF, partial_success};
pub(crate) use self::wire::Writer;

use self::sink::{OtlpSink, OverHttp, Transport};
use crate::resource::Resource;
use crate::trace::SpanSink;

/// The exporter for that target.
pub(crate) fn span_sink(
    target: &Target,
    resource: &Resource,
    exception_logs: bool,
) -> Result<Box<dyn SpanSink>, BadTarget> {
    Ok(Box::new(OtlpSink::new(transport(target)?, resource, exception_logs)))
}

/// The same for lines of logs.
pub(crate) fn log_sink(target: &Target, resource: &Resource) -> Result<LogSink, BadTarget> {
    Ok(LogSink::new(transport(target)?, resource))
}

fn transport(target: &Target) -> Result<Box<dyn Transport>, BadTarget> {
    match target.protocol {
        Protocol::Http => Ok(Box::new(OverHttp::new(target)?)),
        #[cfg(feature = "grpc")]
        Protocol::Grpc => Ok(Box::new(grpc::OverGrpc::new(target)?)),
        #[cfg(not(feature = "grpc"))]
        Protocol::Grpc => Err(BadTarget("gRPC needs the feature `grpc` of tasker-telemetry".to_owned())),
    }
}
