//! Servers of other projects, for the tests that ask them (feature `services`), and how they are asked.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use trace_kit::server::Server;

pub use crate::folder::Folder;

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
        let (server, [address]) = Server::listening(|[address]| {
            let mut command = Command::new("prometheus");
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--enable-feature=exemplar-storage")
                .arg("--log.level=error");
            command
        });
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
