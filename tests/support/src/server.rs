//! A server of another project as a child process on free ports of loopback.

use std::fmt;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::ports;

/// It had more than enough time when it has not started by then; machines may be busy.
const START: Duration = Duration::from_secs(40);

/// So often it is started, each time at other ports, before a test fails for it.
const STARTS: u32 = 3;

/// A running server; it is stopped when it is dropped, also when the test fails.
pub struct Server {
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
    complained: Arc<Mutex<Vec<u8>>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.child.id())
    }
}

impl Server {
    /// Starts it.
    ///
    /// # Panics
    /// When there is no such program: `scripts/test-services` installs them.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/test-services"));
        let printed = collected(child.stdout.take());
        let complained = collected(child.stderr.take());
        Self { child, printed, complained }
    }

    /// Starts it at free addresses and waits until it listens at all of them. One that ends before, since somebody was quicker
    /// at a port, is started again at others.
    ///
    /// # Panics
    /// When it does not listen, with what it said.
    #[must_use]
    pub fn listening<const N: usize>(mut command: impl FnMut([SocketAddr; N]) -> Command) -> (Self, [SocketAddr; N]) {
        let mut problems = Vec::new();
        for _ in 0..STARTS {
            let addresses = ports::tcp();
            let mut command = command(addresses);
            let mut server = Self::start(&mut command);
            match server.wait_until_it_listens(&addresses) {
                Ok(()) => return (server, addresses),
                Err(problem) => problems.push(format!("{command:?} {problem}")),
            }
        }
        panic!("{}", problems.join("\n"));
    }

    fn wait_until_it_listens(&mut self, addresses: &[SocketAddr]) -> Result<(), String> {
        let begun = Instant::now();
        for address in addresses {
            while TcpStream::connect(address).is_err() {
                let ended = self.child.try_wait().ok().flatten();
                if ended.is_some() || begun.elapsed() > START {
                    return Err(format!(
                        "does not listen on {address} ({ended:?}): {}{}",
                        self.printed(),
                        self.complained()
                    ));
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// What it has printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        text(&self.printed)
    }

    /// What it has written to the other stream so far.
    #[must_use]
    pub fn complained(&self) -> String {
        text(&self.complained)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

/// Reads all of it on a thread, so that the process never waits for a reader.
fn collected(from: Option<impl Read + Send + 'static>) -> Arc<Mutex<Vec<u8>>> {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&bytes);
    thread::spawn(move || {
        let Some(mut from) = from else { return };
        let mut buffer = [0; 8 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            collected.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
        }
    });
    bytes
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::TcpListener;

    use super::*;

    const PORT: &str = "TRACE_KIT_SERVES_AT";

    /// As a child of the tests below a server that listens where it is told, or ends with a word of complaint.
    #[test]
    fn serves() {
        if let Ok(port) = std::env::var(PORT) {
            let _listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
            thread::sleep(Duration::from_mins(1));
        }
    }

    fn serve([address]: [SocketAddr; 1]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "server::tests::serves"]).env(PORT, address.port().to_string());
        command
    }

    #[test]
    fn one_that_finds_its_port_taken_is_started_at_another() {
        let (told, taken) = (RefCell::new(Vec::new()), TcpListener::bind("127.0.0.1:0").unwrap());
        let (_server, addresses) = Server::listening(|addresses: [SocketAddr; 1]| {
            told.borrow_mut().push(addresses);
            let is_first = told.borrow().len() == 1;
            serve(if is_first { [taken.local_addr().unwrap()] } else { addresses })
        });
        assert_eq!((told.borrow().len(), addresses), (2, told.borrow()[1]));
        assert!(TcpStream::connect(addresses[0]).is_ok());
    }

    #[test]
    #[should_panic(expected = "what is wrong")]
    fn one_that_never_listens_is_told_with_its_words() {
        let _ = Server::listening(|_: [SocketAddr; 1]| {
            let mut command = Command::new("sh");
            command.args(["-c", "echo what is wrong >&2; exit 1"]);
            command
        });
    }
}
