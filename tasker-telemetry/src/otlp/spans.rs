//! Spans as OTLP's `ExportTraceServiceRequest`, and the exceptions among them as `ExportLogsServiceRequest`.
//!
//! Written straight from our spans: no type of another library, no allocation per span. Field numbers are those of
//! `opentelemetry/proto/trace/v1/trace.proto` and `logs/v1/logs.proto`, version 1.x.

use super::attributes::{attribute, envelope};
use super::fixed::Fixed;
use super::wire::Writer;
use crate::trace::{Span, SpanKind, visit_exception};

/// Writes requests. Keeps what is the same for all spans of one step.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    resource: Vec<u8>,
    fixed: Fixed,
}

const ATTRIBUTES: u32 = 9;
/// The low bit of W3C's flags.
const SAMPLED: u32 = 1;

/// W3C's flags, and OTLP's two bits: that it is known whether the parent (of a link: the span) is remote, and whether it is.
fn flags(sampled: bool, remote: bool) -> u32 {
    u32::from(sampled) | 1 << 8 | u32::from(remote) << 9
}

impl Encoder {
    pub(crate) fn new(resource: Vec<u8>) -> Self {
        Self { resource, ..Self::default() }
    }

    /// The request for these spans.
    pub(crate) fn spans(&mut self, spans: &[Span], out: &mut Writer) {
        let Self { resource, fixed } = self;
        envelope(out, resource, |out| {
            for span in spans {
                out.long_message(2, |out| write_span(span, fixed, out));
            }
        });
    }

    /// The request for what these spans failed with; `false` when there is nothing to send.
    pub(crate) fn exceptions(&self, spans: &[Span], out: &mut Writer) -> bool {
        let mut any = false;
        envelope(out, &self.resource, |out| {
            for span in spans {
                if let Some(failure) = span.exception() {
                    any = true;
                    out.message(2, |out| {
                        let at = span.end().as_unix_nanos();
                        out.fixed64(1, at);
                        out.uint(2, 17);
                        out.str(3, "ERROR");
                        out.message(5, |out| out.str(1, &failure.message));
                        visit_exception(failure, &mut |key, value| attribute(out, 6, key, value));
                        out.fixed32(8, SAMPLED);
                        out.bytes(9, &span.trace_id().to_bytes());
                        out.bytes(10, &span.span_id().to_bytes());
                        out.fixed64(11, at);
                        out.str(12, "exception");
                    });
                }
            }
        });
        any
    }
}

fn write_span(span: &Span, fixed: &mut Fixed, out: &mut Writer) {
    out.bytes(1, &span.trace_id().to_bytes());
    out.bytes(2, &span.span_id().to_bytes());
    let state = span.tracestate();
    if !state.is_empty() {
        out.str(3, state);
    }
    if let Some(parent) = span.parent_span_id() {
        out.bytes(4, &parent.to_bytes());
    }
    out.str(5, span.name());
    out.uint(
        6,
        match span.kind() {
            SpanKind::Internal => 1,
            SpanKind::Client => 3,
            SpanKind::Consumer => 5,
        },
    );
    out.fixed64(7, span.start().as_unix_nanos());
    out.fixed64(8, span.end().as_unix_nanos());
    write_attributes(span, fixed, out);
    span.visit_events(&mut |name, at, attributes| {
        out.message(11, |out| {
            out.fixed64(1, at.as_unix_nanos());
            out.str(2, name);
            attributes(&mut |key, value| attribute(out, 3, key, value));
        });
    });
    if span.dropped_events() > 0 {
        out.uint(12, u64::from(span.dropped_events()));
    }
    span.visit_links(&mut |link| {
        out.message(13, |out| {
            out.bytes(1, &link.trace.to_bytes());
            out.bytes(2, &link.span.to_bytes());
            if !link.state.is_empty() {
                out.str(3, link.state);
            }
            out.fixed32(6, flags(link.sampled, link.remote));
        });
    });
    let (code, message) = span.status_parts();
    if code > 0 {
        out.message(15, |out| {
            if !message.is_empty() {
                out.str(2, message);
            }
            out.uint(3, u64::from(code));
        });
    }
    out.fixed32(16, flags(true, span.is_parent_remote()));
}

fn write_attributes(span: &Span, fixed: &mut Fixed, out: &mut Writer) {
    let Some(key) = span.fixed_key() else {
        return span.visit_attributes(&mut |key, value| attribute(out, ATTRIBUTES, key, value));
    };
    out.raw(fixed.get(key, |out| span.visit_fixed(&mut |key, value| attribute(out, ATTRIBUTES, key, value))));
    span.visit_own(&mut |key, value| attribute(out, ATTRIBUTES, key, value));
}
