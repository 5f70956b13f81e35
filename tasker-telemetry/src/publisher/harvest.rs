//! What one reading of a lane gives: its items, and between them the entries of its strips, in the order in which they were pushed.

use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use super::strip::{Entry, Strip};

/// See the module.
pub(super) struct Harvest<T, E: Entry> {
    pub(super) pieces: Vec<Vec<T>>,
    /// Where items stand between entries, in their order.
    pub(super) marks: Vec<Mark>,
    pub(super) parts: Vec<Part<E>>,
    /// Whose the entries are from that position on.
    pub(super) owners: Vec<(usize, E::Owner)>,
    /// The position of the first entry.
    pub(super) first: usize,
}

/// Before the item of that number in this reading, the entries before that position were put down.
pub(super) struct Mark {
    pub(super) item: usize,
    pub(super) position: usize,
}

/// Some entries of a strip.
pub(super) struct Part<E> {
    pub(super) strip: Arc<Strip<E>>,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// One of what was read.
pub(super) enum Read<'a, T, E: Entry> {
    Item(&'a mut T),
    /// With its owner, and the end that was added to it.
    Entry(&'a E::Owner, E::Content, Option<u64>),
}

impl<T, E: Entry> Harvest<T, E> {
    /// Of items alone.
    pub(super) fn of_items(items: Vec<T>) -> Self {
        Self { pieces: vec![items], marks: Vec::new(), parts: Vec::new(), owners: Vec::new(), first: 0 }
    }

    /// How many items and entries there are.
    pub(super) fn len(&self) -> usize {
        let items: usize = self.pieces.iter().map(Vec::len).sum();
        items + self.parts.iter().map(|part| part.to - part.from).sum::<usize>()
    }

    /// Each of them. What has been passed is dropped piece by piece.
    pub(super) fn each(self, mut each: impl FnMut(Read<'_, T, E>)) {
        let Self { pieces, marks, parts, owners, first } = self;
        let (parts, owners) = (parts.into_iter(), owners.into_iter().peekable());
        let mut entries = Entries { parts, part: None, owners, owner: None, position: first };
        let (mut marks, mut number) = (marks.into_iter().peekable(), 0);
        for mut piece in pieces {
            for item in &mut piece {
                while let Some(mark) = marks.next_if(|mark| mark.item <= number) {
                    entries.pass(mark.position.wrapping_sub(first), first, &mut each);
                }
                each(Read::Item(item));
                number += 1;
            }
        }
        entries.pass(usize::MAX, first, &mut each);
    }
}

struct Entries<E: Entry> {
    parts: IntoIter<Part<E>>,
    part: Option<Part<E>>,
    owners: Peekable<IntoIter<(usize, E::Owner)>>,
    owner: Option<E::Owner>,
    position: usize,
}

impl<E: Entry> Entries<E> {
    /// Each entry before the one that has so many before it in this reading.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is read is then made where it is used")]
    fn pass<T>(&mut self, until: usize, first: usize, each: &mut impl FnMut(Read<'_, T, E>)) {
        while self.position.wrapping_sub(first) < until {
            let Some(part) = self.part.as_mut().filter(|part| part.from < part.to) else {
                self.part = self.parts.next();
                if self.part.is_none() {
                    return;
                }
                continue;
            };
            while let Some((_, owner)) = self.owners.next_if(|(from, _)| *from == self.position) {
                self.owner = Some(owner);
            }
            // Both are always there: what is published has been put down, and its owner was said before.
            if let (Some(slot), Some(owner)) = (part.strip.slot(part.from), &self.owner)
                && let Some((content, end)) = slot.take()
            {
                each(Read::Entry(owner, content, end));
            }
            part.from += 1;
            self.position = self.position.wrapping_add(1);
        }
    }
}
