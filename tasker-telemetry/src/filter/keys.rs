//! Which keys are masked: names and dotted paths by one automaton, regular expressions beside it.
//!
//! The automaton is fed the keys on the way down, a dot between two, and keeps its state from one level to the next. So a path
//! is never put together, and looking at a payload is linear in the length of its keys.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::{Anchored, dfa::DFA};
use regex::{Regex, RegexSet, RegexSetBuilder};

use super::rule::{BadRule, FilterRule, Meaning, compile, is_for_paths};

/// All names and paths together are no longer: the automaton's size goes with it.
const LONGEST_NAMES: usize = 16 * 1024;

/// The rules for keys, compiled.
#[derive(Debug, Default)]
pub(super) struct Keys {
    names: Option<Names>,
    plain: Patterns,
    paths: Patterns,
}

#[derive(Debug)]
struct Names {
    automaton: DFA,
    start: StateID,
}

/// Expressions: those written as text are run in one go, those that a user compiled one by one, since a set would lose how.
#[derive(Debug, Default)]
struct Patterns {
    set: Option<RegexSet>,
    own: Vec<Regex>,
}

/// How far down the keys have been read: what is needed to judge the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// `None`: at the root.
    state: Option<StateID>,
    /// The length of the path, where paths are kept.
    path: usize,
    is_below: bool,
}

/// What becomes of a key's value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    Masked,
    /// It is looked into.
    Below(Place),
}

impl Keys {
    pub(super) fn new(rules: &[FilterRule]) -> Result<Self, BadRule> {
        let (mut names, mut keys, mut paths) = (Vec::new(), Vec::new(), Vec::new());
        let mut compiled = Self::default();
        let mut length = 0;
        for rule in rules {
            match rule.for_keys()? {
                None => {}
                Some(Meaning::Name(name)) => {
                    let name: String = folded(&name).collect();
                    length += name.len();
                    if length > LONGEST_NAMES {
                        let problem = format!("is one too many: all names together have at most {LONGEST_NAMES} bytes");
                        return Err(BadRule { rule: rule.text().to_owned(), problem });
                    }
                    names.push(name);
                }
                Some(Meaning::Pattern(pattern)) => {
                    compile(&pattern, rule.text())?; // alone, so that a mistake is told of the right one
                    if is_for_paths(&pattern) { paths.push(pattern) } else { keys.push(pattern) }
                }
                Some(Meaning::Compiled(regex)) => {
                    let own = if is_for_paths(regex.as_str()) { &mut compiled.paths } else { &mut compiled.plain };
                    own.own.push(regex);
                }
            }
        }
        compiled.names = Names::new(&names)?;
        compiled.plain.set = set(&keys)?;
        compiled.paths.set = set(&paths)?;
        Ok(compiled)
    }

    /// Whether somebody asks for whole paths.
    pub(super) fn wants_paths(&self) -> bool {
        !self.paths.is_empty()
    }

    /// The place below a key that payloads have and attributes do not: names and keys may name it, expressions for paths begin
    /// after it.
    pub(super) fn below(&self, root: &str) -> Verdict {
        match self.judge(Place::default(), root, &mut String::new()) {
            Verdict::Below(place) => Verdict::Below(Place { path: 0, ..place }),
            Verdict::Masked => Verdict::Masked,
        }
    }

    /// The verdict on a key below `at`. `path` holds that place's path, and afterwards the key's, where paths are kept.
    #[inline]
    pub(super) fn judge(&self, at: Place, key: &str, path: &mut String) -> Verdict {
        let mut below = Place { is_below: true, ..Place::default() };
        if let Some(names) = &self.names {
            let mut state = at.state.unwrap_or(names.start);
            if at.is_below {
                match names.feed(state, ".") {
                    Some(next) => state = next,
                    None => return Verdict::Masked,
                }
            }
            match names.feed(state, key) {
                Some(next) => below.state = Some(next),
                None => return Verdict::Masked,
            }
        }
        if self.plain.is_match(key) {
            return Verdict::Masked;
        }
        if self.wants_paths() {
            path.truncate(at.path);
            if at.path > 0 {
                path.push('.');
            }
            path.push_str(key);
            below.path = path.len();
            if self.paths.is_match(path) {
                return Verdict::Masked;
            }
        }
        Verdict::Below(below)
    }
}

