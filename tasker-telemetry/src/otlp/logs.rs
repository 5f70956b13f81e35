//! Log records over OTLP: where to, and how they are written. Field numbers are those of `logs/v1/logs.proto`.

use std::time::Instant;

use serde_json::Value as Json;

use super::attributes::{attribute, envelope, resource};
use super::settings::{Protocol, Target, address};
use super::sink::{Signal, Transport, fitting, partial_success};
use super::wire::Writer;
use crate::logs::LogLine;
use crate::resource::Resource;
use crate::trace::{AttributeValue, Batching, SendError, Sent, Sink};
use crate::variables::{InvalidVariable, Variables};

/// Where the variables say that they go: those of logs before those of all signals.
pub(crate) fn log_target(variables: &Variables) -> Result<Target, InvalidVariable> {
    let protocol = match first(variables, "PROTOCOL") {
        None => Protocol::Http,
        Some((name, value)) => Protocol::named(&name, &value)?,
    };
    let gzip = match first(variables, "COMPRESSION") {
        None => false,
        Some((_, value)) if value == "gzip" => true,
        Some((_, value)) if value == "none" => false,
        Some((name, value)) => return Err(InvalidVariable::new(&name, &value, "known are `gzip` and `none`")),
    };
    let mut headers = variables.pairs("OTEL_EXPORTER_OTLP_HEADERS")?;
    for (name, value) in variables.pairs("OTEL_EXPORTER_OTLP_LOGS_HEADERS")? {
        headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
        headers.push((name, value));
    }
    let default = Batching::default();
    let timeout = variables.millis(&["OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])?;
    let timeout = match timeout {
        None => variables.millis(&["OTEL_BLRP_EXPORT_TIMEOUT"])?,
        said => said,
    };
    let logs = url(protocol, variables);
    Ok(Target {
        protocol,
        // No span goes there.
        traces: logs.clone(),
        logs,
        headers,
        gzip,
        certificate: first(variables, "CERTIFICATE").map(|(_, path)| path),
        batching: Batching {
            queue: variables.positive("OTEL_BLRP_MAX_QUEUE_SIZE")?.unwrap_or(default.queue),
            batch: variables.positive("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE")?.unwrap_or(default.batch),
            delay: variables.millis(&["OTEL_BLRP_SCHEDULE_DELAY"])?.unwrap_or(default.delay),
            timeout: timeout.unwrap_or(default.timeout),
            patience: default.patience,
        },
    })
}

/// The variable of logs, else that of all signals, with its name.
fn first(variables: &Variables, what: &str) -> Option<(String, String)> {
    let names = [format!("OTEL_EXPORTER_OTLP_LOGS_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
    names.into_iter().find_map(|name| variables.get(&name).map(|value| (name, value)))
}

/// The variable of logs is the whole address; to the common one HTTP adds its path.
fn url(protocol: Protocol, variables: &Variables) -> String {
    if let Some(url) = variables.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT") {
        return url;
    }
    let base = variables.get("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_else(|| protocol.default_server().to_owned());
    address(protocol, &base, "/v1/logs")
}

/// Sends them.
pub(crate) struct LogSink {
    transport: Box<dyn Transport>,
    resource: Vec<u8>,
    body: Writer,
}

impl LogSink {
    pub(super) fn new(transport: Box<dyn Transport>, of: &Resource) -> Self {
        Self { transport, resource: resource(of), body: Writer::default() }
    }
}

impl Sink<LogLine> for LogSink {
    fn name(&self) -> &'static str {
        "otlp logs"
    }

    fn export(&mut self, lines: &[LogLine], until: Instant) -> Result<Sent, SendError> {
        // What sending logs is not to be sent: it would never end.
        let _quiet = crate::logs::quietly();
        let sent = fitting(lines, self.transport.most_bytes(), |lines| {
            write_request(&self.resource, lines, &mut self.body);
            self.body.as_slice().len()
        });
        let answer = self.transport.send(Signal::Logs, self.body.as_slice(), until)?;
        Ok(Sent { left: lines.len() - sent.len(), ..partial_success(&answer) })
    }

    fn shutdown(&mut self, _: Instant) -> Result<(), String> {
        let _quiet = crate::logs::quietly();
        self.transport.close();
        Ok(())
    }
}

fn write_request(resource: &[u8], lines: &[LogLine], out: &mut Writer) {
    envelope(out, resource, |out| {
        for line in lines {
            out.long_message(2, |out| write_line(line, out));
        }
    });
}

fn write_line(line: &LogLine, out: &mut Writer) {
    let (number, text) = match line.level {
        tracing::Level::TRACE => (1, "TRACE"),
        tracing::Level::DEBUG => (5, "DEBUG"),
        tracing::Level::INFO => (9, "INFO"),
        tracing::Level::WARN => (13, "WARN"),
        tracing::Level::ERROR => (17, "ERROR"),
    };
    out.fixed64(1, line.at.as_unix_nanos());
    out.uint(2, number);
    out.str(3, text);
    out.message(5, |out| out.str(1, &line.message));
    attribute(out, 6, "log.target", AttributeValue::Str(&line.target));
    let (mut trace, mut span) = (None, None);
    for (name, value) in &line.fields {
        match (name.as_str(), value) {
            ("trace_id", Json::String(id)) => trace = id.parse::<crate::trace::TraceId>().ok(),
            ("span_id", Json::String(id)) => span = id.parse::<crate::trace::SpanId>().ok(),
            _ => attribute(out, 6, name, of_json(value)),
        }
    }
    if let Some(trace) = trace {
        out.bytes(9, &trace.to_bytes());
    }
    if let Some(span) = span {
        out.bytes(10, &span.to_bytes());
    }
    out.fixed64(11, line.at.as_unix_nanos());
}

fn of_json(value: &Json) -> AttributeValue<'_> {
    match value {
        Json::String(text) => AttributeValue::Str(text),
        Json::Bool(flag) => AttributeValue::Bool(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => AttributeValue::I64(number),
            (None, Some(number)) => AttributeValue::F64(number),
            (None, None) => AttributeValue::Json(value),
        },
        other => AttributeValue::Json(other),
    }
}
