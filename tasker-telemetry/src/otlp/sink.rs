//! Spans and log lines on their way to an OTLP server, however they travel.

use std::time::Instant;

use super::attributes;
use super::http::{BadTarget, Http};
use super::settings::Target;
use super::spans::Encoder;
use super::wire::{Field, Reader, Writer};
use crate::resource::Resource;
use crate::trace::{SendError, Sent, Span, SpanSink};

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
}

/// Brings requests to the server.
pub(super) trait Transport: Send {
    /// Sends one, and gives the answer.
    fn send(&mut self, signal: Signal, body: &[u8], until: Instant) -> Result<Vec<u8>, SendError>;

    /// How many bytes a request may have before compression, for servers with their default settings.
    fn most_bytes(&self) -> usize;

    /// No more follow.
    fn close(&mut self) {}
}

/// Writes items into a request, or as many of the first as it may have bytes for, and gives those: at least one.
pub(super) fn fitting<I>(mut items: &[I], most: usize, mut write: impl FnMut(&[I]) -> usize) -> &[I] {
    loop {
        let size = write(items);
        if size <= most || items.len() < 2 {
            return items;
        }
        // They differ in size: some less than their share, and always fewer than before.
        let fits = (items.len() / (size / most + 1)).clamp(1, items.len() - 1);
        items = &items[..fits];
    }
}

/// Sends spans.
pub(super) struct OtlpSink {
    transport: Box<dyn Transport>,
    /// Exceptions go there as logs, too.
    exception_logs: bool,
    encoder: Encoder,
    body: Writer,
}

impl OtlpSink {
    pub(super) fn new(transport: Box<dyn Transport>, resource: &Resource, exception_logs: bool) -> Self {
        let encoder = Encoder::new(attributes::resource(resource));
        Self { transport, exception_logs, encoder, body: Writer::default() }
    }
}

impl SpanSink for OtlpSink {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn export(&mut self, spans: &[Span], until: Instant) -> Result<Sent, SendError> {
        let all = spans.len();
        let spans = fitting(spans, self.transport.most_bytes(), |spans| {
            self.encoder.spans(spans, &mut self.body);
            self.body.as_slice().len()
        });
        let answer = self.transport.send(Signal::Traces, self.body.as_slice(), until)?;
        let mut sent = partial_success(&answer);
        sent.left = all - spans.len();
        if self.exception_logs
            && self.encoder.exceptions(spans, &mut self.body)
            // The spans are there: a log that is not is told, but sends no span again.
            && let Err(error) = self.transport.send(Signal::Logs, self.body.as_slice(), until)
        {
            sent.message = Some(format!("exceptions as logs: {}", error.message));
        }
        Ok(sent)
    }

    fn shutdown(&mut self, _: Instant) -> Result<(), String> {
        self.transport.close();
        Ok(())
    }
}

pub(crate) const PROTOBUF: &str = "application/x-protobuf";

/// Over HTTP: an address for each signal.
#[derive(Debug)]
pub(super) struct OverHttp {
    http: Http,
    traces: String,
    logs: String,
}

impl OverHttp {
    pub(super) fn new(target: &Target) -> Result<Self, BadTarget> {
        let http = Http::new(&target.traces, &target.headers, target.gzip, target.certificate.as_deref())?;
        Ok(Self { http, traces: target.traces.clone(), logs: target.logs.clone() })
    }
}

impl Transport for OverHttp {
    fn send(&mut self, signal: Signal, body: &[u8], until: Instant) -> Result<Vec<u8>, SendError> {
        let url = match signal {
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        };
        self.http.post(url, PROTOBUF, body, until)
    }

    /// The Collector takes 20 MiB.
    fn most_bytes(&self) -> usize {
        16 * 1024 * 1024
    }
}

/// What an `ExportTraceServiceResponse` says; an answer that is none says that all is well, since the status did.
pub(crate) fn partial_success(answer: &[u8]) -> Sent {
    let mut sent = Sent::default();
    for (field, value) in Reader::new(answer) {
        let (1, Field::Bytes(partial)) = (field, value) else { continue };
        for (field, value) in Reader::new(partial) {
            match (field, value) {
                (1, Field::Number(rejected)) => sent.rejected = usize::try_from(rejected).unwrap_or(0),
                (2, Field::Bytes(text)) if !text.is_empty() => {
                    sent.message = Some(String::from_utf8_lossy(text).chars().take(500).collect());
                }
                _ => {}
            }
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_says_how_many_were_refused() {
        let mut answer = Writer::default();
        answer.message(1, |out| {
            out.int(1, 3);
            out.str(2, "too old");
        });
        assert_eq!(
            partial_success(answer.as_slice()),
            Sent { rejected: 3, message: Some("too old".to_owned()), left: 0 }
        );
        for nothing in [&b""[..], b"<html></html>", b"{\"partialSuccess\":{}}"] {
            assert_eq!(partial_success(nothing).rejected, 0);
        }
    }
}
