//! The secrets of one run, and all that leaves, by the way it took.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use regex::bytes::Regex;
use tracing_subscriber::fmt::MakeWriter;

/// How a secret was planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    /// Where the filter, and nothing else, hides it.
    Filtered,
    /// Where it is hidden whatever the filter says.
    Always,
}

/// The secrets of one run.
#[derive(Default)]
pub(crate) struct Garden(pub(crate) Vec<(String, Plant)>);

impl Garden {
    pub(crate) fn plant(&mut self, how: Plant) -> String {
        self.planted("canary", how)
    }

    /// One that only its looks give away.
    pub(crate) fn plant_bare(&mut self) -> String {
        self.planted("birdie", Plant::Filtered)
    }

    fn planted(&mut self, kind: &str, how: Plant) -> String {
        let number = u32::try_from(self.0.len()).unwrap();
        let canary = format!("{kind}{number:04}{:08x}", number.wrapping_mul(2_654_435_761).wrapping_add(77));
        self.0.push((canary.clone(), how));
        canary
    }
}

/// All that leaves, by the way it took.
#[derive(Clone, Default)]
pub(crate) struct Out(pub(crate) Arc<Mutex<BTreeMap<&'static str, Vec<u8>>>>);

impl Out {
    pub(crate) fn put(&self, way: &'static str, bytes: &[u8]) {
        self.0.lock().unwrap().entry(way).or_default().extend_from_slice(bytes);
    }

    /// Every file there, and how many there are.
    pub(crate) fn put_files(&self, way: &'static str, folder: &Path) -> usize {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.inspect(|path| self.put(way, &fs::read(path).unwrap())).count()
    }

    /// Which ways each of the secrets took, in any case.
    pub(crate) fn ways_of_all(&self, garden: &Garden) -> Vec<Vec<&'static str>> {
        let secrets = Regex::new("(?i-u)(?:canary|birdie)[0-9]{4}[0-9a-f]{8}").unwrap();
        let mut ways: BTreeMap<Vec<u8>, Vec<&'static str>> = BTreeMap::new();
        for (way, bytes) in &*self.0.lock().unwrap() {
            let found: BTreeSet<_> =
                secrets.find_iter(bytes).map(|found| found.as_bytes().to_ascii_lowercase()).collect();
            for secret in found {
                ways.entry(secret).or_default().push(*way);
            }
        }
        garden.0.iter().map(|(canary, _)| ways.get(canary.as_bytes()).cloned().unwrap_or_default()).collect()
    }
}

/// One way out, as a writer.
#[derive(Clone)]
pub(crate) struct Way(pub(crate) &'static str, pub(crate) Out);

impl std::io::Write for Way {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.put(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Way {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
