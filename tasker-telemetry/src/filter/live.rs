//! A filter that can grow while it is in use. Whoever looks at it takes no lock: the filters before are kept, and so is what
//! refers to them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Filter, FilterRule};

/// How often it can grow: each filter is kept as long as the telemetry is.
const MOST: usize = 64;

/// See the module.
pub(crate) struct Filters {
    first: Filter,
    later: [OnceLock<Box<Filter>>; MOST],
    /// 0: the first; else the number of the later one, from 1.
    current: AtomicUsize,
    written: Mutex<Written>,
}

/// The rules in force.
#[derive(Debug, Clone, Default)]
struct Written {
    keys: Vec<FilterRule>,
    values: Vec<FilterRule>,
}

impl Filters {
    /// `filter`: that of these rules.
    pub(crate) fn new(filter: Filter, keys: Vec<FilterRule>, values: Vec<FilterRule>) -> Self {
        Self {
            first: filter,
            later: [const { OnceLock::new() }; MOST],
            current: AtomicUsize::new(0),
            written: Mutex::new(Written { keys, values }),
        }
    }

    /// The filter in force.
    #[inline]
    pub(crate) fn get(&self) -> &Filter {
        match self.current.load(Ordering::Acquire) {
            0 => &self.first,
            number => self.later(number),
        }
    }

    #[cold]
    fn later(&self, number: usize) -> &Filter {
        self.later.get(number - 1).and_then(OnceLock::get).map_or(&self.first, |filter| filter)
    }

    /// Sets the rules for keys.
    pub(crate) fn grow_keys(&self, keys: &[FilterRule]) -> Result<(), String> {
        self.grow(|written| {
            let missing = missing(&written.keys, keys);
            written.keys = keys.to_vec();
            missing
        })
    }

    /// Sets the rules for values.
    pub(crate) fn grow_values(&self, values: &[FilterRule]) -> Result<(), String> {
        self.grow(|written| {
            let missing = missing(&written.values, values);
            written.values = values.to_vec();
            missing
        })
    }

    /// `change` says which of the rules in force it would take away.
    fn grow(&self, change: impl FnOnce(&mut Written) -> Option<String>) -> Result<(), String> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = written.clone();
        if let Some(rule) = change(&mut next) {
            return Err(format!(
                "can only grow while the telemetry runs: the rule `{rule}` would be taken away, and what was masked would be shown"
            ));
        }
        let number = self.current.load(Ordering::Relaxed);
        let Some(place) = self.later.get(number) else {
            return Err(format!("has changed {MOST} times, which is all it can: restart the program"));
        };
        let filter = Filter::new(&next.keys, &next.values, self.first.mask()).map_err(|bad| bad.to_string())?;
        let _ = place.set(Box::new(filter));
        *written = next;
        self.current.store(number + 1, Ordering::Release);
        Ok(())
    }
}

/// The first rule that is not among the others.
fn missing(before: &[FilterRule], after: &[FilterRule]) -> Option<String> {
    let before = before.iter().map(FilterRule::written);
    let after: Vec<_> = after.iter().map(FilterRule::written).collect();
    before.into_iter().find(|rule| !rule.is_empty() && !after.contains(rule))
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filters").field("current", &self.current).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[&str]) -> Vec<FilterRule> {
        rules.iter().map(|rule| FilterRule::from(*rule)).collect()
    }

    #[test]
    fn it_grows_and_never_shrinks() {
        let keys = rules(&["token"]);
        let filters = Filters::new(Filter::new(&keys, &[], "*").unwrap(), keys, Vec::new());
        let before = filters.get();
        assert!(before.masks("token") && !before.masks("pin"));
        filters.grow_keys(&rules(&["token", "pin"])).unwrap();
        filters.grow_values(&rules(&[r"\d{4}"])).unwrap();
        assert!(filters.get().masks("token") && filters.get().masks("pin"));
        assert_eq!(filters.get().text("a 1234"), "a *");
        assert!(!before.masks("pin"), "who looks at one goes on looking at that one");
        let refused = filters.grow_keys(&rules(&["pin"])).unwrap_err();
        assert!(refused.contains("`token` would be taken away"), "{refused}");
        assert!(filters.grow_keys(&rules(&["token", "pin", "/(/"])).is_err());
        assert!(filters.get().masks("pin"), "a rule of no use changes nothing");
        for _ in 0..MOST {
            let _ = filters.grow_keys(&rules(&["token", "pin"]));
        }
        assert!(filters.grow_keys(&rules(&["token", "pin"])).unwrap_err().contains("restart"));
        assert!(filters.get().masks("pin"));
    }
}
