//! Receivers of other projects, as child processes: what they show is what a user of them sees.
//!
//! `scripts/test-services` installs them under `target/services`. A receiver that is not there is a failure, with that advice.

pub mod autotel;
pub mod rotel;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use self::autotel::Autotel;
pub use self::rotel::Rotel;
use crate::span::ReceivedSpan;

/// A file of an installed receiver.
///
/// # Panics
/// When it is not there.
fn installed(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/services");
    let file = root.join(path);
    assert!(file.exists(), "{} is not there: scripts/test-services installs it", file.display());
    file
}

/// Reads until so many spans are there and no more come; panics with what is there when they do not come in time.
#[track_caller]
fn wait_for_spans(count: usize, time: Duration, read: impl Fn() -> Vec<ReceivedSpan>) -> Vec<ReceivedSpan> {
    let begun = Instant::now();
    let mut before = 0;
    loop {
        let spans = read();
        if spans.len() >= count && spans.len() == before {
            return spans;
        }
        before = spans.len();
        assert!(begun.elapsed() < time, "{count} spans did not come within {time:?}: {before} are there, {spans:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
