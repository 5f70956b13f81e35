//! Spans on their way to an OTLP server over HTTP.

use std::time::Instant;

use super::attributes;
use super::http::{BadTarget, Http};
use super::settings::Target;
use super::spans::Encoder;
use super::wire::{Field, Reader, Writer};
use crate::resource::Resource;
use crate::trace::{SendError, Sent, Span, SpanSink};

/// See the module.
#[derive(Debug)]
pub(crate) struct OtlpHttp {
    http: Http,
    traces: String,
    /// Where exceptions go as logs, if they do.
    logs: Option<String>,
    encoder: Encoder,
    body: Writer,
}

pub(crate) const PROTOBUF: &str = "application/x-protobuf";

impl OtlpHttp {
    pub(crate) fn new(target: &Target, resource: &Resource, exception_logs: bool) -> Result<Self, BadTarget> {
        let http = Http::new(&target.traces, &target.headers, target.gzip, target.certificate.as_deref())?;
        Ok(Self {
            http,
            traces: target.traces.clone(),
            logs: exception_logs.then(|| target.logs.clone()),
            encoder: Encoder::new(attributes::resource(resource)),
            body: Writer::default(),
        })
    }
}

impl SpanSink for OtlpHttp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn export(&mut self, spans: &[Span], until: Instant) -> Result<Sent, SendError> {
        self.encoder.spans(spans, &mut self.body);
        let answer = self.http.post(&self.traces, PROTOBUF, self.body.as_slice(), until)?;
        let mut sent = partial_success(&answer);
        if let Some(logs) = &self.logs
            && self.encoder.exceptions(spans, &mut self.body)
            // The spans are there: a log that is not is told, but sends no span again.
            && let Err(error) = self.http.post(logs, PROTOBUF, self.body.as_slice(), until)
        {
            sent.message = Some(format!("exceptions as logs: {}", error.message));
        }
        Ok(sent)
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
        assert_eq!(partial_success(answer.as_slice()), Sent { rejected: 3, message: Some("too old".to_owned()) });
        for nothing in [&b""[..], b"<html></html>", b"{\"partialSuccess\":{}}"] {
            assert_eq!(partial_success(nothing).rejected, 0);
        }
    }
}
