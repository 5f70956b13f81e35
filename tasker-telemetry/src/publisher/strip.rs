//! A strip: entries of a few words that one thread puts down and the consumer reads at the same time, without a lock.
//!
//! One word says how far the strip is filled, and how far it may be. The thread that fills it moves the first on, which publishes the
//! entry below it; the consumer takes back the room between the two, and so ends a portion: the thread then finds the word changed, and
//! has to ask for more. To an entry that is not read yet an end can be added: a word that the thread writes and the consumer
//! takes, each with one look at what the other did.

use std::sync::Arc;

use super::sync::{AtomicU64, AtomicUsize, Ordering};

/// How many entries a strip holds, in two bytes.
pub(super) const STRIP: usize = 256;

/// What a strip is made of.
pub(super) trait Entry: Default {
    /// What is put into it.
    type Content: Copy;
    /// Whose it is. Said once for all that follow.
    type Owner;

    fn put(&self, content: Self::Content);
    fn content(&self) -> Option<Self::Content>;
    /// Whether the content has that number.
    fn is(&self, number: u64) -> bool;
}

/// See the module.
pub(super) struct Strip<E> {
    slots: Box<[Slot<E>; STRIP]>,
    /// How many are filled, and above [`LIMIT`] how many may be.
    state: AtomicUsize,
}

/// Where the upper half of a strip's state begins.
const LIMIT: u32 = 16;

const fn state(filled: usize, limit: usize) -> usize {
    filled | limit << LIMIT
}

const fn parts(state: usize) -> (usize, usize) {
    (state & ((1 << LIMIT) - 1), state >> LIMIT)
}

#[derive(Default)]
pub(super) struct Slot<E> {
    pub(super) entry: E,
    end: End,
}

/// What an entry's end adds, if it comes before the entry is read.
struct End(AtomicU64);

impl Default for End {
    fn default() -> Self {
        Self(AtomicU64::new(Self::OPEN))
    }
}

impl End {
    const OPEN: u64 = u64::MAX;
    const TAKEN: u64 = u64::MAX - 1;
    const MOST: u64 = u64::MAX - 2;

    /// Before the entry is published.
    #[inline]
    fn set(&self, end: Option<u64>) {
        self.0.store(end.map_or(Self::OPEN, |end| end.min(Self::MOST)), Ordering::Relaxed);
    }

