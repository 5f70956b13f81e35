//! The order of each task's events, restored behind lanes that each keep only their own.
//!
//! A task numbers its events as they happen. An event whose number is the next one goes on at once. Another is held back: what
//! comes before it may lie in a lane that was read too early. But if that happened before this, then it was pushed before this
//! was, and before this was read; so the next reading of all lanes, which begins later, finds it. What is still missing then
//! was dropped, or happens at the same time on another thread and has no order to this: it is skipped and counted, and goes
//! on, counted too, when it comes after all. What that reading finds *before* this, with a gap of its own before it, has to be
//! waited for as well: it may be this one's cause. No clock takes part in this.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What stands in line.
pub(super) trait Numbered {
    /// Where it stands; `None` for what stands in no line.
    fn place(&self) -> Option<Place<'_>>;
}

/// A place in a line.
pub(super) struct Place<'a> {
    /// Which line it is.
    pub(super) line: usize,
    /// The number that is next in it.
    pub(super) next: &'a AtomicU32,
    pub(super) number: u32,
    /// How many numbers the item has, from that one on.
    pub(super) width: u32,
}

impl Place<'_> {
    #[inline]
    fn pass(&self) {
        self.next.store(self.number.wrapping_add(self.width), Relaxed);
    }
}

/// Everything held back, and what was found out.
pub(super) struct Order<R> {
    held: Vec<Held<R>>,
    reading: u64,
    /// Numbers that were missing.
    pub(super) skipped: u64,
    /// Of those, the ones that came later.
    pub(super) late: u64,
}

struct Held<R> {
    /// The reading in which it was seen.
    reading: u64,
    item: R,
}

impl<R: Numbered> Order<R> {
    pub(super) const fn new() -> Self {
        Self { held: Vec::new(), reading: 0, skipped: 0, late: 0 }
    }

    /// Another reading of all lanes begins.
    pub(super) const fn begin_reading(&mut self) {
        self.reading += 1;
    }

    /// Whether an item that was read may go on now. If not, it is to be [held](Self::hold).
    #[inline]
    pub(super) fn admits(&mut self, item: &R) -> bool {
        let Some(place) = item.place() else { return true };
        let due = place.next.load(Relaxed);
        match place.number.cmp(&due) {
            Ordering::Equal => place.pass(),
            Ordering::Less => self.late += 1,
            Ordering::Greater => return false,
        }
        true
    }

    /// Holds an item back that may not go on now.
    #[cold]
    pub(super) fn hold(&mut self, item: R) {
        self.held.push(Held { reading: self.reading, item });
    }

    /// The reading is over: passes on what may go on now.
    #[inline]
    pub(super) fn settle(&mut self, go_on: impl FnMut(R)) {
        if !self.held.is_empty() {
            self.settle_held(go_on);
        }
    }

    /// Whether something waits for another reading.
    pub(super) const fn is_waiting(&self) -> bool {
        !self.held.is_empty()
    }

    #[cold]
    fn settle_held(&mut self, mut go_on: impl FnMut(R)) {
        let mut held = std::mem::take(&mut self.held);
        held.sort_by_key(|held| held.item.place().map(|place| (place.line, place.number)));
        // The line in which something has still to wait. What comes after it in that line waits with it, however long it has
        // waited: what was found just now may be the cause of what was seen before.
        let mut blocked = None;
        for held in held {
            if let Some(place) = held.item.place() {
                let due = place.next.load(Relaxed);
                let is_new = place.number > due && held.reading == self.reading;
                if is_new || blocked == Some(place.line) {
                    blocked = Some(place.line);
                    self.held.push(held);
                    continue;
                }
                if place.number < due {
                    self.late += 1;
                } else {
                    self.skipped += u64::from(place.number - due);
                    place.pass();
                }
            }
            go_on(held.item);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Debug, Clone)]
    struct Item(Arc<AtomicU32>, u32);

    impl Numbered for Item {
        fn place(&self) -> Option<Place<'_>> {
            Some(Place { line: Arc::as_ptr(&self.0) as usize, next: &self.0, number: self.1, width: 1 })
        }
    }

    /// What goes on in one reading of these numbers.
    fn reading(order: &mut Order<Item>, line: &Arc<AtomicU32>, numbers: &[u32]) -> Vec<u32> {
        order.begin_reading();
        let mut seen = Vec::new();
        for &number in numbers {
            let item = Item(Arc::clone(line), number);
            if order.admits(&item) {
                seen.push(number);
            } else {
                order.hold(item);
            }
        }
        order.settle(|item| seen.push(item.1));
        seen
    }

    #[test]
    fn what_is_in_order_goes_on_at_once() {
        let (mut order, line) = (Order::new(), Arc::default());
        assert_eq!(reading(&mut order, &line, &[0, 1, 2]), [0, 1, 2]);
        assert!(!order.is_waiting());
        assert_eq!((order.skipped, order.late), (0, 0));
    }

    #[test]
    fn lanes_of_one_reading_are_brought_together() {
        let (mut order, line) = (Order::new(), Arc::default());
        assert_eq!(reading(&mut order, &line, &[3, 5, 0, 1, 4, 2]), [0, 1, 2, 3, 4, 5]);
        assert_eq!((order.skipped, order.late), (0, 0));
    }

    #[test]
    fn a_gap_is_waited_for_until_the_next_reading() {
        let (mut order, line) = (Order::new(), Arc::default());
        assert_eq!(reading(&mut order, &line, &[0, 2, 3]), [0]);
        assert!(order.is_waiting());
        assert_eq!(reading(&mut order, &line, &[4, 1]), [1, 2, 3, 4]);
        assert_eq!((order.skipped, order.late), (0, 0));
    }

    #[test]
    fn a_gap_that_stays_is_skipped_and_counted() {
        let (mut order, line) = (Order::new(), Arc::default());
        assert_eq!(reading(&mut order, &line, &[2, 6]), [0; 0]);
        assert_eq!(reading(&mut order, &line, &[8]), [2, 6], "8 has still to wait");
        assert_eq!(order.skipped, 5);
        assert_eq!(reading(&mut order, &line, &[]), [8]);
        assert_eq!(order.skipped, 6);
        assert!(!order.is_waiting());
    }

    #[test]
    fn a_cause_that_has_to_wait_keeps_its_effect_waiting() {
        let (mut order, line) = (Order::new(), Arc::default());
        assert_eq!(reading(&mut order, &line, &[5]), [0; 0]);
        assert_eq!(reading(&mut order, &line, &[3]), [0; 0], "3 may be the cause of 5, and 2 of 3");
        assert_eq!(reading(&mut order, &line, &[2]), [0; 0]);
        assert_eq!(reading(&mut order, &line, &[]), [2, 3, 5]);
        assert_eq!((order.skipped, order.late), (3, 0));
    }

    #[test]
    fn who_comes_late_goes_on_all_the_same() {
        let (mut order, line) = (Order::new(), Arc::default());
        reading(&mut order, &line, &[1]);
        assert_eq!(reading(&mut order, &line, &[]), [1]);
        assert_eq!(reading(&mut order, &line, &[0, 2]), [0, 2]);
        assert_eq!((order.skipped, order.late), (1, 1));
    }

    #[test]
    fn lines_do_not_wait_for_each_other() {
        let (mut order, one, other) = (Order::new(), Arc::default(), Arc::default());
        assert_eq!(reading(&mut order, &one, &[1]), [0; 0]);
        assert_eq!(reading(&mut order, &other, &[0, 1]), [0, 1, 1], "its own, and the one that has waited long enough");
    }
}
