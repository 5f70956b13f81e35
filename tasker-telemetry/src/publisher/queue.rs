//! The bounded queue between the threads that publish and the router.
//!
//! Each publishing thread has a [`Lane`] of its own: a list behind a lock that nobody but the router ever asks for, and the
//! router only to exchange the list for an empty one; and beside it a [strip](super::strip) of entries that takes no lock, for what
//! most steps have to tell. A push that finds the lock taken does not wait: it goes to the list
//! that all threads share. So does what controls the consumer. Each lane keeps its order; what order there is between lanes is
//! `order.rs`'s business.
//!
//! The bound is on all lanes together. A lane takes places in portions, so that most pushes touch nothing that other threads
//! touch, and the consumer gives them back. The consumer sleeps without a time limit: a producer that pushes to its lane after
//! the consumer found it empty has taken the lane's lock after it, and so sees that it sleeps; one that puts an entry down after that
//! does so after it in the one order that such operations have.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::harvest::Harvest;
use super::strip::{Entry, STRIP, Strip, Writer};
use super::sync::{
    AtomicBool, AtomicUsize, Mutex, MutexGuard, OnceLock, Ordering, SegQueue, Thread, fence, park, park_timeout,
};
use super::track::{Counts, Inside, KINDS, PIECE, Tally, Track, add_up, counts};

/// Added to the places that are taken when the queue is closed: then every push finds it full.
const CLOSED: usize = 1 << (usize::BITS - 2);

/// A bounded queue whose consumer can sleep.
pub(super) struct Queue<T, E: Entry> {
    shared: SegQueue<T>,
    shared_tally: Counts,
    /// Lanes that the consumer has not seen yet.
    newcomers: SegQueue<Arc<Track<T, E>>>,
    tracks: Mutex<Tracks<T, E>>,
    /// Places taken: by items, by items that the consumer has in hand, and by lanes in advance.
    taken: AtomicUsize,
    capacity: usize,
    high_water: AtomicUsize,
    skipped: AtomicUsize,
    late: AtomicUsize,
    asleep: AtomicBool,
    consumer: OnceLock<Thread>,
    /// Where lanes begin.
    no_strip: Arc<Strip<E>>,
}

/// All tracks but the newcomers.
struct Tracks<T, E: Entry> {
    open: Vec<Arc<Track<T, E>>>,
    /// What the lanes of threads that are gone let in.
    gone: Tally,
}

/// One thread's way into the queue.
pub(super) struct Lane<T, E: Entry> {
    track: Arc<Track<T, E>>,
    writer: Writer<E>,
}

/// Why an entry was not put down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The queue is full.
    Full,
    /// The consumer reads the lane just now.
    Busy,
}

impl<T, E: Entry> Lane<T, E> {
    /// Whether its last entry is that owner's.
    #[inline]
    pub(super) const fn is_of(&self, owner: usize) -> bool {
        self.writer.is_of(owner)
    }

    /// Whether there is still a queue at its end.
    pub(super) fn leads_somewhere(&self) -> bool {
        Arc::strong_count(&self.track) > 1
    }
}

