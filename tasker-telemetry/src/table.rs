//! A table that only grows: reading takes no lock and writes nothing, adding takes a lock that no reader of ours waits for.
//!
//! Entries lie in a [`List`] whose chunks never move, so a reference to one stays good as long as the table. The index over it
//! is a handful of open-addressed levels, each four times as large as the one before: a level is never rebuilt, so a reader
//! never meets one that is being moved. What the entries mean is not known here.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Entries in the order in which they were added.
struct List<T> {
    /// The first few lie here: they are found without another step or check.
    first: [OnceLock<T>; FIRST_CHUNK],
    /// The chunks from the second on.
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS - 1],
    len: AtomicUsize,
}

/// Chunk `k` has `FIRST_CHUNK << k` places: 24 chunks are more than any machine's memory.
const CHUNKS: usize = 24;
const FIRST_CHUNK: usize = 16;

impl<T> List<T> {
    const fn new() -> Self {
        Self {
            first: [const { OnceLock::new() }; FIRST_CHUNK],
            chunks: [const { OnceLock::new() }; CHUNKS - 1],
            len: AtomicUsize::new(0),
        }
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    #[inline]
    fn get(&self, number: usize) -> Option<&T> {
        match self.first.get(number) {
            Some(entry) => entry.get(),
            None => self.get_far(number),
        }
    }

    fn get_far(&self, number: usize) -> Option<&T> {
        let (chunk, place) = Self::place(number);
        self.chunks.get(chunk.checked_sub(1)?)?.get()?.get(place)?.get()
    }

    /// The caller holds the lock of the table.
    fn push(&self, entry: T) -> Option<(usize, &T)> {
        let number = self.len.load(Ordering::Relaxed);
        let (chunk, place) = Self::place(number);
        let places = match chunk.checked_sub(1) {
            None => &self.first[..],
            Some(far) => {
                self.chunks.get(far)?.get_or_init(|| (0..FIRST_CHUNK << chunk).map(|_| OnceLock::new()).collect())
            }
        };
        let slot = places.get(place)?;
        let entry = slot.get_or_init(|| entry);
        self.len.store(number + 1, Ordering::Release);
        Some((number, entry))
    }

    /// Chunk and place of the entry of that number.
    const fn place(number: usize) -> (usize, usize) {
        let chunk = (number / FIRST_CHUNK + 1).ilog2() as usize;
        (chunk, number - FIRST_CHUNK * ((1 << chunk) - 1))
    }
}

/// See the module.
pub(crate) struct Table<T> {
    entries: List<T>,
    /// In each slot the upper half of an entry's hash and its number plus one; 0 is free.
    first: [AtomicU64; FIRST_LEVEL],
    /// The levels from the second on.
    levels: [OnceLock<Box<[AtomicU64]>>; LEVELS - 1],
    adding: Mutex<()>,
}

/// Level `k` has `FIRST_LEVEL << 2 * k` slots, so ten have eleven million.
const LEVELS: usize = 10;
const FIRST_LEVEL: usize = 32;
/// How many neighbouring slots of a level an entry may take. Where all are taken, the next level is tried.
const WINDOW: usize = 8;

/// The table has no room where this hash would have to lie: for a hash that spreads, unreachable below a million entries.
#[derive(Debug)]
pub(crate) struct Full;

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: List::new(),
            first: [const { AtomicU64::new(0) }; FIRST_LEVEL],
            levels: [const { OnceLock::new() }; LEVELS - 1],
            adding: Mutex::new(()),
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every entry, in the order in which they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|number| self.entries.get(number))
    }

    /// The entry of that number, as [`find_or_add`](Self::find_or_add) gave it: a third of the way to find it again.
    #[inline]
    pub(crate) fn at(&self, number: u32) -> Option<&T> {
        self.entries.get(number as usize)
    }

    /// The entry of that hash that `is_it` recognises.
    #[inline]
    pub(crate) fn get(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        self.find(hash, is_it).map(|(_, entry)| entry)
    }

    #[inline]
    fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<(u32, &T)> {
        // Most are where they are looked for first.
        let taken = self.first[start(hash, 0) & (FIRST_LEVEL - 1)].load(Ordering::Acquire);
        if taken >> 32 == hash >> 32
            && let Some(number) = low_half(taken).checked_sub(1)
            && let Some(entry) = self.entries.get(number as usize).filter(|entry| is_it(entry))
        {
            return Some((number, entry));
        }
        self.find_all_along(hash, is_it)
    }

    #[cold]
    fn find_all_along(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<(u32, &T)> {
        for level in 0..LEVELS {
            for slot in window(self.level(level)?, hash, level) {
                match slot.load(Ordering::Acquire) {
                    // Nothing is ever taken out, so what is not before the first free slot is nowhere.
                    0 => return None,
                    taken if taken >> 32 == hash >> 32 => {
                        if let Some(entry) = self.entries.get(low_half(taken) as usize - 1).filter(|entry| is_it(entry))
                        {
                            return Some((low_half(taken) - 1, entry));
                        }
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// The same, and adds what `make` makes if there is none. Two threads that add the same at once get one entry.
    pub(crate) fn get_or_add(
        &self,
        hash: u64,
        is_it: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Option<T>,
    ) -> Result<&T, Full> {
        self.find_or_add(hash, is_it, make).map(|(_, entry)| entry)
    }

    /// The same, with the entry's number.
    #[inline]
    pub(crate) fn find_or_add(
        &self,
        hash: u64,
        is_it: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Option<T>,
    ) -> Result<(u32, &T), Full> {
        match self.find(hash, &is_it) {
            Some(found) => Ok(found),
            None => self.add(hash, is_it, make),
        }
    }

    #[cold]
    fn add(&self, hash: u64, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> Option<T>) -> Result<(u32, &T), Full> {
        let _adding = self.lock();
        if let Some(found) = self.find(hash, &is_it) {
            return Ok(found);
        }
        for level in 0..LEVELS {
            let slots = match level.checked_sub(1) {
                None => &self.first[..],
                Some(far) => self.levels[far]
                    .get_or_init(|| (0..FIRST_LEVEL << (2 * level)).map(|_| AtomicU64::new(0)).collect()),
            };
            let free = window(slots, hash, level).find(|slot| slot.load(Ordering::Relaxed) == 0);
            if let Some(slot) = free {
                let (number, entry) = make().and_then(|entry| self.entries.push(entry)).ok_or(Full)?;
                let low = u32::try_from(number + 1).map_err(|_| Full)?;
                slot.store((hash >> 32 << 32) | u64::from(low), Ordering::Release);
                return Ok((low - 1, entry));
            }
        }
        Err(Full)
    }

    /// The slots of that level, if anything has ever lain there.
    fn level(&self, level: usize) -> Option<&[AtomicU64]> {
        match level.checked_sub(1) {
            None => Some(&self.first),
            Some(far) => self.levels.get(far)?.get().map(|slots| &**slots),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.adding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a hash is looked for first in a level. Other bits on each level: what collided once need not collide again.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a hash: any bits will do")]
const fn start(hash: u64, level: usize) -> usize {
    hash.rotate_left(7 * level as u32) as usize
}

/// The slots of a level that an entry of that hash may take, in the order in which they are tried.
fn window(slots: &[AtomicU64], hash: u64, level: usize) -> impl Iterator<Item = &AtomicU64> {
    let start = start(hash, level);
    (0..WINDOW).filter_map(move |step| slots.get(start.wrapping_add(step) & (slots.len() - 1)))
}

/// The number of the entry that a taken slot points to, plus one.
#[allow(clippy::cast_possible_truncation, reason = "the lower half is what is meant")]
const fn low_half(taken: u64) -> u32 {
    taken as u32
}

/// A hash of the address of a static: what is equal by address is one thing.
#[inline]
pub(crate) fn hash_address<T>(of: &T) -> u64 {
    let address = std::ptr::from_ref(of).addr() as u64;
    let mixed = (address >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_one_another() {
        let mut expected = (0, 0);
        for number in 0..10_000 {
            assert_eq!(List::<u8>::place(number), expected);
            expected.1 += 1;
            if expected.1 == FIRST_CHUNK << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }

    #[test]
    fn entries_are_found_again_and_stay_where_they_are() {
        let table = Table::new();
        let hash = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut places = Vec::new();
        for key in 0..50_000_u64 {
            let entry = table.get_or_add(hash(key), |entry| *entry == key, || Some(key)).unwrap();
            places.push(std::ptr::from_ref(entry).addr());
        }
        for key in 0..50_000_u64 {
            let found = table.get(hash(key), |entry| *entry == key).unwrap();
            assert_eq!((*found, std::ptr::from_ref(found).addr()), (key, places[usize::try_from(key).unwrap()]));
        }
        assert_eq!(table.get(hash(50_000), |entry| *entry == 50_000), None);
        assert_eq!((table.len(), table.iter().count()), (50_000, 50_000));
    }

    #[test]
    fn one_hash_for_all_is_an_answer_not_a_loop() {
        let table = Table::new();
        let added =
            (0..1_000_u64).filter(|key| table.get_or_add(5, |entry| entry == key, || Some(*key)).is_ok()).count();
        assert_eq!(added, WINDOW * LEVELS);
        assert!((0..added as u64).all(|key| table.get(5, |entry| *entry == key).is_some()));
    }

    #[test]
    fn threads_that_add_the_same_get_the_same() {
        let table = Table::new();
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for key in 0..2_000_u64 {
                        let entry = || {
                            made.fetch_add(1, Ordering::Relaxed);
                            Some(key)
                        };
                        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        assert_eq!(*table.get_or_add(hash, |found| *found == key, entry).unwrap(), key);
                    }
                });
            }
        });
        assert_eq!((made.into_inner(), table.len()), (2_000, 2_000));
    }
}
