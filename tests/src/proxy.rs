//! A way to a server over TCP that a test can close, silence, or have lose the answer to a commit.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// It arrives.
    #[default]
    Open,
    /// Connections are cut, and new ones at once.
    Closed,
    /// Connections stay, and nothing arrives.
    Silent,
    /// The server gets its first `COMMIT` of a connection and does it; then the connection is cut, and the answer never arrives.
    LosesCommits,
}

/// See the module.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    lost_commits: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    way: Way,
    open: Vec<TcpStream>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way as it is, once it is not silent.
    fn way(&self) -> Way {
        let mut state = self.lock();
        while state.way == Way::Silent {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.way
    }
}

impl Proxy {
    /// A way to that server, open.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        // It ends with the process: nobody waits for it.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of_thread.lock().way == Way::Closed {
                    of_thread.refused.fetch_add(1, Ordering::Relaxed);
                } else if let Ok(server) = TcpStream::connect(server) {
                    join(&of_thread, &client, &server);
                }
            }
        });
        Self { address, shared }
    }

    /// The address of a database with this way to its server.
    ///
    /// # Panics
    /// When the address is no `postgres://user@host:port/name`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let (server, name) = database.rsplit_once('/').expect("postgres://user@host:port/name");
        let (user, _) = server.rsplit_once('@').expect("with a user");
        format!("{user}@{}/{name}", self.address)
    }

    /// From now on it is so.
    pub fn set(&self, way: Way) {
        self.shared.lock().way = way;
        self.shared.changed.notify_all();
        if way == Way::Closed {
            self.cut();
        }
    }

    /// Cuts the connections that there are.
    pub fn cut(&self) {
        for stream in self.shared.lock().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many connections were cut at once.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// How many commits were done whose answers were lost.
    #[must_use]
    pub fn lost_commits(&self) -> u64 {
        self.shared.lost_commits.load(Ordering::Relaxed)
    }
}

/// What was seen of a connection's first commit.
const COMMIT_PREPARED: usize = 1;
const COMMIT_SENT: usize = 2;

fn join(shared: &Arc<Shared>, client: &TcpStream, server: &TcpStream) {
    let clones = || Some([client.try_clone().ok()?, server.try_clone().ok()?]);
    let (Some(kept), Some(forth), Some(back)) = (clones(), clones(), clones()) else { return };
    shared.lock().open.extend(kept);
    let commit = Arc::<AtomicUsize>::default();
    let (of_forth, commit_forth) = (Arc::clone(shared), Arc::clone(&commit));
    thread::spawn(move || {
        let [mut from, mut to] = forth;
        pump(&of_forth, &mut from, &mut to, |bytes, _| {
            if bytes.windows(6).any(|word| word == b"COMMIT") {
                commit_forth.store(COMMIT_PREPARED, Ordering::SeqCst);
            }
            true
        });
    });
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let [mut to, mut from] = back;
        let of_back = Arc::clone(&shared);
        pump(&shared, &mut from, &mut to, |_, way| match commit.load(Ordering::SeqCst) {
            // The statement is prepared first: that is the first answer.
            COMMIT_PREPARED => {
                commit.store(COMMIT_SENT, Ordering::SeqCst);
                true
            }
            COMMIT_SENT if way == Way::LosesCommits => {
                of_back.lost_commits.fetch_add(1, Ordering::Relaxed);
                false
            }
            _ => true,
        });
    });
}

/// Passes on what comes, until `may_pass` says no, or either side or the way is closed.
fn pump(shared: &Shared, from: &mut TcpStream, to: &mut TcpStream, may_pass: impl Fn(&[u8], Way) -> bool) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut bytes).unwrap_or(0);
        let way = shared.way();
        let bytes = &bytes[..count];
        if count == 0 || way == Way::Closed || !may_pass(bytes, way) || to.write_all(bytes).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}