impl<T, E: Entry> Queue<T, E> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shared: SegQueue::new(),
            shared_tally: counts(),
            newcomers: SegQueue::new(),
            tracks: Mutex::new(Tracks { open: Vec::new(), gone: [0; KINDS] }),
            taken: AtomicUsize::new(0),
            capacity: capacity.min(CLOSED),
            high_water: AtomicUsize::new(0),
            skipped: AtomicUsize::new(0),
            late: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            consumer: OnceLock::new(),
            no_strip: Arc::new(Strip::full()),
        }
    }

    /// Names the thread that consumes; it alone may call [`read`](Self::read) and [`sleep`](Self::sleep).
    pub(super) fn set_consumer(&self, thread: Thread) {
        let _ = self.consumer.set(thread);
    }

    /// A lane for the calling thread.
    pub(super) fn open_lane(&self) -> Lane<T, E> {
        let track = Arc::new(Track::new());
        self.newcomers.push(Arc::clone(&track));
        // Either the consumer that goes to sleep sees the lane, or a push sees that it sleeps.
        fence(Ordering::SeqCst);
        Lane { track, writer: Writer::new(Arc::clone(&self.no_strip)) }
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
        lane: &mut Lane<T, E>,
        kind: usize,
        owner: usize,
        make: impl FnOnce(bool) -> T,
    ) -> Result<(), T> {
        let Lane { track, writer } = lane;
        let Some(mut inside) = track.inside.try_lock() else { return self.push(kind, make(false)) };
        if inside.room == 0 && !self.take_places(&mut inside, writer) {
            drop(inside);
            return Err(make(false));
        }
        // Never: but knowing it the compiler leaves out what would grow the list, and writes the item where it stays.
        if inside.items.len() == inside.items.capacity() {
            drop(inside);
            return self.push(kind, make(false));
        }
        if inside.marked != writer.position() {
            inside.mark(writer.position());
        }
        inside.room -= 1;
        inside.count += 1;
        let follows = inside.owner == owner && owner != 0;
        inside.owner = owner;
        inside.items.push(make(follows));
        track.count(kind);
        let is_asleep = self.asleep.load(Ordering::Relaxed);
        drop(inside);
        if is_asleep {
            self.wake();
        }
        Ok(())
    }

    /// Puts an entry of that kind down in a lane of this queue, and its end if that is known. `false`: there is no room in it, or its
    /// last entry has another owner: see [`put_anew`](Self::put_anew).
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the way of each step")]
    pub(super) fn put_in(
        &self,
        lane: &mut Lane<T, E>,
        kind: usize,
        owner: usize,
        content: E::Content,
        end: Option<u64>,
    ) -> bool {
        let is_put = lane.writer.put(owner, content, end);
        if is_put {
            self.was_put(lane, kind);
        }
        is_put
    }

    /// The same with new room, and for an owner that has to be said. `owner` is the address of `whose`.
    pub(super) fn put_anew(
        &self,
        lane: &mut Lane<T, E>,
        kind: usize,
        owner: usize,
        (content, end): (E::Content, Option<u64>),
        whose: impl FnOnce() -> E::Owner,
    ) -> Result<(), Refused> {
        let (track, writer) = (&lane.track, &mut lane.writer);
        let mut inside = track.inside.try_lock().ok_or(Refused::Busy)?;
        if !writer.has_room() && !self.take_entry_places(&mut inside, writer) {
            return Err(Refused::Full);
        }
        inside.entry_owners.push((writer.position(), whose()));
        writer.set_owner(owner);
        // While we have the lock nobody takes the room back.
        let is_put = writer.put(owner, content, end);
        drop(inside);
        if is_put {
            self.was_put(lane, kind);
        }
        if is_put { Ok(()) } else { Err(Refused::Busy) }
    }

    #[inline]
    fn was_put(&self, lane: &Lane<T, E>, kind: usize) {
        lane.track.count(kind);
        if self.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Adds an end, which counts as one more of that kind, to what was last put down in a lane, if that has that owner and number and
    /// was not read. (The consumer has been woken for it, or has not looked yet.)
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as above")]
    pub(super) fn add_end(lane: &Lane<T, E>, kind: usize, owner: usize, number: u64, end: u64) -> bool {
        let is_added = lane.writer.add_end(owner, number, end);
        if is_added {
            lane.track.count(kind);
        }
        is_added
    }

    /// Takes a portion of places for the items of a lane, as far as there are any.
    #[cold]
    fn take_places(&self, inside: &mut Inside<T, E>, writer: &mut Writer<E>) -> bool {
        if inside.items.len() >= PIECE {
            inside.full.push(mem::take(&mut inside.items));
            inside.owner = 0;
        }
        let wanted = inside.portion.min(PIECE - inside.items.len());
        inside.room = self.take_up_to(wanted);
        if inside.room == 0 {
            // What it has for entries is the lane's as well.
            let room = writer.give_up();
            inside.room = room.min(wanted);
            self.give_back(room - inside.room);
        }
        inside.portion = (inside.portion * 2).min(PIECE);
        inside.items.reserve_exact(inside.room);
        inside.room > 0
    }

    /// The same for its entries.
    fn take_entry_places(&self, inside: &mut Inside<T, E>, writer: &mut Writer<E>) -> bool {
        if writer.space() == 0 {
            let strip = inside.empty_strip();
            inside.strips.push(Arc::clone(&strip));
            writer.begin(strip);
        }
        let wanted = inside.entry_portion.min(writer.space());
        let mut granted = self.take_up_to(wanted);
        if granted == 0 {
            granted = inside.room.min(wanted);
            inside.room -= granted;
        }
        inside.entry_portion = (inside.entry_portion * 2).min(STRIP);
        writer.grant(granted);
        granted > 0
    }

    fn take_up_to(&self, wanted: usize) -> usize {
        let mut granted = 0;
        let _ = self.taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |taken| {
            granted = wanted.min(self.capacity.saturating_sub(taken));
            (granted > 0).then_some(taken + granted)
        });
        granted
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
    /// give back. Says how many there were.
    pub(super) fn read(&self, into: &mut Vec<Harvest<T, E>>) -> usize {
        let mut shared = Vec::new();
        while let Some(item) = self.shared.pop() {
            shared.push(item);
        }
        let mut read = shared.len();
        if read > 0 {
            into.push(Harvest::of_items(shared));
        }
        let mut unused = 0;
        let mut tracks = self.tracks();
        let Tracks { open, gone } = &mut *tracks;
        open.retain(|track| {
            let is_gone = Arc::strong_count(track) == 1; // asked first: nobody can push after that
            let (harvest, room) = track.inside.lock().reap();
            unused += room;
            let count = harvest.len();
            if count > 0 {
                read += count;
                into.push(harvest);
            }
            if is_gone {
                add_up(gone, &track.tally);
            }
            !is_gone
        });
        drop(tracks);
        self.high_water.fetch_max(read, Ordering::Relaxed);
        self.give_back(unused);
        read
    }

    fn tracks(&self) -> MutexGuard<'_, Tracks<T, E>> {
        let mut tracks = self.tracks.lock();
        while let Some(track) = self.newcomers.pop() {
            tracks.open.push(track);
        }
        tracks
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
        self.shared.is_empty() && self.tracks().open.iter().all(|track| track.inside.lock().is_empty())
    }

    /// How many items wait, or are in the consumer's hand.
    pub(super) fn len(&self) -> usize {
        let unused: usize = self.tracks().open.iter().map(|track| track.inside.lock().unused()).sum();
        (self.taken.load(Ordering::Acquire) & !CLOSED).saturating_sub(unused).min(self.capacity)
    }

    /// How many items were let in, by kind.
    pub(super) fn tally(&self) -> Tally {
        let tracks = self.tracks();
        let mut sum = tracks.gone;
        add_up(&mut sum, &self.shared_tally);
        tracks.open.iter().for_each(|track| add_up(&mut sum, &track.tally));
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
