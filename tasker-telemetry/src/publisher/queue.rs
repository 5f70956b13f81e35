//! The bounded queue between the threads that publish and the router.
//!
//! Each publishing thread has a [`Lane`] of its own: a list behind a lock that nobody but the router ever asks for, and the
//! router only to exchange the list for an empty one. A push that finds the lock taken does not wait: it goes to the list
//! that all threads share. So does what controls the consumer. Each lane keeps its order; what order there is between lanes is
//! `order.rs`'s business.
//!
//! The bound is on all lanes together. A lane takes places in portions, so that most pushes touch nothing that other threads
//! touch, and the consumer gives them back. The consumer sleeps without a time limit: a producer that pushes to its lane after
//! the consumer found it empty has taken the lane's lock after it, and so sees that it sleeps.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::sync::{
    AtomicBool, AtomicUsize, Mutex, MutexGuard, OnceLock, Ordering, SegQueue, Thread, fence, park, park_timeout,
};

/// Added to the places that are taken when the queue is closed: then every push finds it full.
const CLOSED: usize = 1 << (usize::BITS - 2);

/// How many items a lane keeps in one piece.
const PIECE: usize = 256;

/// How many places a lane takes at first. Each further time it takes twice as many, up to a piece.
const FIRST_PORTION: usize = 8;

/// How many kinds of item are counted apart.
pub(super) const KINDS: usize = 32;

/// How many items of each kind were let in.
pub(super) type Tally = [u64; KINDS];

/// A bounded queue whose consumer can sleep.
pub(super) struct Queue<T> {
    shared: SegQueue<T>,
    shared_tally: [AtomicUsize; KINDS],
    /// Lanes that the consumer has not seen yet.
    newcomers: SegQueue<Arc<Lane<T>>>,
    lanes: Mutex<Lanes<T>>,
    /// Places taken: by items, by items that the consumer has in hand, and by lanes in advance.
    taken: AtomicUsize,
    capacity: usize,
    high_water: AtomicUsize,
    skipped: AtomicUsize,
    late: AtomicUsize,
    asleep: AtomicBool,
    consumer: OnceLock<Thread>,
}

/// All lanes but the newcomers.
struct Lanes<T> {
    open: Vec<Arc<Lane<T>>>,
    /// What the lanes of threads that are gone let in.
    gone: Tally,
}

/// One thread's way into the queue.
pub(super) struct Lane<T>(Mutex<Inside<T>>);

struct Inside<T> {
    items: Vec<T>,
    /// Pieces before it that are full.
    full: Vec<Vec<T>>,
    /// Places taken in advance; never more than fit into `items`.
    room: usize,
    portion: usize,
    tally: Tally,
    /// Whose the last of `items` is; 0: nobody's, or there is none.
    owner: usize,
}

