//! Receivers of spans and a checker, for the tests of tracing. Nothing here knows how spans are made.
//!
//! - [`sink`]: an OTLP/HTTP receiver inside the test, which can fail in every way a real one can
//! - `grpc`: the same for OTLP/gRPC (feature `grpc`)
//! - [`receivers`]: receivers of other projects, as child processes, read back
//! - [`server`], [`ports`]: any server of another project, and where it may listen
//! - [`checker`]: holds what any of them received against the events of the run
//! - [`span`]: a span as it was received, the same whoever received it
//! - [`sample`]: a request made by hand, to try a receiver with

pub mod checker;
pub mod client;
mod decode;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod ports;
pub mod receivers;
pub mod sample;
pub mod server;
pub mod sink;
pub mod span;

pub use checker::Checker;
pub use sink::{Mode, Sink};
pub use span::ReceivedSpan;
