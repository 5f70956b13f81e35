//! Empty databases of both kinds.

use crate::folder::Folder;
use crate::postgres::Postgres;
use crate::store::next_number;

/// A folder for files, and a server.
pub(crate) struct Databases {
    folder: Folder,
    server: Postgres,
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

impl Databases {
    pub(crate) fn start() -> Self {
        Self { folder: Folder::new("bench-store"), server: Postgres::start() }
    }

    /// The address of a new one.
    pub(crate) fn new_one(&self, kind: Kind) -> String {
        match kind {
            Kind::Sqlite => {
                format!("sqlite://{}", self.folder.path().join(format!("{}.db", next_number())).display())
            }
            Kind::Postgres => self.server.new_database(),
        }
    }

    /// Deletes it, where that is quickly done.
    pub(crate) fn delete(url: &str) {
        if let Some(path) = url.strip_prefix("sqlite://") {
            for end in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{path}{end}"));
            }
        }
    }
}
