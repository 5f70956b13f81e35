//! How often a task of one id has run in this process: its second run keeps the trace and gets a root span of its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::TraceId;

/// How many ids are remembered at least; at most twice as many.
const REMEMBERED: usize = 32_768;

/// The runs of the ids that were seen last.
#[derive(Debug, Default)]
pub(super) struct Runs {
    generations: Mutex<[HashMap<TraceId, u32>; 2]>,
}

impl Runs {
    /// Which run this is, from 1; at least `least`. A run of an id that was forgotten counts as the first.
    pub(super) fn next(&self, own: TraceId, least: u32) -> u32 {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *generations;
        let before = young.get(&own).or_else(|| old.get(&own)).copied().unwrap_or(0);
        let run = before.saturating_add(1).max(least);
        young.insert(own, run);
        if young.len() >= REMEMBERED {
            *old = std::mem::take(young);
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_of_an_id_has_its_number_and_memory_is_bounded() {
        let runs = Runs::default();
        let id = |n: u128| TraceId::from_bytes(n.to_be_bytes());
        assert_eq!((runs.next(id(1), 1), runs.next(id(1), 1), runs.next(id(2), 1), runs.next(id(1), 1)), (1, 2, 1, 3));
        assert_eq!((runs.next(id(3), 5), runs.next(id(3), 1)), (5, 6));
        for n in 10..200_000 {
            runs.next(id(n), 1);
        }
        let generations = runs.generations.lock().unwrap();
        assert!(generations.iter().map(HashMap::len).sum::<usize>() <= 2 * REMEMBERED);
    }
}
