//! OTLP over gRPC: the same bytes as over HTTP, in unary calls on a runtime that only the exporter's own thread drives.
//!
//! Nothing of it needs a runtime of the program's: it may be current-thread, sleep in a blocking call, or be gone.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use ureq::http::uri::PathAndQuery;

use super::http::{BadTarget, check_url};
use super::settings::Target;
use super::sink::{Signal, Transport};
use super::wire::{Field, Reader};
use crate::credentials::shown;
use crate::trace::{Again, SendError};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// See the module.
pub(crate) struct OverGrpc {
    traces: Endpoint,
    logs: Endpoint,
    metadata: MetadataMap,
    gzip: bool,
    /// Made by the exporter's thread, at the first call: a runtime must not be dropped where the program's own runs.
    live: Option<Live>,
}

struct Live {
    runtime: Runtime,
    traces: Grpc<Channel>,
    logs: Grpc<Channel>,
}

impl OverGrpc {
    pub(crate) fn new(target: &Target) -> Result<Self, BadTarget> {
        let mut metadata = MetadataMap::new();
        for (name, value) in &target.headers {
            // The value may be a credential: it is not shown.
            let bad =
                || BadTarget(format!("the header `{name}` has a name or a value that no metadata of gRPC may have"));
            let key = MetadataKey::<Ascii>::from_bytes(name.to_ascii_lowercase().as_bytes()).map_err(|_| bad())?;
            let mut value = MetadataValue::<Ascii>::try_from(value.as_str()).map_err(|_| bad())?;
            value.set_sensitive(true);
            metadata.insert(key, value);
        }
        let certificate = target.certificate.as_deref();
        Ok(Self {
            traces: endpoint(&target.traces, certificate)?,
            logs: endpoint(&target.logs, certificate)?,
            metadata,
            gzip: target.gzip,
            live: None,
        })
    }

    fn connected(&mut self) -> std::io::Result<&mut Live> {
        let live = match self.live.take() {
            Some(live) => live,
            None => self.connect()?,
        };
        Ok(self.live.insert(live))
    }

    /// Connects at the first call only, and again when the connection is gone.
    fn connect(&self) -> std::io::Result<Live> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = |endpoint: &Endpoint| {
            let _inside = runtime.enter();
            let client = Grpc::new(endpoint.connect_lazy()).accept_compressed(CompressionEncoding::Gzip);
            if self.gzip { client.send_compressed(CompressionEncoding::Gzip) } else { client }
        };
        let traces = client(&self.traces);
        let logs = if self.traces.uri() == self.logs.uri() { traces.clone() } else { client(&self.logs) };
        Ok(Live { runtime, traces, logs })
    }

    fn disconnect(&mut self) {
        if let Some(live) = self.live.take() {
            drop((live.traces, live.logs));
            // Not waiting for a name that is still looked up.
            live.runtime.shutdown_background();
        }
    }
}

impl Transport for OverGrpc {
    fn send(&mut self, signal: Signal, body: &[u8], until: Instant) -> Result<Vec<u8>, SendError> {
        let uri = match signal {
            Signal::Traces => self.traces.uri(),
            Signal::Logs => self.logs.uri(),
        };
        let uri = shown(&uri.to_string());
        let soon = |problem: &dyn fmt::Display| SendError { message: format!("{uri}: {problem}"), again: Again::Soon };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(soon(&"no time was left"));
        }
        let mut request = Request::new(Bytes::copy_from_slice(body));
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(left);
        let live = self.connected().map_err(|error| soon(&error))?;
        let (client, path) = match signal {
            Signal::Traces => (&mut live.traces, TRACES),
            Signal::Logs => (&mut live.logs, LOGS),
        };
        let call = async {
            client.ready().await.map_err(|error| Status::from_error(error.into()))?;
            client.unary(request, PathAndQuery::from_static(path), Raw { length: body.len() }).await
        };
        match live.runtime.block_on(async { tokio::time::timeout(left, call).await }) {
            Ok(Ok(answer)) => Ok(answer.into_inner().into()),
            Ok(Err(status)) => {
                // The client keeps the same limit, and may be the first to say that it is over.
                if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled) {
                    self.disconnect();
                }
                Err(failed(&uri, &status))
            }
            Err(_) => {
                // A connection on which nothing comes back may be dead without anybody having said so.
                self.disconnect();
                Err(soon(&"no answer in time"))
            }
        }
    }

    /// gRPC's default is 4 MiB, everywhere.
    fn most_bytes(&self) -> usize {
        3 * 1024 * 1024 + 512 * 1024
    }

    fn close(&mut self) {
        self.disconnect();
    }
}

impl Drop for OverGrpc {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl fmt::Debug for OverGrpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverGrpc")
            .field("traces", &shown(&self.traces.uri().to_string()))
            .field("gzip", &self.gzip)
            .finish_non_exhaustive()
    }
}

fn failed(uri: &str, status: &Status) -> SendError {
    let mut message = format!("{uri} answered {:?}", status.code());
    let text: String = status.message().chars().take(200).collect();
    if !text.is_empty() {
        message = format!("{message}: {text}");
    }
    // What no server said (the connection could not be made, or broke) has a cause.
    let mut cause = std::error::Error::source(status);
    if cause.is_some() {
        message = format!("{uri}: {text}");
    }
    let broke = cause.is_some();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    SendError { message, again: if broke { Again::Soon } else { again(status.code(), status.details()) } }
}

