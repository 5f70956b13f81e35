//! As much of an HTTP client as the kit itself needs.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

/// What a server answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// The head as it came.
    pub head: String,
    /// The body; empty when it was cut.
    pub body: Vec<u8>,
}

/// One request on a connection of its own.
///
/// # Errors
/// When there is no connection, no answer within ten seconds, or none that is HTTP.
pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        write!(bytes, "{name}: {value}\r\n")?;
    }
    write!(bytes, "content-length: {}\r\n\r\n", body.len())?;
    bytes.extend_from_slice(body);
    stream.write_all(&bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parsed(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP, or cut"))
}

fn parsed(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
        Some(line[name.len()..].trim().to_owned())
    };
    let rest = &answer[end + 4..];
    let body = if header("transfer-encoding:").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        unchunked(rest)?
    } else if let Some(length) = header("content-length:") {
        rest.get(..length.parse().ok()?)?.to_vec()
    } else {
        rest.to_vec()
    };
    Some(Answer { status, head, body })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 2 + size + 2..)?;
    }
}

/// The address in `http://127.0.0.1:4318`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn address(endpoint: &str) -> SocketAddr {
    let address = endpoint.trim_start_matches("http://").split('/').next().unwrap_or_default();
    address.parse().unwrap_or_else(|_| panic!("{endpoint} has no address"))
}

/// Sends a request made by hand as OTLP/HTTP.
///
/// # Panics
/// When it is not answered with 200.
#[track_caller]
pub fn export(endpoint: &str, request: &ExportTraceServiceRequest) {
    let headers = [("content-type", "application/x-protobuf")];
    let answer = send(address(endpoint), "POST", "/v1/traces", &headers, &request.encode_to_vec());
    assert_eq!(answer.map(|answer| answer.status).ok(), Some(200), "{endpoint}");
}
