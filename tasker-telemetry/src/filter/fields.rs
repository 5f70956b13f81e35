//! Masking the values of `fields(..)`: their names are judged once for each step and task.

use super::keys::{Place, Verdict};
use super::secrets::Found;
use super::walk::{Walk, dismantle};
use super::{DEFAULT_FILTER_MASK, Filter};
use crate::table::hash_address;
use crate::value::Value;

use std::borrow::Cow;
use std::mem;

/// The verdicts on the names of one step or task.
#[derive(Debug)]
pub(super) struct Plan {
    spec: usize,
    verdicts: Box<[Verdict]>,
}

impl Filter {
    /// The values of `fields(..)` as they may be shown, and what was masked. `spec` is the static that has the names, `root`
    /// the field of events that the values stand in.
    pub(crate) fn fields<S>(
        &self,
        spec: &'static S,
        root: &str,
        names: &[&'static str],
        mut values: Box<[Value]>,
    ) -> (Box<[Value]>, Found) {
        let mut found = Found::default();
        let address = std::ptr::from_ref(spec).addr();
        let make = || Some(Plan { spec: address, verdicts: self.verdicts(root, names) });
        match self.plans.get_or_add(hash_address(spec), |plan| plan.spec == address, make) {
            Ok(plan) => self.mask_fields(names, &plan.verdicts, &mut values, &mut found),
            Err(_) => self.mask_fields(names, &self.verdicts(root, names), &mut values, &mut found),
        }
        (values, found)
    }

    fn verdicts(&self, root: &str, names: &[&'static str]) -> Box<[Verdict]> {
        let Verdict::Below(at) = self.rules.keys.below(root) else {
            return names.iter().map(|_| Verdict::Masked).collect();
        };
        names.iter().map(|name| self.rules.keys.judge(at, name, &mut String::new())).collect()
    }

    fn mask_fields(&self, names: &[&'static str], verdicts: &[Verdict], values: &mut [Value], found: &mut Found) {
        for (index, value) in values.iter_mut().enumerate() {
            let (name, verdict) = (names.get(index).copied().unwrap_or_default(), verdicts.get(index).copied());
            match verdict.unwrap_or(Verdict::Masked) {
                Verdict::Masked => {
                    found.value(value);
                    self.hide_value(value);
                }
                Verdict::Below(place) => self.look_into(name, place, value, found),
            }
        }
    }

    #[inline]
    fn look_into(&self, name: &str, place: Place, value: &mut Value, found: &mut Found) {
        match value {
            Value::Json(json) => {
                let mut walk = Walk::keeping(&self.rules, found);
                let place = walk.enter(place, name);
                if walk.json(json, place, 0).is_err() {
                    walk.mask(json);
                }
            }
            Value::Str(Cow::Borrowed(DEFAULT_FILTER_MASK)) => *value = self.mask_value(), // of a type that masks itself
            Value::Str(text) => {
                if let Some(shown) = self.rules.texts.shown(text) {
                    *text = Cow::Owned(shown);
                }
            }
            Value::Bool(_) => {}
            number if self.rules.texts.is_empty() => _ = number,
            number => {
                if self.rules.texts.is_found_in(&number.to_json().to_string()) {
                    self.hide_value(number);
                }
            }
        }
    }

    fn hide_value(&self, value: &mut Value) {
        if let Value::Json(json) = mem::replace(value, self.mask_value()) {
            dismantle(json);
        }
    }

    fn mask_value(&self) -> Value {
        Value::Str(Cow::Owned(self.mask().to_owned()))
    }
}
