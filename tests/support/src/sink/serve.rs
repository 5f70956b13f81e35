//! One connection, from its first request to its end.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;

use super::http::{Head, answer};
use super::state::Shared;
use super::{Mode, Request, count};
use crate::decode;
use crate::span::ReceivedSpan;

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_hours(1);

/// Serves a connection until it is closed.
pub(super) fn connection(stream: &TcpStream, number: u64, shared: &Arc<Shared>) {
    // A mistake of the connection is the client's business, and is told in the request's record.
    let _ = requests(stream, number, shared);
    let _ = stream.shutdown(Shutdown::Both);
    shared.lock().connections.remove(&number);
}

fn requests(stream: &TcpStream, number: u64, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream.try_clone()?;
    loop {
        let (mode, changes) = {
            let state = shared.lock();
            (state.mode.clone(), state.changes)
        };
        if mode == Mode::HangUnread {
            shared.hang(changes, FOR_EVER);
            return Ok(());
        }
        let Some(head) = Head::read(&mut reader)? else { return Ok(()) };
        let goes_on = request(&head, &mut reader, &mut writer, number, shared)?;
        if !goes_on || !head.keeps_alive() {
            return Ok(());
        }
    }
}

/// Deals with one request; whether the connection goes on.
fn request(
    head: &Head,
    reader: &mut BufReader<TcpStream>,
    writer: &mut TcpStream,
    connection: u64,
    shared: &Arc<Shared>,
) -> io::Result<bool> {
    let mut record = Request {
        at: Instant::now(),
        connection,
        method: head.method.clone(),
        path: head.path.clone(),
        headers: head.headers.clone(),
        wire_bytes: 0,
        body_bytes: 0,
        spans: 0,
        kept: 0,
        status: 0,
        problem: None,
    };
    let (mode, changes) = shared.mode_for_request();
    head.invite_body(writer)?;
    if mode == Mode::CutRequest {
        head.read_half(reader)?;
        record.problem = Some("cut by the sink".to_owned());
        shared.change(|state| state.requests.push(record));
        return Ok(false);
    }
    let body = match head.read_body(reader) {
        Ok(body) => body,
        Err(error) => {
            record.problem = Some(format!("body: {error}"));
            shared.change(|state| state.requests.push(record));
            return Ok(false);
        }
    };
    record.wire_bytes = body.len();
    let content = content(head, body, shared.only_counts, &mut record);
    if let Mode::Slow(time) = mode {
        shared.hang(changes, time);
    }
    let goes_on = match (&mode, content) {
        (Mode::Hang, _) => {
            shared.change(|state| state.requests.push(record));
            shared.hang(changes, FOR_EVER);
            return Ok(false);
        }
        // What is wrong with a request is said in every mode that would have taken it.
        (Mode::Status(_) | Mode::RetryAfter(..) | Mode::Recover { .. }, _) => {
            let (status, after) = match &mode {
                Mode::Status(status) | Mode::Recover { status, .. } => (*status, None),
                Mode::RetryAfter(status, after) => (*status, Some(after.clone())),
                _ => unreachable!("matched above"),
            };
            record.status = status;
            shared.change(|state| state.requests.push(record));
            let headers: Vec<(&str, &str)> = after.iter().map(|after| ("retry-after", after.as_str())).collect();
            answer(writer, status, &headers, b"the sink was told to", 20)?;
            true
        }
        (_, Err(status)) => {
            record.status = status;
            let problem = record.problem.clone().unwrap_or_default();
            shared.change(|state| state.requests.push(record));
            answer(writer, status, &[("content-type", "text/plain")], problem.as_bytes(), problem.len())?;
            true
        }
        (mode, Ok(spans)) => take(mode, spans, record, writer, shared)?,
    };
    Ok(goes_on)
}

/// The spans of a request, or the status to refuse it with. Only counted ones are not decoded.
fn content(head: &Head, body: Vec<u8>, only_counts: bool, record: &mut Request) -> Result<Vec<ReceivedSpan>, u16> {
    let mut refuse = |status, problem: String| {
        record.problem = Some(problem);
        Err(status)
    };
    if head.path != "/v1/traces" {
        return refuse(404, format!("there is nothing at {}", head.path));
    }
    if head.method != "POST" {
        return refuse(405, format!("{} instead of POST", head.method));
    }
    if head.header("content-type") != Some("application/x-protobuf") {
        return refuse(415, format!("content-type {:?}", head.header("content-type")));
    }
    let body = match head.decompressed(body) {
        Ok(body) => body,
        Err(error) => return refuse(400, format!("content-encoding: {error}")),
    };
    let length = body.len();
    if only_counts {
        let Some(spans) = count::spans(&body) else { return refuse(400, "not an OTLP request".to_owned()) };
        record.body_bytes = length;
        record.spans = spans;
        return Ok(Vec::new());
    }
    let request = match ExportTraceServiceRequest::decode(&*body) {
        Ok(request) => request,
        Err(error) => return refuse(400, format!("not an OTLP request: {error}")),
    };
    let spans = decode::spans(request);
    record.body_bytes = length;
    record.spans = spans.len();
    Ok(spans)
}

/// Keeps the spans and answers as the mode asks; whether the connection goes on.
fn take(
    mode: &Mode,
    mut spans: Vec<ReceivedSpan>,
    mut record: Request,
    writer: &mut TcpStream,
    shared: &Arc<Shared>,
) -> io::Result<bool> {
    let mut response = ExportTraceServiceResponse::default();
    record.kept = record.spans;
    if let Mode::PartialSuccess { rejected, message } = mode {
        let rejected = record.spans.min(*rejected as usize);
        record.kept -= rejected;
        spans.truncate(record.kept);
        response.partial_success = Some(ExportTracePartialSuccess {
            rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
            error_message: message.clone(),
        });
    }
    record.status = if *mode == Mode::NotHttp { 0 } else { 200 };
    shared.change(|state| {
        state.span_count += record.kept as u64;
        state.spans.append(&mut spans);
        state.requests.push(record);
    });
    let protobuf = [("content-type", "application/x-protobuf")];
    match mode {
        Mode::NotHttp => writer.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").map(|()| false),
        Mode::CutAnswer => answer(writer, 200, &protobuf, b"\x0a\x10half", 100).map(|()| false),
        Mode::Garbage => answer(writer, 200, &protobuf, b"\xff\xff<html>no protobuf</html>", 26).map(|()| true),
        _ => {
            let body = response.encode_to_vec();
            answer(writer, 200, &protobuf, &body, body.len()).map(|()| true)
        }
    }
}
