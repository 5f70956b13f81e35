//! An OTLP/gRPC receiver inside the test process, which fails on demand.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use socket2::Socket;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{KeyAndValueRef, MetadataMap};
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};

use crate::decode;
use crate::sink::bound;
use crate::span::ReceivedSpan;

/// What the sink does with calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrpcMode {
    /// Takes everything.
    Healthy,
    /// The port is closed, open connections are cut.
    Refuse,
    /// Never answers.
    Hang,
    /// Answers with that code and keeps nothing: 8 is `RESOURCE_EXHAUSTED`, 13 `INTERNAL`, 14 `UNAVAILABLE`.
    Code(i32),
    /// The same, and says when to try again, as `RetryInfo` in the details.
    RetryAfter(i32, Duration),
    /// Answers so many calls with a code, then is [`GrpcMode::Healthy`].
    Recover {
        /// To so many calls.
        failures: u32,
        /// This code.
        code: i32,
    },
    /// Takes everything, and so long for each call.
    Slow(Duration),
    /// Takes the call and says that it rejected its last spans.
    PartialSuccess {
        /// How many; of a call with fewer, all.
        rejected: u32,
        /// Why.
        message: String,
    },
}

/// A call as it came.
#[derive(Debug, Clone)]
pub struct Call {
    /// The metadata that is text, names in lower case.
    pub metadata: Vec<(String, String)>,
    /// Spans in it.
    pub spans: usize,
    /// How many of them were kept.
    pub kept: usize,
    /// The code it was answered with; `None`: it was not.
    pub code: Option<i32>,
}

/// A call about log records as it came.
#[derive(Debug, Clone)]
pub struct LogCall {
    /// The metadata that is text, names in lower case.
    pub metadata: Vec<(String, String)>,
    /// Records in it.
    pub records: usize,
    /// The code it was answered with.
    pub code: i32,
}

#[derive(Debug, Default)]
struct State {
    mode: Option<GrpcMode>,
    spans: Vec<ReceivedSpan>,
    calls: Vec<Call>,
    logs: Vec<LogRecord>,
    log_calls: Vec<LogCall>,
    /// The answers to the next calls about logs.
    log_codes: VecDeque<i32>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running receiver; it stops when it is dropped.
#[derive(Debug)]
pub struct GrpcSink {
    address: SocketAddr,
    identity: Option<Identity>,
    /// Bound and never listening: keeps the port ours while nothing accepts on it.
    _reserved: Socket,
    server: Mutex<Option<Server>>,
    shared: Arc<Shared>,
}

impl GrpcSink {
    /// Starts one on a free loopback port, healthy.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start() -> Self {
        Self::with(None)
    }

    /// The same with TLS: the server's certificate and its key, as PEM.
    ///
    /// # Panics
    /// When there is no port, or they are none.
    #[must_use]
    pub fn with_tls(certificate: &str, key: &str) -> Self {
        Self::with(Some(Identity::from_pem(certificate, key)))
    }

    fn with(identity: Option<Identity>) -> Self {
        let reserved = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("there is a free port");
        let address = reserved.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
        let shared = Arc::default();
        let server = Mutex::new(Some(Server::start(address, identity.clone(), &shared)));
        Self { address, identity, _reserved: reserved, server, shared }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Behaves like this from the next call on. Calls that hang are cut.
    ///
    /// # Panics
    /// When the port cannot be opened again.
    pub fn mode(&self, mode: GrpcMode) {
        let refuses = mode == GrpcMode::Refuse;
        let hung = self.shared.lock().mode.replace(mode) == Some(GrpcMode::Hang);
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if refuses || hung {
            drop(server.take());
        }
        if !refuses && server.is_none() {
            *server = Some(Server::start(self.address, self.identity.clone(), &self.shared));
        }
    }

    /// All spans that were taken, in the order of their coming.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.shared.lock().spans.clone()
    }

    /// Answers the next calls about logs with these codes and keeps nothing of them; the mode is for calls about spans.
    pub fn refuse_logs(&self, codes: &[i32]) {
        self.shared.lock().log_codes.extend(codes);
    }

    /// All calls about logs.
    #[must_use]
    pub fn log_calls(&self) -> Vec<LogCall> {
        self.shared.lock().log_calls.clone()
    }

    /// All log records that were taken.
    #[must_use]
    pub fn logs(&self) -> Vec<LogRecord> {
        self.shared.lock().logs.clone()
    }

    /// All calls about spans, also those that were refused.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// Waits until so many spans were taken, and gives them.
    ///
    /// # Panics
    /// When they do not come in time.
    #[track_caller]
    #[must_use]
    pub fn wait_for_spans(&self, count: usize, time: Duration) -> Vec<ReceivedSpan> {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, time, |state| state.spans.len() < count);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{count} spans did not come within {time:?}: {} did", state.spans.len());
        state.spans.clone()
    }
}

