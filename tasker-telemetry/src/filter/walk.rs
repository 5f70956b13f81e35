//! One way through a payload, with a limit on depth and on size. What is beyond a limit is masked, since it was not looked at.

use std::mem;

use serde_json::{Map, Value as Json};

use super::Rules;
use super::keys::{Place, Verdict};
use super::secrets::Found;

/// What lies deeper in a payload is masked.
pub(super) const DEEPEST: usize = 64;
/// The keys, texts and values of a payload together; a larger one is masked as a whole.
pub(super) const LARGEST: usize = 1024 * 1024;

/// A payload on the way through.
pub(super) struct Walk<'f> {
    pub(super) rules: &'f Rules,
    /// The path, where rules ask for it.
    path: String,
    left: usize,
    /// Where what is masked is kept, if it is.
    found: Option<&'f mut Found>,
}

/// The payload is larger than a filter looks through.
#[derive(Debug, Clone, Copy)]
pub(super) struct TooLarge;

impl<'f> Walk<'f> {
    pub(super) const fn new(rules: &'f Rules) -> Self {
        Self { rules, path: String::new(), left: LARGEST, found: None }
    }

    /// The same, keeping what is masked.
    pub(super) const fn keeping(rules: &'f Rules, found: &'f mut Found) -> Self {
        Self { rules, path: String::new(), left: LARGEST, found: Some(found) }
    }

    /// Counts work, in bytes looked at.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.left = self.left.checked_sub(bytes).ok_or(TooLarge)?;
        Ok(())
    }

    /// The verdict on a key.
    #[inline]
    pub(super) fn key(&mut self, at: Place, key: &str) -> Result<Verdict, TooLarge> {
        self.spend(key.len() + 1)?;
        let verdict = self.rules.keys.judge(at, key, &mut self.path);
        if self.rules.keys.wants_paths() {
            self.spend(self.path.len())?; // it was looked through for this key, too
        }
        Ok(verdict)
    }

    /// Sets out from below a key that has been judged before.
    pub(super) fn enter(&mut self, place: Place, key: &str) -> Place {
        if self.rules.keys.wants_paths() {
            self.path.clear();
            self.path.push_str(key);
        }
        place
    }

    /// Masks inside a value, in place.
    pub(super) fn json(&mut self, json: &mut Json, at: Place, depth: usize) -> Result<(), TooLarge> {
        self.spend(1)?;
        match json {
            Json::Object(_) | Json::Array(_) if depth >= DEEPEST => self.mask(json),
            Json::Object(fields) => self.object(fields, at, depth)?,
            Json::Array(items) => {
                for item in items {
                    self.json(item, at, depth + 1)?;
                }
            }
            Json::String(text) => {
                self.spend(text.len())?;
                if let Some(shown) = self.rules.texts.shown(text) {
                    *text = shown;
                }
            }
            Json::Number(number) if !self.rules.texts.is_empty() => {
                if self.rules.texts.is_found_in(&number.to_string()) {
                    self.mask(json);
                }
            }
            Json::Number(_) | Json::Bool(_) | Json::Null => {}
        }
        Ok(())
    }

    pub(super) fn object(&mut self, fields: &mut Map<String, Json>, at: Place, depth: usize) -> Result<(), TooLarge> {
        let mut keys_too = false;
        for (key, value) in fields.iter_mut() {
            match self.key(at, key)? {
                Verdict::Masked => self.mask(value),
                Verdict::Below(place) => self.json(value, place, depth + 1)?,
            }
            keys_too = keys_too || self.rules.texts.is_found_in(key);
        }
        if keys_too {
            self.mask_keys(fields);
        }
        Ok(())
    }

    /// Masks what stands in keys. Two that become the same are told apart by a number: no value is lost.
    #[cold]
    fn mask_keys(&self, fields: &mut Map<String, Json>) {
        let mut shown = Map::new();
        for (key, value) in mem::take(fields) {
            let name = self.rules.texts.shown(&key).unwrap_or(key);
            let mut free = name.clone();
            let mut number = 2_u32;
            while shown.contains_key(&free) {
                free = format!("{name} {number}");
                number += 1;
            }
            shown.insert(free, value);
        }
        *fields = shown;
    }

    #[inline]
    pub(super) fn mask(&mut self, json: &mut Json) {
        if let Some(found) = &mut self.found {
            found.json(json);
        }
        dismantle(mem::replace(json, Json::from(&**self.rules.texts.mask())));
    }
}

/// Drops a value of any depth without recursion: dropped by itself, one of ten thousand levels overflows the stack.
pub(super) fn dismantle(json: Json) {
    let mut open = Vec::new();
    let mut next = Some(json);
    while let Some(json) = next {
        match json {
            Json::Array(items) => open.extend(items.into_iter().filter(is_nested)),
            Json::Object(fields) => open.extend(fields.into_iter().map(|(_, value)| value).filter(is_nested)),
            _ => {}
        }
        next = open.pop();
    }
}

const fn is_nested(json: &Json) -> bool {
    matches!(json, Json::Array(_) | Json::Object(_))
}
