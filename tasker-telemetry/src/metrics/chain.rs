//! A list that only grows: neither adding to it nor reading it takes a lock. Each item is one allocation, for lists of a few.

use std::fmt;
use std::iter::successors;
use std::sync::OnceLock;

/// See the module.
pub(super) struct Chain<T>(OnceLock<Box<Link<T>>>);

struct Link<T> {
    item: T,
    next: Chain<T>,
}

impl<T> Chain<T> {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Adds an item at the end.
    pub(super) fn push(&self, item: T) {
        let (mut end, mut link) = (self, Box::new(Link { item, next: Self::new() }));
        while let Err(refused) = end.0.set(link) {
            link = refused;
            if let Some(taken) = end.0.get() {
                end = &taken.next;
            }
        }
    }

    /// Every item, in the order in which they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        successors(self.0.get(), |link| link.next.0.get()).map(|link| &link.item)
    }
}

impl<T> Drop for Chain<T> {
    /// One after the other: each within the one before, a long list would need as deep a stack.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(mut link) = next {
            next = link.next.0.take();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Chain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn nothing_is_lost_whoever_adds_at_once() {
        let chain = Chain::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let chain = &chain;
                scope.spawn(move || (0..500).for_each(|number| chain.push((thread, number))));
            }
        });
        for thread in 0..4 {
            let of_thread = chain.iter().filter(|(by, _)| *by == thread).map(|(_, number)| *number);
            assert!(of_thread.eq(0..500));
        }
    }

    #[test]
    fn a_long_one_is_dropped_to_its_end() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        struct Item;
        impl Drop for Item {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        // Made from behind: adding at the end walks there each time.
        let mut chain = Chain::new();
        for _ in 0..1_000_000 {
            let longer = Chain::new();
            longer.push(Item);
            if let Some(link) = longer.0.get() {
                let _ = link.next.0.set(Box::new(Link { item: Item, next: chain }));
            }
            chain = longer;
        }
        drop(chain);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 2_000_000);
    }
}
