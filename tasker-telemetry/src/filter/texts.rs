//! Masking parts of a text: what a user's expressions for values match, and what else is to be hidden.

use std::ops::Range;
use std::sync::Arc;

use regex::Regex;

use super::rule::{BadRule, FilterRule};

/// What is masked wherever it stands in a value, and the mask.
#[derive(Debug)]
pub(super) struct Texts {
    patterns: Vec<Regex>,
    mask: Arc<str>,
}

/// After so many rounds a text that still changes is masked as a whole: expressions that match the mask itself.
const MOST_ROUNDS: usize = 4;

impl Texts {
    pub(super) fn new(rules: &[FilterRule], mask: Arc<str>) -> Result<Self, BadRule> {
        let mut patterns = Vec::new();
        for rule in rules {
            patterns.extend(rule.for_values()?);
        }
        Ok(Self { patterns, mask })
    }

    /// Nothing.
    pub(super) const fn none(mask: Arc<str>) -> Self {
        Self { patterns: Vec::new(), mask }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(super) const fn mask(&self) -> &Arc<str> {
        &self.mask
    }

    /// Whether there is something to mask.
    #[inline]
    pub(super) fn is_found_in(&self, text: &str) -> bool {
        !self.is_empty() && self.shown(text).is_some()
    }

    /// The text as it may be shown; `None`: as it is. What is masked stays so: shown again, it does not change.
    #[inline]
    pub(super) fn shown(&self, text: &str) -> Option<String> {
        if self.patterns.iter().any(|pattern| pattern.is_match(text)) { self.masked(text) } else { None }
    }

    #[cold]
    fn masked(&self, text: &str) -> Option<String> {
        let mut shown: Option<String> = None;
        for _ in 0..MOST_ROUNDS {
            let mut changed = false;
            for pattern in &self.patterns {
                let text = shown.as_deref().unwrap_or(text);
                let found = pattern.find_iter(text).map(|found| found.range());
                if let Some(next) = replace(text, &self.mask, found) {
                    shown = Some(next);
                    changed = true;
                }
            }
            if !changed {
                return shown;
            }
        }
        Some(self.mask.to_string())
    }
}

/// The text with the mask in the place of each range; `None`: there is none. The ranges are in order. What lies in a mask
/// already is left alone, and a mask that a range reaches into becomes one with it.
pub(super) fn replace(text: &str, mask: &str, ranges: impl Iterator<Item = Range<usize>>) -> Option<String> {
    let mut masks = occurrences(text, mask).peekable();
    let (mut shown, mut from) = (String::new(), 0);
    let mut any = false;
    for range in ranges.filter(|range| !range.is_empty()) {
        let Range { mut start, mut end } = range;
        while masks.next_if(|mask| mask.end <= start).is_some() {}
        if masks.peek().is_some_and(|mask| mask.start <= start && end <= mask.end) {
            continue;
        }
        while let Some(mask) = masks.next_if(|mask| mask.start < end) {
            start = start.min(mask.start);
            end = end.max(mask.end);
        }
        start = start.max(from);
        if start >= end {
            continue;
        }
        shown.push_str(text.get(from..start).unwrap_or_default());
        shown.push_str(mask);
        from = end;
        any = true;
    }
    any.then(|| {
        shown.push_str(text.get(from..).unwrap_or_default());
        shown
    })
}

/// Where the mask stands in a text.
fn occurrences<'a>(text: &'a str, mask: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let found = (!mask.is_empty()).then(|| text.match_indices(mask).map(|(at, mask)| at..at + mask.len()));
    found.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(patterns: &[&str]) -> Texts {
        let rules: Vec<FilterRule> = patterns.iter().map(|pattern| FilterRule::from(*pattern)).collect();
        Texts::new(&rules, "[FILTERED]".into()).unwrap()
    }

    #[test]
    fn what_is_found_is_masked_and_the_rest_stays() {
        let cards = texts(&[r"\b\d{4}(?: ?\d{4}){3}\b", "/bearer [a-z]+/i"]);
        assert_eq!(
            cards.shown("card 4111 1111 1111 1111 with Bearer abc declined").as_deref(),
            Some("card [FILTERED] with [FILTERED] declined")
        );
        assert_eq!(cards.shown("nothing here"), None);
    }

    #[test]
    fn masked_again_is_masked_once() {
        for pattern in [r"\w+", ".", ".*", "FILTERED", r"a|\]b", "a.*", r"\[", "^a", r"[^\[]b"] {
            let texts = texts(&[pattern]);
            for text in ["a", "ab", "ab ab", "x [FILTERED] ab", "[FILTERED]b", "a[FILTERED]", ""] {
                let once = texts.shown(text).unwrap_or_else(|| text.to_owned());
                let twice = texts.shown(&once).unwrap_or_else(|| once.clone());
                assert_eq!(once, twice, "{pattern} in {text}");
            }
        }
    }

    #[test]
    fn a_mask_in_the_way_hides_nothing() {
        let texts = texts(&["secret.*code"]);
        assert_eq!(texts.shown("my secret [FILTERED] code").as_deref(), Some("my [FILTERED]"));
    }
}
