//! Servers of other projects, for the tests that ask them (feature `services`): each is a child of the test, listens on a free
//! port of loopback, and is stopped when it is dropped, also when the test fails.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

pub use crate::folder::Folder;

/// A server that runs.
#[derive(Debug)]
pub struct Server(Child);

impl Server {
    /// Starts it.
    ///
    /// # Panics
    /// When there is no such program: `scripts/test-services` installs them.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        Self(command.spawn().unwrap_or_else(|error| panic!("{name}: {error}: run scripts/test-services")))
    }

    /// What it writes, if that was asked for.
    ///
    /// # Panics
    /// When it was not.
    pub fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().expect("its output is piped")
    }

    /// What it writes to the other stream, if that was asked for.
    ///
    /// # Panics
    /// When it was not.
    pub fn stderr(&mut self) -> ChildStderr {
        self.0.stderr.take().expect("its output is piped")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address whose port was free a moment ago, for TCP.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

/// The same for UDP.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_udp_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

/// What `look` finds, as soon as it does.
///
/// # Panics
/// After a minute, with what it last said.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) => assert!(begun.elapsed() < Duration::from_mins(1), "{what}: {last}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Status and body of an HTTP answer; status 0 when there is none.
#[must_use]
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    request(address, "GET", path, "")
}

/// The same of a request with a body.
#[must_use]
pub fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(address) else { return (0, String::new()) };
    let length = body.len();
    let _ = write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return (0, text) };
    (head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(), body.to_owned())
}

/// A Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    _server: Server,
    address: SocketAddr,
    _folder: Folder,
}

impl Prometheus {
    /// Starts one with that configuration.
    #[must_use]
    pub fn start(name: &str, config: &str) -> Self {
        let folder = Folder::new(&format!("prometheus-{name}"));
        let config = folder.write("prometheus.yml", config);
        let address = free_address();
        let server = Server::start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--enable-feature=exemplar-storage")
                .arg("--log.level=error"),
        );
        Self { _server: server, address, _folder: folder }
    }

    /// What the API answers; null when it does not.
    #[must_use]
    pub fn get(&self, path: &str) -> Json {
        serde_json::from_str(&get(self.address, path).1).unwrap_or_default()
    }

    /// The series of an instant query.
    #[must_use]
    pub fn query(&self, query: &str) -> Json {
        self.get(&format!("/api/v1/query?query={}", encoded(query)))
    }

    /// The value of a query, as soon as there is one that is wanted.
    ///
    /// # Panics
    /// After a minute, with the last answer.
    pub fn wait_for(&self, query: &str, is_wanted: impl Fn(f64) -> bool) -> f64 {
        wait_for(query, || {
            let answer = self.query(query);
            let value = answer["data"]["result"][0]["value"][1].as_str().and_then(|value| value.parse().ok());
            value.filter(|value| is_wanted(*value)).ok_or_else(|| answer.to_string())
        })
    }
}

/// A text as a part of a URL.
#[must_use]
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

/// Where `scripts/test-services` installs what no package of the system has.
#[must_use]
pub fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/services").join(path)
}