    /// `false`: it is too late.
    #[inline]
    fn add(&self, end: u64) -> bool {
        self.0.compare_exchange(Self::OPEN, end.min(Self::MOST), Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// What was added. Nothing can be from here on.
    #[inline]
    fn take(&self) -> Option<u64> {
        let end = match self.0.load(Ordering::Acquire) {
            Self::OPEN => self.0.swap(Self::TAKEN, Ordering::AcqRel),
            end => end,
        };
        (end <= Self::MOST).then_some(end)
    }
}

impl<E: Entry> Slot<E> {
    /// What was put down, and the end that was added to it.
    #[inline]
    pub(super) fn take(&self) -> Option<(E::Content, Option<u64>)> {
        let end = self.end.take();
        Some((self.entry.content()?, end))
    }
}

impl<E: Entry> Strip<E> {
    pub(super) fn new() -> Self {
        Self::at(state(0, 0))
    }

    /// One that is full, and has nothing in it: where a thread begins that has put nothing down yet.
    pub(super) fn full() -> Self {
        Self::at(state(STRIP, STRIP))
    }

    fn at(state: usize) -> Self {
        // Made where they stay: an array would be made on the stack first.
        let slots: Box<[Slot<E>]> = (0..STRIP).map(|_| Slot::default()).collect();
        let Ok(slots) = slots.try_into() else { unreachable!("it has as many") };
        Self { slots, state: AtomicUsize::new(state) }
    }

    /// How many entries there are. In the total order of the operations on a strip and on what says that the consumer sleeps.
    pub(super) fn filled(&self) -> usize {
        parts(self.state.load(Ordering::SeqCst)).0
    }

    /// How many more may be put down.
    pub(super) fn room(&self) -> usize {
        let (filled, limit) = parts(self.state.load(Ordering::Relaxed));
        limit - filled
    }

    /// Takes the room back that is left. Says how many entries there are, and how much it was.
    pub(super) fn take_back(&self) -> (usize, usize) {
        let mut seen = self.state.load(Ordering::Acquire);
        loop {
            let (filled, limit) = parts(seen);
            if filled == limit {
                return (filled, 0);
            }
            match self.state.compare_exchange(seen, state(filled, filled), Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return (filled, limit - filled),
                Err(now) => seen = now,
            }
        }
    }

    /// An empty one again, if nobody else has it any more.
    pub(super) fn is_empty_again(strip: &mut Arc<Self>) -> bool {
        Arc::get_mut(strip).map(|strip| strip.state = AtomicUsize::new(state(0, 0))).is_some()
    }

    #[inline]
    pub(super) fn slot(&self, place: usize) -> Option<&Slot<E>> {
        self.slots.get(place)
    }
}

/// The side of a strip that fills it, strip after strip.
pub(super) struct Writer<E> {
    strip: Arc<Strip<E>>,
    /// The strip's state as we left it, and as it is when there is no more room.
    state: usize,
    full: usize,
    /// How many entries were put down before this strip.
    before: usize,
    /// Whose the last one is; 0: that has to be said again.
    owner: usize,
}

impl<E: Entry> Writer<E> {
    /// `strip` is a [full](Strip::full) one.
    pub(super) const fn new(strip: Arc<Strip<E>>) -> Self {
        let full = state(STRIP, STRIP);
        Self { strip, state: full, full, before: 0_usize.wrapping_sub(STRIP), owner: 0 }
    }

    /// Puts down an entry of the owner of the last one, and its end if that is known already. `false`: it is another's, or there is
    /// no room; then nothing has happened.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the way of each step")]
    pub(super) fn put(&mut self, owner: usize, content: E::Content, end: Option<u64>) -> bool {
        if self.owner != owner || self.state == self.full {
            return false;
        }
        let (strip, before, after) = (&*self.strip, self.state, self.state + 1);
        let slot = &strip.slots[self.filled() % STRIP]; // never another: the compiler need not ask
        slot.entry.put(content);
        slot.end.set(end);
        // In one total order with what says that the consumer sleeps: either we see that, or it sees the entry.
        if strip.state.compare_exchange(before, after, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            self.full = before; // the consumer has taken the rest back
            return false;
        }
        self.state = after;
        true
    }

    /// Adds an end to the last entry, if that is the owner's, has that number, and was not read.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as above")]
    pub(super) fn add_end(&self, owner: usize, number: u64, end: u64) -> bool {
        if self.owner != owner {
            return false;
        }
        // There is one: who has an owner has an entry.
        let last = &self.strip.slots[self.filled().wrapping_sub(1) % STRIP];
        last.entry.is(number) && last.end.add(end)
    }

    /// Whether the last entry is that owner's, unless it was read.
    #[inline]
    pub(super) const fn is_of(&self, owner: usize) -> bool {
        self.owner == owner
    }

    #[inline]
    const fn filled(&self) -> usize {
        parts(self.state).0
    }

    /// How many entries were put down in all.
    #[inline]
    pub(super) const fn position(&self) -> usize {
        self.before.wrapping_add(self.filled())
    }

    /// Whether more may be put down here.
    pub(super) fn has_room(&self) -> bool {
        self.strip.room() > 0
    }

    /// How many more fit into the strip.
    pub(super) fn space(&self) -> usize {
        self.strip.slots.len() - self.filled()
    }

    /// Goes on in that strip, which is empty; this one is full.
    pub(super) fn begin(&mut self, strip: Arc<Strip<E>>) {
        self.before = self.position();
        (self.strip, self.state, self.full) = (strip, state(0, 0), state(0, 0));
        self.owner = 0; // there is no last entry
    }

    /// So many more may be put down here. Not while the consumer may [take them back](Strip::take_back).
    pub(super) fn grant(&mut self, room: usize) {
        let filled = self.filled();
        let limit = filled + room;
        (self.state, self.full) = (state(filled, limit), state(limit, limit));
        self.strip.state.store(self.state, Ordering::Release);
    }

    /// Gives the room up that is left, likewise. Says how much it was.
    pub(super) fn give_up(&mut self) -> usize {
        let (filled, room) = self.strip.take_back();
        self.state = state(filled, filled);
        self.full = self.state;
        room
    }

    /// Whose the next one is.
    pub(super) const fn set_owner(&mut self, owner: usize) {
        self.owner = owner;
    }
}