impl Names {
    fn new(names: &[String]) -> Result<Option<Self>, BadRule> {
        if names.is_empty() {
            return Ok(None);
        }
        let bad = |problem: String| BadRule { rule: names.join(", "), problem };
        let automaton = DFA::builder().ascii_case_insensitive(true).prefilter(false).build(names);
        let automaton = automaton.map_err(|error| bad(format!("cannot be compiled: {error}")))?;
        let start = automaton.start_state(Anchored::No).map_err(|error| bad(format!("cannot be compiled: {error}")))?;
        Ok(Some(Self { automaton, start }))
    }

    /// The state after that text; `None`: a name was found.
    #[inline]
    fn feed(&self, state: StateID, text: &str) -> Option<StateID> {
        if text.is_ascii() {
            return self.feed_bytes(state, text.as_bytes());
        }
        let mut state = state;
        for c in folded(text) {
            state = self.feed_bytes(state, c.encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        Some(state)
    }

    #[inline]
    fn feed_bytes(&self, mut state: StateID, bytes: &[u8]) -> Option<StateID> {
        for byte in bytes {
            state = self.automaton.next_state(Anchored::No, state, *byte);
            if self.automaton.is_match(state) {
                return None;
            }
        }
        Some(state)
    }
}

impl Patterns {
    fn is_empty(&self) -> bool {
        self.set.is_none() && self.own.is_empty()
    }

    #[inline]
    fn is_match(&self, text: &str) -> bool {
        self.set.as_ref().is_some_and(|set| set.is_match(text)) || self.own.iter().any(|regex| regex.is_match(text))
    }
}

fn set(patterns: &[String]) -> Result<Option<RegexSet>, BadRule> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let set = RegexSetBuilder::new(patterns).size_limit(4 * 1024 * 1024).build();
    set.map(Some)
        .map_err(|error| BadRule { rule: patterns.join(", "), problem: format!("are too much together: {error}") })
}

/// The text without regard to case.
fn folded(text: &str) -> impl Iterator<Item = char> {
    // The Greek sigma has a second lower-case form at the end of a word.
    text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(rules: &[&str], path: &[&str]) -> bool {
        let rules: Vec<FilterRule> = rules.iter().map(|rule| FilterRule::from(*rule)).collect();
        let keys = Keys::new(&rules).unwrap();
        let (mut at, mut text) = (Place::default(), String::new());
        for key in path {
            match keys.judge(at, key, &mut text) {
                Verdict::Masked => return true,
                Verdict::Below(place) => at = place,
            }
        }
        false
    }

    #[test]
    fn names_are_parts_of_a_key() {
        for (rule, key) in
            [("passw", "userPassword"), ("_key", "API_KEY"), ("straße", "HauptSTRAßE"), ("ΟΔΟΣ", "η οδος μου")]
        {
            assert!(masks(&[rule], &[key]), "{rule} in {key}");
        }
        assert!(!masks(&["_key"], &["keyboard"]) && !masks(&["ab"], &["a", "b"]) && !masks(&[], &["password"]));
        assert!(masks(&["token"], &["to\u{212a}en"]), "the Kelvin sign is a k");
    }

    #[test]
    fn paths_are_parts_of_the_path() {
        assert!(masks(&["credit_card.number"], &["credit_card", "number"]));
        assert!(masks(&["credit_card.number"], &["order", "Credit_Card", "NUMBER"]));
        assert!(masks(&["credit_card.number"], &["credit_card.number"]));
        assert!(!masks(&["credit_card.number"], &["number"]));
        assert!(!masks(&["credit_card.number"], &["credit_card", "x", "number"]));
        assert!(!masks(&["credit_card.number"], &["credit_card"]));
    }

    #[test]
    fn expressions_are_held_against_the_key_or_the_path() {
        assert!(masks(&["/^pin$/"], &["card", "pin"]) && !masks(&["/^pin$/"], &["card", "pinned"]));
        assert!(masks(&["/TOKEN/i"], &["a_token"]) && !masks(&["/TOKEN/"], &["a_token"]));
        assert!(masks(&[r"/^card\.pin$/"], &["card", "pin"]) && !masks(&[r"/^card\.pin$/"], &["a", "card", "pin"]));
        let own: FilterRule = regex::RegexBuilder::new("PIN").case_insensitive(true).build().unwrap().into();
        let keys = Keys::new(&[own]).unwrap();
        assert!(matches!(keys.judge(Place::default(), "pin", &mut String::new()), Verdict::Masked));
    }

    #[test]
    fn too_many_names_are_refused() {
        let rules: Vec<FilterRule> = (0..10_000).map(|n| FilterRule::from(format!("name{n}"))).collect();
        assert!(Keys::new(&rules).unwrap_err().problem.contains("too many"));
    }
}
