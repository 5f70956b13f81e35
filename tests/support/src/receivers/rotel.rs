//! Rotel, a collector written in Rust: HTTP and gRPC, protobuf and JSON, gzip. It has nothing to ask, but prints every span with
//! everything in it.

mod parse;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::child::{Receiver, free};
use super::{installed, wait_for_spans};
use crate::span::{Fidelity, ReceivedSpan};

/// A running Rotel.
#[derive(Debug)]
pub struct Rotel {
    receiver: Receiver,
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Rotel {
    /// What it shows: everything, but for the trace state and the flags of spans.
    pub const FIDELITY: Fidelity = Fidelity::FULL;

    /// Starts one on free loopback ports.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let [http, grpc] = free();
        let mut command = Command::new(installed("rotel-agent"));
        command
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--otlp-http-endpoint", &http.to_string(), "--otlp-grpc-endpoint", &grpc.to_string()]);
        Self { receiver: Receiver::start(&mut command, &[http, grpc]), http, grpc }
    }

    /// For OTLP/HTTP, without `/v1/traces`.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("http://{}", self.http)
    }

    /// For OTLP/gRPC.
    #[must_use]
    pub fn grpc_endpoint(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// The spans that it has printed so far.
    ///
    /// # Panics
    /// When it prints what this kit cannot read.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        let printed = self.receiver.printed();
        // It may be in the middle of a line.
        let lines = printed.rfind('\n').map_or("", |end| &printed[..=end]);
        parse::spans(lines).unwrap_or_else(|problem| panic!("rotel printed {problem}"))
    }

    /// The spans, as soon as so many are there and no more come.
    ///
    /// # Panics
    /// When they do not come in time.
    #[track_caller]
    #[must_use]
    pub fn wait_for_spans(&self, count: usize, time: Duration) -> Vec<ReceivedSpan> {
        wait_for_spans(count, time, || self.spans())
    }
}
