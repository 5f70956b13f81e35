//! A `PostgreSQL` server for the tests that ask one: a child of the test, in a folder of its own, on a free port of loopback.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use trace_kit::ports;
use trace_kit::server::Server;

use crate::folder::Folder;
use crate::services::wait_for;
use crate::store::next_number;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Mutex<Option<Server>>,
    address: SocketAddr,
    folder: Folder,
}

impl Postgres {
    /// The server that all tests of a process share while one of them needs it.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start());
        *shared = Arc::downgrade(&server);
        server
    }

    /// Starts one.
    ///
    /// # Panics
    /// When there is none: `scripts/test-services` installs it.
    #[must_use]
    pub fn start() -> Self {
        let folder = Folder::new(&format!("postgres-{}", next_number()));
        if is_root() {
            run(Command::new("chown").arg("nobody").arg(folder.path()));
        }
        let data = folder.path().join("data");
        run(as_nobody("initdb")
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data));
        let [address] = ports::tcp();
        let this = Self { server: Mutex::default(), address, folder };
        this.restart();
        this
    }

    /// Starts the server of this folder, on the same port; after [`stop`](Self::stop), for instance.
    ///
    /// # Panics
    /// When it does not answer within a minute.
    pub fn restart(&self) {
        let folder = self.folder.path();
        let mut command = as_nobody("postgres");
        command.arg("-D").arg(folder.join("data")).arg("-p").arg(self.address.port().to_string());
        let socket = format!("unix_socket_directories={}", folder.display());
        for setting in ["listen_addresses=127.0.0.1", "max_connections=100", "log_min_messages=fatal", &socket] {
            command.arg("-c").arg(setting);
        }
        let server = Server::start(&mut command);
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        wait_for("PostgreSQL", || self.sql("postgres", "SELECT 1").map(drop));
    }

    /// Kills the server, as a crash would.
    pub fn stop(&self) {
        // The server's processes are those that its folder's file names: `runuser` is only the first of them.
        let file = self.folder.path().join("data/postmaster.pid");
        let pid = std::fs::read_to_string(&file).ok().and_then(|text| text.lines().next().map(str::to_owned));
        if let Some(pid) = pid {
            let _ = Command::new("kill").args(["-s", "QUIT", &pid]).status();
        }
        drop(self.server.lock().unwrap_or_else(PoisonError::into_inner).take());
        wait_for("the end of PostgreSQL", || if file.exists() { Err("still there".to_owned()) } else { Ok(()) });
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a new, empty database.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", next_number());
        self.sql("postgres", &format!("CREATE DATABASE {name}")).expect("a database");
        format!("postgres://postgres@{}/{name}", self.address)
    }

    /// What `psql` says to a statement.
    fn sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new("psql")
            .args(["-X", "-A", "-t", "-h", "127.0.0.1", "-U", "postgres", "-p", &self.address.port().to_string()])
            .args(["-d", database, "-c", sql])
            .output()
            .map_err(|error| format!("psql: {error}"))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let _ = write!(text, "{}", String::from_utf8_lossy(&output.stderr));
        Err(text)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of_self| std::os::unix::fs::MetadataExt::uid(&of_self) == 0)
}

/// The server refuses to be run by root.
fn as_nobody(program: &str) -> Command {
    let program = find(program);
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "nobody", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// Debian keeps the server's programs out of the path.
fn find(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin").join(program)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| Path::new(program).to_owned())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/test-services"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
