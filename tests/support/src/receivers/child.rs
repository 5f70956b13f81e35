//! A receiver as a process of its own.

use std::fmt;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// It had more than enough time when it has not started by then; machines may be busy.
const START: Duration = Duration::from_mins(1);

/// A running receiver; it is stopped when it is dropped.
pub(super) struct Receiver {
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
    complained: Arc<Mutex<Vec<u8>>>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({})", self.child.id())
    }
}

impl Receiver {
    /// Starts it and waits until it listens on all these addresses.
    ///
    /// # Panics
    /// When it does not.
    pub(super) fn start(command: &mut Command, addresses: &[SocketAddr]) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let printed = collected(child.stdout.take());
        let complained = collected(child.stderr.take());
        let mut receiver = Self { child, printed, complained };
        let begun = Instant::now();
        for address in addresses {
            while TcpStream::connect(address).is_err() {
                let ended = receiver.child.try_wait().ok().flatten();
                assert!(
                    ended.is_none() && begun.elapsed() < START,
                    "{command:?} does not listen on {address} ({ended:?}): {}{}",
                    receiver.printed(),
                    text(&receiver.complained)
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
        receiver
    }

    /// What it has printed so far.
    pub(super) fn printed(&self) -> String {
        text(&self.printed)
    }
}

impl Drop for Receiver {
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

/// Free loopback addresses; all different, since they are held until all are found.
///
/// # Panics
/// When there are none.
pub(super) fn free<const N: usize>() -> [SocketAddr; N] {
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port"));
    held.map(|listener| listener.local_addr().expect("it is bound"))
}