/// The thread with the server. Dropped, it cuts all connections.
#[derive(Debug)]
struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(address: SocketAddr, identity: Option<Identity>, shared: &Arc<Shared>) -> Self {
        let socket = bound(address).expect("the port is reserved");
        socket.listen(128).expect("a bound socket can listen");
        socket.set_nonblocking(true).expect("a socket can be that");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let (stop, mut stopped) = watch::channel(false);
        let service = TraceServiceServer::new(Service(Arc::clone(shared))).accept_compressed(CompressionEncoding::Gzip);
        let logs = LogsServiceServer::new(Service(Arc::clone(shared))).accept_compressed(CompressionEncoding::Gzip);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(socket.into()).expect("it listens");
                let mut server = tonic::transport::Server::builder();
                if let Some(identity) = identity {
                    let tls = ServerTlsConfig::new().identity(identity);
                    server = server.tls_config(tls).expect("a certificate and its key");
                }
                let server = server.add_service(service).add_service(logs);
                tokio::select! {
                    end = server.serve_with_incoming(TcpListenerStream::new(listener)) => end.expect("it serves"),
                    _ = stopped.changed() => {}
                }
            });
            // Tasks with connections end with the runtime, without waiting for those that hang.
            runtime.shutdown_background();
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[derive(Debug)]
struct Service(Arc<Shared>);

/// The metadata that is text.
fn texts(metadata: &MetadataMap) -> Vec<(String, String)> {
    let text = |pair| match pair {
        KeyAndValueRef::Ascii(name, value) => Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())),
        KeyAndValueRef::Binary(..) => None,
    };
    metadata.iter().filter_map(text).collect()
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let metadata = texts(request.metadata());
        let scopes = request.into_inner().resource_logs.into_iter().flat_map(|of_resource| of_resource.scope_logs);
        let records: Vec<_> = scopes.flat_map(|of_scope| of_scope.log_records).collect();
        let mut state = self.0.lock();
        let code = state.log_codes.pop_front().unwrap_or(0);
        state.log_calls.push(LogCall { metadata, records: records.len(), code });
        if code != 0 {
            return Err(Status::new(Code::from(code), "the sink was told to"));
        }
        state.logs.extend(records);
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut call = Call { metadata: texts(request.metadata()), spans: 0, kept: 0, code: Some(0) };
        let mut spans = decode::spans(request.into_inner());
        call.spans = spans.len();
        let mode = {
            let mut state = self.0.lock();
            let mode = state.mode.clone().unwrap_or(GrpcMode::Healthy);
            match &mut state.mode {
                Some(GrpcMode::Recover { failures: 0, .. }) => GrpcMode::Healthy,
                Some(GrpcMode::Recover { failures, .. }) => {
                    *failures -= 1;
                    mode
                }
                _ => mode,
            }
        };
        let mut response = ExportTraceServiceResponse::default();
        match mode {
            GrpcMode::Healthy | GrpcMode::Refuse => {}
            GrpcMode::Slow(time) => tokio::time::sleep(time).await,
            GrpcMode::Hang => {
                call.code = None;
                self.0.lock().calls.push(call);
                return std::future::pending().await;
            }
            GrpcMode::Code(code) | GrpcMode::Recover { code, .. } => {
                call.code = Some(code);
                self.0.lock().calls.push(call);
                return Err(Status::new(Code::from(code), "the sink was told to"));
            }
            GrpcMode::RetryAfter(code, after) => {
                call.code = Some(code);
                self.0.lock().calls.push(call);
                let details = retry_info::status(code, after);
                return Err(Status::with_details(Code::from(code), "the sink was told to", details.into()));
            }
            GrpcMode::PartialSuccess { rejected, message } => {
                let rejected = spans.len().min(rejected as usize);
                spans.truncate(spans.len() - rejected);
                response.partial_success = Some(ExportTracePartialSuccess {
                    rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
                    error_message: message,
                });
            }
        }
        call.kept = spans.len();
        let mut state = self.0.lock();
        state.calls.push(call);
        state.spans.append(&mut spans);
        drop(state);
        self.0.changed.notify_all();
        Ok(Response::new(response))
    }
}

/// `google.rpc.Status` with a `google.rpc.RetryInfo`.
mod retry_info {
    use std::time::Duration;

    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    struct RpcStatus {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<RetryDelay>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct RetryDelay {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }

    pub(super) fn status(code: i32, after: Duration) -> Vec<u8> {
        let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
        let nanos = i32::try_from(after.subsec_nanos()).unwrap_or(0);
        let info = RetryInfo { retry_delay: Some(RetryDelay { seconds, nanos }) };
        let any = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: info.encode_to_vec() };
        RpcStatus { code, message: "the sink was told to".to_owned(), details: vec![any] }.encode_to_vec()
    }
}
