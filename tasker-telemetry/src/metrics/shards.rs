//! Several copies of a value, so that threads do not meet: two that write one cache line cost each other 50 ns or more, and even
//! alone a locked instruction costs 5.
//!
//! A thread that records gets a *slot* at its first record and gives it back when it ends. Slots below [`OWN`] belong to one
//! thread at a time, so it may add by a plain load and store: nobody else writes there, and whoever takes the slot later sees
//! what was written before, since it was released and acquired. Threads that come when all are taken share the rest of the slots,
//! in turn, and add by locked instructions.
//!
//! The first copies are part of the series, the others are made when a thread with such a slot first records.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// So many slots have their copy in the series itself.
const NEAR: usize = 4;
/// So many slots belong to one thread each.
const OWN: usize = 16;
/// So many are shared by all other threads.
const SHARED: usize = 4;
const FAR: usize = OWN + SHARED - NEAR;

const UNKNOWN: usize = usize::MAX;

thread_local! {
    /// Without a destructor, so that looking at it is one load.
    static SLOT: Cell<usize> = const { Cell::new(UNKNOWN) };
    /// Gives the slot back.
    static OWNED: Owned = const { Owned(Cell::new(None)) };
}

/// Which slots belong to a thread.
static TAKEN: [AtomicBool; OWN] = [const { AtomicBool::new(false) }; OWN];

struct Owned(Cell<Option<usize>>);

impl Drop for Owned {
    fn drop(&mut self) {
        // What the thread records from here on, in other destructors, goes to a shared slot.
        SLOT.with(|slot| slot.set(OWN));
        if let Some(taken) = self.0.take().and_then(|slot| TAKEN.get(slot)) {
            taken.store(false, Ordering::Release);
        }
    }
}

/// Where a thread's copies lie, as far as it knows yet. Whoever records several values at once looks it up once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot(usize);

impl Slot {
    #[inline]
    pub(super) fn of_thread() -> Self {
        Self(SLOT.with(Cell::get))
    }
}

fn slot() -> usize {
    let slot = SLOT.with(Cell::get);
    if slot == UNKNOWN { take_slot() } else { slot }
}

#[cold]
fn take_slot() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let slot = OWNED.try_with(|owned| {
        let free = TAKEN.iter().position(|taken| !taken.swap(true, Ordering::AcqRel));
        owned.0.set(free);
        free
    });
    let slot = slot.ok().flatten().unwrap_or_else(|| OWN + NEXT.fetch_add(1, Ordering::Relaxed) % SHARED);
    SLOT.with(|own| own.set(slot));
    slot
}

/// The copies of a value.
#[derive(Debug)]
pub(super) struct Shards<T> {
    near: [T; NEAR],
    far: OnceLock<Box<[T; FAR]>>,
}

impl<T> Shards<T> {
    pub(super) fn new(make: impl Fn() -> T) -> Self {
        Self { near: std::array::from_fn(|_| make()), far: OnceLock::new() }
    }

    /// Shows the thread's copy, and whether nobody else writes there.
    #[inline]
    pub(super) fn write<R: Default>(&self, make: impl Fn() -> T, write: impl Fn(&T, Writer) -> R) -> R {
        match self.own(Slot::of_thread()) {
            Some(copy) => write(copy, Writer::Alone),
            None => self.write_elsewhere(make, write),
        }
    }

    /// The thread's copy, if it is known and made, and nobody else writes there.
    #[inline]
    pub(super) fn own(&self, Slot(slot): Slot) -> Option<&T> {
        match self.near.get(slot) {
            None if slot < OWN => self.far.get()?.get(slot - NEAR),
            near => near,
        }
    }

    #[cold]
    fn write_elsewhere<R: Default>(&self, make: impl Fn() -> T, write: impl Fn(&T, Writer) -> R) -> R {
        let slot = slot();
        let far = || self.far.get_or_init(|| Box::new(std::array::from_fn(|_| make())));
        let copy = self.near.get(slot).or_else(|| far().get(slot - NEAR));
        copy.map(|copy| write(copy, if slot < OWN { Writer::Alone } else { Writer::Among })).unwrap_or_default()
    }

    /// All copies.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.near.iter().chain(self.far.get().into_iter().flat_map(|far| far.iter()))
    }
}

/// Whether other threads may write the same number at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    Alone,
    Among,
}

