//! What the thread of a lane shares with the consumer: its items, its strips, and how they lie between each other.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::harvest::{Harvest, Mark, Part};
use super::strip::{Entry, STRIP, Strip};
use super::sync::{AtomicU64, Mutex, Ordering};

/// How many items a lane keeps in one piece.
pub(super) const PIECE: usize = 256;

/// How many places a lane takes at first. Each further time it takes twice as many, up to a piece.
pub(super) const FIRST_PORTION: usize = 8;

/// How many kinds of item are counted apart.
pub(super) const KINDS: usize = 32;

/// How many items of each kind were let in.
pub(super) type Tally = [u64; KINDS];

/// The same, while they are counted.
pub(super) type Counts = [AtomicU64; KINDS];

/// See the module.
pub(super) struct Track<T, E: Entry> {
    pub(super) inside: Mutex<Inside<T, E>>,
    /// Written by the thread alone.
    pub(super) tally: Counts,
}

pub(super) struct Inside<T, E: Entry> {
    pub(super) items: Vec<T>,
    /// Pieces before it that are full.
    pub(super) full: Vec<Vec<T>>,
    /// How many items there are in all.
    pub(super) count: usize,
    /// Places taken in advance; never more than fit into `items`.
    pub(super) room: usize,
    pub(super) portion: usize,
    /// Whose the last of `items` is; 0: nobody's, or there is none.
    pub(super) owner: usize,
    /// The strips that are not read to their end, and how far the first one is.
    pub(super) strips: Vec<Arc<Strip<E>>>,
    read_from: usize,
    /// Strips that were read to their end, to be filled again: as many as the last reading found.
    retired: VecDeque<Arc<Strip<E>>>,
    /// How many entries were read before that one's.
    read: usize,
    /// Where items stand between entries, and the position of the last.
    marks: Vec<Mark>,
    pub(super) marked: usize,
    /// Whose the entries are from that position on.
    pub(super) entry_owners: Vec<(usize, E::Owner)>,
    pub(super) entry_portion: usize,
}

impl<T, E: Entry> Track<T, E> {
    pub(super) fn new() -> Self {
        let inside = Inside {
            items: Vec::new(),
            full: Vec::new(),
            count: 0,
            room: 0,
            portion: FIRST_PORTION,
            owner: 0,
            strips: Vec::new(),
            read_from: 0,
            retired: VecDeque::new(),
            read: 0,
            marks: Vec::new(),
            marked: 0,
            entry_owners: Vec::new(),
            entry_portion: FIRST_PORTION,
        };
        Self { inside: Mutex::new(inside), tally: counts() }
    }

    /// By the lane's thread: nobody else writes there.
    #[inline]
    pub(super) fn count(&self, kind: usize) {
        let count = &self.tally[kind % KINDS];
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

pub(super) fn counts() -> Counts {
    [const { AtomicU64::new(0) }; KINDS]
}

/// Adds up what was counted.
pub(super) fn add_up(sum: &mut Tally, counts: &Counts) {
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count.load(Ordering::Relaxed));
}

impl<T, E: Entry> Inside<T, E> {
    /// The next item comes after what was put down before that position.
    #[cold]
    pub(super) fn mark(&mut self, position: usize) {
        self.marks.push(Mark { item: self.count, position });
        self.marked = position;
    }

    /// Takes everything out, and takes back the places that are not used: the thread then has to ask for more, and to say again whose
    /// its entries are.
    pub(super) fn reap(&mut self) -> (Harvest<T, E>, usize) {
        let mut unused = mem::take(&mut self.room);
        (self.portion, self.entry_portion) = (FIRST_PORTION, FIRST_PORTION);
        (self.owner, self.count) = (0, 0);
        let mut pieces = mem::take(&mut self.full);
        if !self.items.is_empty() {
            pieces.push(mem::take(&mut self.items));
        }
        let (first, mut parts) = (self.read, Vec::new());
        for strip in &self.strips {
            let (to, room) = strip.take_back();
            unused += room;
            let from = mem::replace(&mut self.read_from, 0);
            self.read = self.read.wrapping_add(to - from);
            if to > from {
                parts.push(Part { strip: Arc::clone(strip), from, to });
            }
            if to < STRIP {
                self.read_from = to;
            }
        }
        // Only the last one goes on.
        let is_full = self.strips.last().is_none_or(|strip| strip.filled() >= STRIP);
        self.retired.extend(self.strips.drain(..self.strips.len() - usize::from(!is_full)));
        self.retired.drain(..self.retired.len().saturating_sub(parts.len()));
        self.marked = self.read;
        let (marks, owners) = (mem::take(&mut self.marks), mem::take(&mut self.entry_owners));
        (Harvest { pieces, marks, parts, owners, first }, unused)
    }

    /// One to go on in.
    pub(super) fn empty_strip(&mut self) -> Arc<Strip<E>> {
        // The first has been in the consumer's hand for the longest.
        let is_empty = self.retired.front_mut().is_some_and(Strip::is_empty_again);
        let again = if is_empty { self.retired.pop_front() } else { None };
        again.unwrap_or_else(|| Arc::new(Strip::new()))
    }

    pub(super) fn is_empty(&self) -> bool {
        let is_read = |strip: &Arc<Strip<E>>| strip.filled() <= self.read_from;
        self.count == 0 && self.strips.len() <= 1 && self.strips.iter().all(is_read)
    }

    /// Places that are taken and not used.
    pub(super) fn unused(&self) -> usize {
        self.room + self.strips.last().map_or(0, |strip| strip.room())
    }
}
