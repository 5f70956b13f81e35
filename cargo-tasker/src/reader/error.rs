//! Why a catalog cannot be read.

use tasker_telemetry::__private::RECORD_VERSION;

/// Why a catalog cannot be read out of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file itself.
    #[error("cannot be read: {0}")]
    File(String),
    /// It is something else.
    #[error("is no program, object file or static library that is known here (ELF, Mach-O, PE, archives of them)")]
    Foreign,
    /// It was one once.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// A thin archive only names its members.
    #[error("is a thin archive, which only names its members: read the program that they were linked into")]
    Thin,
    /// There is nothing of ours in it.
    #[error(
        "has no catalog: nothing in it was made by tasker-telemetry, or its linker left out the section `tasker_catalog`"
    )]
    NoRecords,
    /// A record that cannot be read.
    #[error("has a damaged catalog: the record at byte {offset} of its section is cut off or no record ({problem})")]
    Record {
        /// Where it begins in the section.
        offset: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A record that only a later reader understands.
    #[error(
        "has records of version {found}, and this cargo-tasker knows versions up to {RECORD_VERSION}: `cargo install cargo-tasker` brings a newer one"
    )]
    Newer {
        /// The record's version.
        found: u32,
    },
}

impl From<object::Error> for ReadError {
    fn from(error: object::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
