//! Rotel, a collector written in Rust: HTTP and gRPC, protobuf and JSON, gzip. It has nothing to ask, but prints every span with
//! everything in it.

mod parse;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::{installed, wait_for_spans};
use crate::server::Server;
use crate::span::{Fidelity, ReceivedSpan};

/// A running Rotel.
#[derive(Debug)]
pub struct Rotel {
    server: Server,
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
        Self::that_prints("traces")
    }

    /// One that prints log records instead of spans.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_for_logs() -> Self {
        Self::that_prints("logs")
    }

    /// One that prints metrics instead of spans.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_for_metrics() -> Self {
        Self::that_prints("metrics")
    }

    fn that_prints(signal: &str) -> Self {
        let (server, [http, grpc]) = Server::listening(|[http, grpc]| {
            let mut command = Command::new(installed("rotel-agent"));
            command
                .args(["start", "--exporter", "blackhole", "--debug-log", signal, "--debug-log-verbosity", "detailed"])
                .args(["--otlp-http-endpoint", &http.to_string(), "--otlp-grpc-endpoint", &grpc.to_string()]);
            command
        });
        Self { server, http, grpc }
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

    /// What it has printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        self.server.printed()
    }

    /// The log records that it has printed so far: of each what it says of body, severity, trace and span.
    #[must_use]
    pub fn logs(&self) -> Vec<[String; 4]> {
        let printed = self.server.printed();
        let records = printed.split("LogRecord #").skip(1);
        // The flags are the last that it prints of one.
        let whole = records.filter(|record| record.contains("\nFlags: "));
        let says = |record: &str, what: &str| {
            let mut lines = record.lines().filter_map(|line| line.trim().strip_prefix(what));
            lines.next().unwrap_or_default().trim_start_matches([' ', ':']).to_owned()
        };
        whole.map(|record| ["Body", "SeverityText", "Trace ID", "Span ID"].map(|what| says(record, what))).collect()
    }

    /// The spans that it has printed so far.
    ///
    /// # Panics
    /// When it prints what this kit cannot read.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        let mut printed = self.server.printed();
        loop {
            // It may be in the middle of a line.
            let lines = printed.rfind('\n').map_or("", |end| &printed[..=end]);
            let problem = match parse::spans(lines) {
                Ok(spans) => return spans,
                Err(problem) => problem,
            };
            // Or in the middle of a value that has several: then more comes.
            std::thread::sleep(Duration::from_millis(200));
            let more = self.server.printed();
            assert!(more.len() > printed.len(), "rotel printed {problem}");
            printed = more;
        }
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
