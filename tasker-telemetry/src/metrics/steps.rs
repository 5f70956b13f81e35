//! What there is for each step of a task, found by the address of the step's spec.
//!
//! A step has one of a few places, which that address names: nearly always the first of them, found by one comparison. Where
//! all of them belong to others it lies in a table. No place is ever left or given to another.

use std::sync::OnceLock;

use crate::catalog::StepSpec;
use crate::table::{Table, hash_address};

const PLACES: usize = FIRST_OTHER as usize;
/// Numbers below are places, the others count the steps that lie elsewhere.
const FIRST_OTHER: u32 = 64;

type Entry<T> = (&'static StepSpec, T);

/// Within one cache line, as long as `T` is no more than two words.
#[repr(align(32))]
struct Place<T>(OnceLock<Entry<T>>);

/// See the module.
pub(super) struct Steps<T> {
    places: [Place<T>; PLACES],
    others: OnceLock<Box<Table<Entry<T>>>>,
}

impl<T> Steps<T> {
    pub(super) const fn new() -> Self {
        Self { places: [const { Place(OnceLock::new()) }; PLACES], others: OnceLock::new() }
    }

    /// What there is for the step, and its number, if it lies where most do.
    #[inline]
    pub(super) fn near(&self, spec: &'static StepSpec) -> Option<(u32, &T)> {
        let place = first_place(spec);
        match self.places[place].0.get() {
            Some((of, found)) if std::ptr::eq(*of, spec) => Some((u32::try_from(place).ok()?, found)),
            _ => None,
        }
    }

    /// What there is for the step, made now if there is nothing, and its number. `None`: there is no room for it.
    #[inline]
    pub(super) fn find_or_add(&self, spec: &'static StepSpec, make: impl Fn() -> T) -> Option<(u32, &T)> {
        self.near(spec).or_else(|| self.find_or_add_anywhere(spec, make))
    }

    #[cold]
    fn find_or_add_anywhere(&self, spec: &'static StepSpec, make: impl Fn() -> T) -> Option<(u32, &T)> {
        for place in places(spec) {
            let (of, found) = self.places[place].0.get_or_init(|| (spec, make()));
            if std::ptr::eq(*of, spec) {
                return Some((u32::try_from(place).ok()?, found));
            }
        }
        let others = self.others.get_or_init(|| Box::new(Table::new()));
        let is_it = |(of, _): &Entry<T>| std::ptr::eq(*of, spec);
        let (number, (_, found)) = others.find_or_add(hash_address(spec), is_it, || Some((spec, make()))).ok()?;
        Some((number.checked_add(FIRST_OTHER)?, found))
    }

    /// What there is for the step of that number.
    #[inline]
    pub(super) fn at(&self, number: u32) -> Option<&T> {
        let entry = match self.places.get(number as usize) {
            Some(place) => place.0.get(),
            None => self.others.get()?.at(number - FIRST_OTHER),
        };
        entry.map(|(_, found)| found)
    }
}

/// The place of most steps: specs lie one after the other and are larger than 32 bytes, so neighbours have places of their own.
#[inline]
fn first_place(spec: &'static StepSpec) -> usize {
    std::ptr::from_ref(spec).addr() / 32 % PLACES
}

/// The places that a step may have.
#[allow(clippy::cast_possible_truncation, reason = "a hash: any bits will do")]
fn places(spec: &'static StepSpec) -> [usize; 3] {
    let hash = hash_address(spec) as usize;
    [first_place(spec), hash % PLACES, hash / PLACES % PLACES]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::catalog::declare_step;

    fn specs(count: usize) -> &'static [StepSpec] {
        Box::leak((0..count).map(|_| declare_step("of_a_test", "of_a_test", "", ("", "", 0))).collect())
    }

    #[test]
    fn each_step_is_made_once_and_found_again_however_many_there_are() {
        let (steps, count, specs) = (Steps::new(), AtomicU32::new(0), specs(1_000));
        let make = || count.fetch_add(1, Ordering::Relaxed);
        let numbers: Vec<_> = std::thread::scope(|scope| {
            let find = || specs.iter().map(|spec| steps.find_or_add(spec, make).unwrap()).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(find)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(count.load(Ordering::Relaxed), 1_000);
        assert!(numbers.iter().all(|of_thread| *of_thread == numbers[0]));
        let distinct = numbers[0].iter().map(|(number, _)| *number).collect::<BTreeSet<u32>>();
        assert_eq!(distinct.len(), 1_000);
        for (spec, (number, value)) in specs.iter().zip(&numbers[0]) {
            assert_eq!(steps.at(*number), Some(*value));
            assert!(steps.near(spec).is_none_or(|near| near == (*number, *value)));
        }
        assert_eq!((steps.at(64 + 1_000), steps.at(u32::MAX)), (None, None));
    }

    #[test]
    fn few_steps_lie_near() {
        let mut near = 0;
        for specs in (0..100).map(|_| specs(5)) {
            let steps = Steps::new();
            for spec in specs {
                assert!(steps.find_or_add(spec, || ()).is_some());
                near += u32::from(steps.near(spec).is_some());
            }
        }
        assert!(near >= 400, "{near} of 500");
    }
}
