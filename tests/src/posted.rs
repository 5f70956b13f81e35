//! A server that keeps what it is sent over HTTP, and answers as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `POST`.
    pub method: String,
    /// `/v1/metrics`.
    pub path: String,
    /// As they came, a line each.
    pub headers: Vec<String>,
    /// Unpacked, if it was packed.
    pub body: Vec<u8>,
}

/// The server; it listens as long as the process.
#[derive(Debug, Clone)]
pub struct Posted {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Posted {
    /// Starts one on a free port of loopback.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let posted = Self { address, status: Arc::new(AtomicU16::new(200)), requests: Arc::default() };
        let theirs = posted.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                theirs.answer(stream);
            }
        });
        posted
    }

    /// `http://127.0.0.1:1234`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How it answers from now on.
    pub fn status(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// What came since this was last asked, whatever the answer was.
    ///
    /// # Panics
    /// When the server panicked.
    #[must_use]
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().expect("no panic"))
    }

    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        let _ = reader.read_line(&mut line);
        let mut words = line.split(' ').map(str::to_owned);
        let mut request = Request {
            method: words.next().unwrap_or_default(),
            path: words.next().unwrap_or_default(),
            ..Request::default()
        };
        let mut length = 0;
        loop {
            line.clear();
            let _ = reader.read_line(&mut line);
            let header = line.trim().to_owned();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
            request.headers.push(header);
        }
        request.body = vec![0; length];
        let _ = reader.read_exact(&mut request.body);
        if request.headers.iter().any(|header| header.eq_ignore_ascii_case("content-encoding: gzip")) {
            let mut unpacked = Vec::new();
            let _ = flate2::read::GzDecoder::new(&*request.body).read_to_end(&mut unpacked);
            request.body = unpacked;
        }
        self.requests.lock().expect("no panic").push(request);
        let status = self.status.load(Ordering::Relaxed);
        let _ = write!(reader.into_inner(), "HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
}