impl Writer {
    /// Adds a whole number.
    #[inline]
    pub(super) fn add(self, to: &AtomicU64, number: u64) {
        match self {
            Self::Alone => to.store(to.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed),
            Self::Among => _ = to.fetch_add(number, Ordering::Relaxed),
        }
    }

    /// Adds to a float.
    #[inline]
    pub(super) fn add_float(self, to: &AtomicU64, value: f64) {
        match self {
            Self::Alone => {
                let sum = f64::from_bits(to.load(Ordering::Relaxed)) + value;
                to.store(sum.to_bits(), Ordering::Relaxed);
            }
            Self::Among => add_float(to, value),
        }
    }
}

/// Adds to a float that others may write. As exact as floats are: every addition takes part, in some order.
#[inline]
pub(super) fn add_float(bits: &AtomicU64, value: f64) {
    let mut seen = bits.load(Ordering::Relaxed);
    loop {
        let sum = (f64::from_bits(seen) + value).to_bits();
        match bits.compare_exchange_weak(seen, sum, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    use super::*;

    fn sum(shards: &Shards<AtomicU64>) -> u64 {
        shards.iter().map(|copy| copy.load(Ordering::Relaxed)).sum()
    }

    #[test]
    fn nothing_is_lost_however_many_threads_there_are_and_however_short_they_live() {
        let shards = Shards::new(|| AtomicU64::new(0));
        for _ in 0..20 {
            std::thread::scope(|scope| {
                for _ in 0..2 * (OWN + SHARED) {
                    scope.spawn(|| {
                        for _ in 0..1_000 {
                            shards.write(|| AtomicU64::new(0), |copy, writer| writer.add(copy, 1));
                        }
                    });
                }
            });
        }
        assert_eq!(sum(&shards), 20 * 2 * (OWN + SHARED) as u64 * 1_000);
    }

    #[test]
    fn each_slot_has_its_copy_and_only_an_owner_writes_alone() {
        let address = |copy: &AtomicU64| std::ptr::from_ref(copy).addr();
        let shards = Shards::new(|| AtomicU64::new(0));
        let mut copies = BTreeSet::new();
        for slot in 0..OWN + SHARED {
            let (owner, before) = (slot < OWN, shards.own(Slot(slot)).map(address));
            let show = |copy: &AtomicU64, by| (address(copy), by == Writer::Alone);
            let seen = || shards.write(|| AtomicU64::new(0), show);
            let (copy, alone) = std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    SLOT.with(|own| own.set(slot));
                    (seen(), seen())
                });
                let (first, then) = thread.join().unwrap();
                assert_eq!(first, then, "{slot}");
                first
            });
            assert!(copies.insert(copy) && alone == owner, "{slot}");
            assert!(before.is_none_or(|before| before == copy), "{slot}");
            assert_eq!(shards.own(Slot(slot)).map(address), owner.then_some(copy), "{slot}");
        }
        assert_eq!(shards.own(Slot(UNKNOWN)).map(|_| ()), None);
        assert_eq!(shards.iter().count(), copies.len());
    }

    #[test]
    fn a_slot_has_one_owner_at_a_time_and_is_given_back() {
        for _ in 0..5 {
            let barrier = Barrier::new(OWN + 2);
            let slots: Vec<usize> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..OWN + 2)
                    .map(|_| {
                        scope.spawn(|| {
                            let slot = slot();
                            barrier.wait();
                            slot
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let mut own: Vec<_> = slots.into_iter().filter(|slot| *slot < OWN).collect();
            own.sort_unstable();
            let all = own.len();
            own.dedup();
            // Other tests' threads hold some.
            assert!(own.len() == all && all > 0, "{own:?}");
        }
    }

    #[test]
    fn a_thread_that_ends_may_still_record() {
        static SHARDS: OnceLock<Shards<AtomicU64>> = OnceLock::new();
        fn record() {
            SHARDS
                .get_or_init(|| Shards::new(|| AtomicU64::new(0)))
                .write(|| AtomicU64::new(0), |copy, writer| writer.add(copy, 1));
        }
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                record();
            }
        }
        thread_local!(static LATE: Late = const { Late });
        std::thread::spawn(|| {
            LATE.with(|_| ()); // dropped after what is made later
            record();
        })
        .join()
        .unwrap();
        assert_eq!(SHARDS.get().map(sum), Some(2));
    }
}
