//! From a binary to its catalog, without running it: the section with the records is found (`container`), cut into records
//! (`record`), and these become a catalog as the program itself has it.
//!
//! A file may say anything about itself: nothing here trusts it, and whatever is wrong is an error with words.

mod container;
mod error;
mod record;

use std::fs::File;
use std::path::Path;

use object::ReadCache;
use tasker_telemetry::__private::{OtherCatalog, Parts};

pub use self::error::ReadError;

/// What a binary says of itself.
#[derive(Debug)]
pub struct Found {
    /// The catalog. Of a library it is that library's part alone.
    pub catalog: OtherCatalog,
    /// The version of tasker-telemetry that is linked in; none in a library, into which nothing is linked.
    pub version: Option<String>,
    /// The crates that left records, by name.
    pub crates: Vec<String>,
}

/// Reads the catalog of a program, an object file or a static library. Only the parts of the file that matter are read.
///
/// # Errors
/// [`ReadError`]: the file cannot be read, is no binary, has no records, or has damaged or newer ones.
pub fn read(path: &Path) -> Result<Found, ReadError> {
    let file = File::open(path).map_err(|error| ReadError::File(error.to_string()))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(ReadError::File("it is a folder".to_owned()));
    }
    found(&container::sections(&ReadCache::new(file))?)
}

/// The same for a binary in memory.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: &[u8]) -> Result<Found, ReadError> {
    found(&container::sections(bytes)?)
}

fn found(sections: &[Vec<u8>]) -> Result<Found, ReadError> {
    let mut parts = Parts::default();
    let mut records = record::Records::default();
    for section in sections {
        records.add(section, &mut parts)?;
    }
    records.finish(&mut parts);
    if records.is_empty() {
        return Err(ReadError::NoRecords);
    }
    let (version, crates) = records.into_origin();
    Ok(Found { catalog: OtherCatalog::new(parts), version, crates })
}
