//! Every event as a line of JSON in a file.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{Handled, subscribes};
use crate::event::EventRecord;

/// Writes every event to a file, one line of JSON each, and lets no file grow beyond a size.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::subscribers::JsonLines;
///
/// #[step]
/// fn charge() {}
///
/// # let folder = std::env::temp_dir().join(format!("json-lines-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("events.jsonl");
/// let lines = JsonLines::new(&path)?.max_bytes(50 << 20).keep(3);
/// let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(lines).build()?;
/// telemetry.in_scope(charge);
/// telemetry.flush_blocking()?;
/// assert!(std::fs::read_to_string(&path)?.lines().any(|line| line.contains("\"event\":\"step.completed\"")));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// - **Rotation**: a line that would make `events.jsonl` larger than [`max_bytes`](Self::max_bytes) goes into a new one; the old one becomes
///   `events.jsonl.1`, that one `events.jsonl.2`, and so on; [`keep`](Self::keep) of them stay.
/// - **Whole lines**: a line is one write. What a crash or a full disk left half-written at the end of the file is cut off before
///   the next line, so whoever reads line by line reads JSON.
/// - **A full disk**, or whatever else goes wrong, costs the events that could not be written, each counted as `failed` in
///   [`SubscriberHealth`](crate::SubscriberHealth); the next one is tried again.
///
/// The values are masked as everywhere. One process writes a file: two would rotate it under each other.
pub struct JsonLines {
    path: PathBuf,
    max_bytes: u64,
    keep: usize,
    sync: bool,
    state: RefCell<State>,
}

/// The file, and what is known of it.
#[derive(Default)]
struct State {
    /// `None` where it has to be opened again.
    file: Option<File>,
    /// How long it is, to the end of the last whole line.
    length: u64,
    line: Vec<u8>,
}

subscribes!(JsonLines, ["*"]);

impl JsonLines {
    /// Opens the file, or makes it; events are appended. Limits: 100 MiB, and 5 old files.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let state = RefCell::new(open(&path)?);
        Ok(Self { path, max_bytes: 100 << 20, keep: 5, sync: false, state })
    }

    /// How many bytes a file may have; a single event that is larger has a file of its own. Default: 100 MiB.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many old files stay; 0: none, the file begins anew. Default: 5.
    #[must_use]
    pub const fn keep(mut self, files: usize) -> Self {
        self.keep = files;
        self
    }

    /// Whether each line is on the disk before the next event is taken: it then outlives a crash of the machine, not only one of
    /// the program, and costs what the disk takes. Default: no.
    #[must_use]
    pub const fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    fn take(&self, event: &EventRecord) -> Handled {
        // Never borrowed already: one thread calls, and nothing in here calls back.
        let Ok(mut state) = self.state.try_borrow_mut() else { return Err("the file is in use".to_owned()) };
        let written = self.write(&mut state, event);
        written.map_err(|error| format!("{}: {error}", self.path.display()))
    }

    fn write(&self, state: &mut State, event: &EventRecord) -> io::Result<()> {
        let mut line = std::mem::take(&mut state.line);
        line.clear();
        serde_json::to_writer(&mut line, event.payload())?;
        line.push(b'\n');
        let written = self.write_line(state, &line);
        line.shrink_to(LONGEST_KEPT);
        state.line = line;
        written
    }

    fn write_line(&self, state: &mut State, line: &[u8]) -> io::Result<()> {
        if state.file.is_none() {
            *state = open(&self.path)?;
        }
        if state.length > 0 && state.length + line.len() as u64 > self.max_bytes {
            self.rotate(state)?;
        }
        let Some(file) = &mut state.file else { return Err(io::ErrorKind::NotFound.into()) };
        let written = file.write_all(line).and_then(|()| if self.sync { file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => state.length += line.len() as u64,
            Err(_) => {
                // Perhaps a part of it is there: the next line must not follow that. Where it cannot be cut off now, opening cuts.
                if file.set_len(state.length).is_err() {
                    state.file = None;
                }
            }
        }
        written
    }

    fn rotate(&self, state: &mut State) -> io::Result<()> {
        state.file = None;
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
        } else {
            for number in (1..self.keep).rev() {
                match fs::rename(self.old(number), self.old(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::rename(&self.path, self.old(1))?;
        }
        *state = open(&self.path)?;
        Ok(())
    }

    fn old(&self, number: usize) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

/// A buffer for lines that are longer is given back.
const LONGEST_KEPT: usize = 64 * 1024;

/// Opens the file at its end, without the part of a line that may stand there.
fn open(path: &Path) -> io::Result<State> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let length = file.metadata()?.len();
    let whole = whole_lines(&mut file, length)?;
    if whole < length {
        file.set_len(whole)?;
    }
    Ok(State { file: Some(file), length: whole, line: Vec::new() })
}

/// Where the last whole line ends, read from behind.
fn whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    const PIECE: u64 = 4 * 1024;
    let mut end = length;
    while end > 0 {
        let begin = end.saturating_sub(PIECE);
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(begin))?;
        (&mut *file).take(end - begin).read_to_end(&mut piece)?;
        if let Some(place) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + place as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines")
            .field("path", &self.path)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}