/// By the OTLP specification: these may be sent again, no other; one of them only if the server says when.
fn again(code: Code, details: &[u8]) -> Again {
    match (code, retry_delay(details)) {
        (
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            | Code::ResourceExhausted,
            Some(delay),
        ) => Again::After(delay),
        (
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss,
            None,
        ) => Again::Soon,
        _ => Again::Never,
    }
}

/// The delay of a `google.rpc.RetryInfo` among the details of a `google.rpc.Status`.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let messages = |of, number| {
        Reader::new(of).filter_map(move |(field, value)| match value {
            Field::Bytes(bytes) if field == number => Some(bytes),
            _ => None,
        })
    };
    let mut infos = messages(details, 3).filter(|any| {
        messages(any, 1).any(|url| url.rsplit(|byte| *byte == b'/').next() == Some(b"google.rpc.RetryInfo".as_slice()))
    });
    let info = infos.find_map(|any| messages(any, 2).next())?;
    // Without a delay: at once.
    let (mut seconds, mut nanos) = (0, 0);
    for (field, value) in messages(info, 1).next().into_iter().flat_map(Reader::new) {
        match (field, value) {
            (1, Field::Number(number)) => seconds = u64::try_from(number.cast_signed()).unwrap_or(0),
            (2, Field::Number(number)) => nanos = u32::try_from(number).unwrap_or(0).min(999_999_999),
            _ => {}
        }
    }
    Some(Duration::new(seconds, nanos))
}

fn endpoint(url: &str, certificate: Option<&str>) -> Result<Endpoint, BadTarget> {
    check_url(url)?;
    let bad = |error: tonic::transport::Error| BadTarget(format!("`{}`: {}", shown(url), chain(&error)));
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(bad)?;
    let endpoint = endpoint.user_agent(concat!("tasker-telemetry/", env!("CARGO_PKG_VERSION"))).map_err(bad)?;
    trust(endpoint, url, certificate)
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, e| format!("{text}: {e}"))
}

#[cfg(feature = "tls")]
fn trust(endpoint: Endpoint, url: &str, certificate: Option<&str>) -> Result<Endpoint, BadTarget> {
    use tonic::transport::{Certificate, ClientTlsConfig};
    if endpoint.uri().scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let tls = match certificate {
        None => ClientTlsConfig::new().with_webpki_roots(),
        Some(path) => {
            let pem = std::fs::read(path).map_err(|error| BadTarget(format!("the certificate `{path}`: {error}")))?;
            if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
                return Err(BadTarget(format!("`{path}` has no certificate")));
            }
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
        }
    };
    endpoint.tls_config(tls).map_err(|error| BadTarget(format!("`{}`: {}", shown(url), chain(&error))))
}

#[cfg(not(feature = "tls"))]
fn trust(endpoint: Endpoint, _: &str, certificate: Option<&str>) -> Result<Endpoint, BadTarget> {
    match certificate {
        None => Ok(endpoint),
        Some(path) => Err(BadTarget(format!("the certificate `{path}` needs the feature `tls` of tasker-telemetry"))),
    }
}

/// Messages that are bytes already.
struct Raw {
    /// Of the message that is sent.
    length: usize,
}

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self { length: self.length }
    }

    fn decoder(&mut self) -> Self {
        Self { length: 0 }
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }

    /// As large as the message, so that it is copied once.
    fn buffer_settings(&self) -> BufferSettings {
        const FRAME: usize = 64;
        BufferSettings::new(self.length + FRAME, self.length + FRAME)
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        const AN_ANSWER: usize = 1024;
        BufferSettings::new(AN_ANSWER, AN_ANSWER)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Writer;
    use super::*;

    fn details(url: &str, delay: Option<(i64, i64)>) -> Vec<u8> {
        let mut out = Writer::default();
        out.int(1, 8);
        out.message(3, |out| {
            out.str(1, url);
            out.message(2, |out| {
                if let Some((seconds, nanos)) = delay {
                    out.message(1, |out| {
                        out.int(1, seconds);
                        out.int(2, nanos);
                    });
                }
            });
        });
        out.as_slice().to_vec()
    }

    #[test]
    fn codes_may_be_tried_again_as_the_specification_says() {
        let codes =
            |again_: Again| (0..17).filter(|code| again(Code::from_i32(*code), b"") == again_).collect::<Vec<_>>();
        assert_eq!(codes(Again::Soon), [1, 4, 10, 11, 14, 15]);
        assert_eq!(codes(Again::Never).len(), 11);
        let info = details("type.googleapis.com/google.rpc.RetryInfo", Some((2, 500_000_000)));
        let after = Again::After(Duration::from_millis(2500));
        assert_eq!([again(Code::ResourceExhausted, &info), again(Code::Unavailable, &info)], [after, after]);
        assert_eq!(again(Code::Internal, &info), Again::Never);
    }

    #[test]
    fn the_delay_is_read_from_any_details() {
        let url = "type.googleapis.com/google.rpc.RetryInfo";
        assert_eq!(retry_delay(&details(url, None)), Some(Duration::ZERO));
        assert_eq!(retry_delay(&details(url, Some((-3, -1)))), Some(Duration::ZERO));
        let long = details(url, Some((i64::MAX, 2_000_000_000)));
        assert_eq!(retry_delay(&long), Some(Duration::new(i64::MAX.cast_unsigned(), 999_999_999)));
        for none in [details("x/google.rpc.DebugInfo", Some((1, 0))), b"\xff\xff\x0b".to_vec(), Vec::new()] {
            assert_eq!(retry_delay(&none), None);
        }
    }
}
