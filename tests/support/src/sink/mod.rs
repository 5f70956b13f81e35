//! An OTLP/HTTP receiver inside the test process, which fails on demand.
//!
//! ```
//! use trace_kit::{Mode, Sink, client, sample};
//!
//! let sink = Sink::start();
//! client::export(&sink.endpoint(), &sample::request());
//! assert_eq!(sink.spans().len(), 3);
//! sink.mode(Mode::Status(503)); // from now on
//! ```

pub mod count;
mod http;
mod mode;
mod request;
mod serve;
pub(crate) mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

pub use self::mode::Mode;
pub use self::request::Request;
use self::state::Shared;
use crate::span::ReceivedSpan;

/// A running receiver; it stops when it is dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    /// Bound and never listening: keeps the port ours while nothing accepts on it.
    _reserved: Socket,
    acceptor: Mutex<Option<Acceptor>>,
    shared: Arc<Shared>,
}

impl Sink {
    /// Starts one on a free loopback port, healthy.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start() -> Self {
        Self::with(false)
    }

    /// Starts one that counts spans and keeps none: for more of them than one wants in memory.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn counting() -> Self {
        Self::with(true)
    }

    fn with(only_counts: bool) -> Self {
        let reserved = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("there is a free port");
        let address = reserved.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
        let shared = Arc::new(Shared::new(only_counts));
        let acceptor = Mutex::new(Some(Acceptor::start(address, &shared)));
        Self { address, _reserved: reserved, acceptor, shared }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to: without `/v1/traces`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set to: with `/v1/traces`.
    #[must_use]
    pub fn traces_endpoint(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves like this from the next request on. Requests that hang are cut.
    pub fn mode(&self, mode: Mode) {
        let refuses = mode == Mode::Refuse;
        self.shared.set_mode(mode);
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        if refuses {
            if let Some(acceptor) = acceptor.take() {
                acceptor.stop(self.address);
            }
            self.shared.cut();
        } else if acceptor.is_none() {
            *acceptor = Some(Acceptor::start(self.address, &self.shared));
        }
    }

    /// All spans that were taken, in the order of their coming.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.shared.lock().spans.clone()
    }

    /// How many were taken; the figure of [`Sink::counting`], too.
    #[must_use]
    pub fn span_count(&self) -> u64 {
        self.shared.lock().span_count
    }

    /// All requests, also those that were refused or cut.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections_made
    }

    /// Forgets spans and requests.
    pub fn clear(&self) {
        self.shared.change(|state| {
            state.spans.clear();
            state.span_count = 0;
            state.requests.clear();
        });
    }

    /// Waits until so many spans were taken, and gives them.
    ///
    /// # Panics
    /// When they do not come in time, with what did.
    #[track_caller]
    #[must_use]
    pub fn wait_for_spans(&self, count: u64, time: Duration) -> Vec<ReceivedSpan> {
        self.shared.expect(&format!("{count} spans"), time, |state| state.span_count >= count);
        self.spans()
    }

    /// Waits until so many requests came, and gives them.
    ///
    /// # Panics
    /// When they do not come in time, with what did.
    #[track_caller]
    #[must_use]
    pub fn wait_for_requests(&self, count: usize, time: Duration) -> Vec<Request> {
        self.shared.expect(&format!("{count} requests"), time, |state| state.requests.len() >= count);
        self.requests()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.change(|state| state.is_stopped = true);
        if let Some(acceptor) = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner).take() {
            acceptor.stop(self.address);
        }
        self.shared.cut();
    }
}

/// A socket that is bound to the address and does not listen.
pub(crate) fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Two sockets may be bound to one port as long as one of them does not listen.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The thread that accepts.
#[derive(Debug)]
struct Acceptor {
    is_stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Acceptor {
    fn start(address: SocketAddr, shared: &Arc<Shared>) -> Self {
        let socket = bound(address).expect("the port is reserved");
        socket.listen(128).expect("a bound socket can listen");
        let listener = TcpListener::from(socket);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (stopped, shared) = (Arc::clone(&is_stopped), Arc::clone(shared));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let Ok(handle) = stream.try_clone() else { continue };
                let number = shared.change(|state| {
                    state.connections_made += 1;
                    state.connections.insert(state.connections_made, handle);
                    state.connections_made
                });
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve::connection(&stream, number, &shared));
            }
        });
        Self { is_stopped, thread }
    }

    /// Stops it and closes the port.
    fn stop(self, address: SocketAddr) {
        self.is_stopped.store(true, Ordering::Release);
        // It sees the flag when it wakes up.
        let _ = TcpStream::connect(address);
        let _ = self.thread.join();
    }
}