impl<T> Lane<T> {
    fn new() -> Self {
        let (items, full) = (Vec::new(), Vec::new());
        Self(Mutex::new(Inside { items, full, room: 0, portion: FIRST_PORTION, tally: [0; KINDS], owner: 0 }))
    }
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shared: SegQueue::new(),
            shared_tally: [const { AtomicUsize::new(0) }; KINDS],
            newcomers: SegQueue::new(),
            lanes: Mutex::new(Lanes { open: Vec::new(), gone: [0; KINDS] }),
            taken: AtomicUsize::new(0),
            capacity: capacity.min(CLOSED),
            high_water: AtomicUsize::new(0),
            skipped: AtomicUsize::new(0),
            late: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            consumer: OnceLock::new(),
        }
    }

    /// Names the thread that consumes; it alone may call [`read`](Self::read) and [`sleep`](Self::sleep).
    pub(super) fn set_consumer(&self, thread: Thread) {
        let _ = self.consumer.set(thread);
    }

    /// A lane for the calling thread.
    pub(super) fn open_lane(&self) -> Arc<Lane<T>> {
        let lane = Arc::new(Lane::new());
        self.newcomers.push(Arc::clone(&lane));
        // Either the consumer that goes to sleep sees the lane, or a push sees that it sleeps.
        fence(Ordering::SeqCst);
        lane
    }

    /// Has an item of that kind made and put at the end of a lane of this queue. `Err`: the queue is full. `make` is told whether
    /// the item before it, in the same piece, has the same owner (0: never).
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "what is made is then made where it stays: moved there, it costs twice as much"
    )]
    pub(super) fn push_in(
        &self,
        lane: &Lane<T>,
        kind: usize,
        owner: usize,
        make: impl FnOnce(bool) -> T,
    ) -> Result<(), T> {
        let Some(mut inside) = lane.0.try_lock() else { return self.push(kind, make(false)) };
        if inside.room == 0 && !self.take_places(&mut inside) {
            drop(inside);
            return Err(make(false));
        }
        // Never: but knowing it the compiler leaves out what would grow the list, and writes the item where it stays.
        if inside.items.len() == inside.items.capacity() {
            drop(inside);
            return self.push(kind, make(false));
        }
        inside.room -= 1;
        let follows = inside.owner == owner && owner != 0;
        inside.owner = owner;
        inside.items.push(make(follows));
        inside.tally[kind % KINDS] += 1;
        let is_asleep = self.asleep.load(Ordering::Relaxed);
        drop(inside);
        if is_asleep {
            self.wake();
        }
        Ok(())
    }

    /// Shows what was last pushed to a lane, if it is there still, and of that owner. Of what `change` says it has added to it, one more of that kind
    /// was let in. (The consumer has been woken for it, or has not looked yet.)
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as above")]
    pub(super) fn change_last(lane: &Lane<T>, kind: usize, owner: usize, change: impl FnOnce(&mut T) -> bool) -> bool {
        let Some(mut inside) = lane.0.try_lock() else { return false };
        let changed = inside.owner == owner && inside.items.last_mut().is_some_and(change);
        inside.tally[kind % KINDS] += u64::from(changed);
        changed
    }

    /// Takes a portion of places for a lane, as far as there are any.
    #[cold]
    fn take_places(&self, inside: &mut Inside<T>) -> bool {
        if inside.items.len() >= PIECE {
            inside.full.push(mem::take(&mut inside.items));
            inside.owner = 0;
        }
        let wanted = inside.portion.min(PIECE - inside.items.len());
        let mut granted = 0;
        let _ = self.taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |taken| {
            granted = wanted.min(self.capacity.saturating_sub(taken));
            (granted > 0).then_some(taken + granted)
        });
        inside.room = granted;
        inside.portion = (inside.portion * 2).min(PIECE);
        inside.items.reserve_exact(granted);
        granted > 0
    }

    /// Puts an item at the end of the list that all threads share. `Err`: the queue is full.
    #[cold]
    pub(super) fn push(&self, kind: usize, item: T) -> Result<(), T> {
        if self.taken.fetch_add(1, Ordering::AcqRel) >= self.capacity {
            self.taken.fetch_sub(1, Ordering::AcqRel);
            return Err(item);
        }
        self.shared_tally[kind % KINDS].fetch_add(1, Ordering::Relaxed);
        self.put(item);
        Ok(())
    }

    /// Puts an item there whatever the capacity; for the few that control the consumer.
    pub(super) fn push_unbounded(&self, item: T) {
        self.taken.fetch_add(1, Ordering::AcqRel);
        self.put(item);
    }

    fn put(&self, item: T) {
        self.shared.push(item);
        // In the total order of fences, this one or the consumer's stands first: either we see that it sleeps, or it sees
        // that there is something and does not go to sleep.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Some(consumer) = self.consumer.get()
        {
            consumer.unpark();
        }
    }

    /// Lets nobody in any more. Whoever was let in before will have pushed shortly: read until
    /// [`is_finished`](Self::is_finished).
    pub(super) fn close(&self) {
        self.taken.fetch_add(CLOSED, Ordering::AcqRel);
    }

    /// Whether the queue is closed, and everything that was let in has been taken out and given back.
    pub(super) fn is_finished(&self) -> bool {
        self.taken.load(Ordering::Acquire) == CLOSED
    }

    /// Takes everything out: what was pushed before this is called is in it. The places of what was taken are the caller's to
    /// give back. Says how many items there were.
    pub(super) fn read(&self, into: &mut Vec<Vec<T>>) -> usize {
        let mut shared = Vec::new();
        while let Some(item) = self.shared.pop() {
            shared.push(item);
        }
        let mut read = shared.len();
        if read > 0 {
            into.push(shared);
        }
        let mut unused = 0;
        let mut lanes = self.lanes();
        let Lanes { open, gone } = &mut *lanes;
        open.retain(|lane| {
            let is_gone = Arc::strong_count(lane) == 1; // asked first: nobody can push after that
            let mut inside = lane.0.lock();
            let inside = &mut *inside;
            unused += mem::take(&mut inside.room);
            inside.portion = FIRST_PORTION;
            inside.owner = 0;
            for piece in inside.full.drain(..).chain((!inside.items.is_empty()).then(|| mem::take(&mut inside.items))) {
                read += piece.len();
                into.push(piece);
            }
            if is_gone {
                gone.iter_mut().zip(inside.tally).for_each(|(gone, count)| *gone += count);
            }
            !is_gone
        });
        drop(lanes);
        self.high_water.fetch_max(read, Ordering::Relaxed);
        self.give_back(unused);
        read
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<T>> {
        let mut lanes = self.lanes.lock();
        while let Some(lane) = self.newcomers.pop() {
            lanes.open.push(lane);
        }
        lanes
    }

    /// So many items are out of hand.
    pub(super) fn give_back(&self, places: usize) {
        if places > 0 {
            self.taken.fetch_sub(places, Ordering::AcqRel);
        }
    }

    /// Sleeps until something is pushed, or for `at_most`.
    pub(super) fn sleep(&self, at_most: Option<Duration>) {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.is_empty() {
            match at_most {
                Some(limit) => park_timeout(limit),
                None => park(),
            }
        }
        self.asleep.store(false, Ordering::SeqCst);
    }

    fn is_empty(&self) -> bool {
        let is_empty = |lane: &Arc<Lane<T>>| {
            let inside = lane.0.lock();
            inside.items.is_empty() && inside.full.is_empty()
        };
        self.shared.is_empty() && self.lanes().open.iter().all(is_empty)
    }

    /// How many items wait, or are in the consumer's hand.
    pub(super) fn len(&self) -> usize {
        let unused: usize = self.lanes().open.iter().map(|lane| lane.0.lock().room).sum();
        (self.taken.load(Ordering::Acquire) & !CLOSED).saturating_sub(unused).min(self.capacity)
    }

    /// How many items were let in, by kind.
    pub(super) fn tally(&self) -> Tally {
        let lanes = self.lanes();
        let mut sum = lanes.gone;
        sum.iter_mut().zip(&self.shared_tally).for_each(|(sum, count)| *sum += count.load(Ordering::Relaxed) as u64);
        for lane in &lanes.open {
            sum.iter_mut().zip(lane.0.lock().tally).for_each(|(sum, count)| *sum += count);
        }
        sum
    }

    /// How many may wait.
    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many have waited at once, as far as the consumer saw.
    pub(super) fn high_water(&self) -> usize {
        self.high_water.load(Ordering::Relaxed)
    }

    /// Says how often the consumer had to go on without an event, and how many such came later.
    pub(super) fn set_disorder(&self, skipped: u64, late: u64) {
        self.skipped.store(usize::try_from(skipped).unwrap_or(usize::MAX), Ordering::Relaxed);
        self.late.store(usize::try_from(late).unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// What was last said by [`set_disorder`](Self::set_disorder).
    pub(super) fn disorder(&self) -> (usize, usize) {
        (self.skipped.load(Ordering::Relaxed), self.late.load(Ordering::Relaxed))
    }
}
