//! Masking a typed event: what its schema tells is decided once, what only a value tells is looked at when it is published.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::Filter;
use super::keys::{Place, Verdict};
use super::scan::{Scan, Stop};
use super::top::{Seen, Top};
use super::walk::Walk;
use crate::catalog::EventSpec;
use crate::event::{Event, HEADER_FIELDS};
use crate::mask::Shape;
use crate::table::hash_address;

/// What the filter has decided for the events of one type.
#[derive(Debug)]
pub(super) struct Plan {
    spec: &'static EventSpec,
    /// The fields that are masked whatever they hold: index and name.
    indexes: Box<[usize]>,
    names: Arc<[&'static str]>,
    /// The fields that are looked into, with where they stand; `None` for all others.
    places: Box<[Option<Place>]>,
    looks_inside: bool,
    /// Its `Serialize` writes no struct with the fields of the spec, so nothing of it is known beforehand.
    is_unusual: bool,
}

/// What was masked in an event.
#[derive(Debug, Clone)]
pub(crate) struct MaskedFields {
    /// The fields whose JSON is the mask, whatever their type could hold.
    pub(crate) names: Arc<[&'static str]>,
    /// A field that has to be masked could not be: the typed value is not shown.
    pub(crate) withheld: bool,
    /// The JSON of the payload, where it was made and masked already.
    pub(crate) json: Option<Arc<Map<String, Json>>>,
}

impl MaskedFields {
    /// Nothing was.
    pub(crate) fn none() -> Self {
        Self { names: Arc::new([]), withheld: false, json: None }
    }
}

impl Filter {
    /// Masks an event in place. A field inside of which something is masked is masked as a whole in the typed value; its JSON
    /// keeps the rest.
    #[inline]
    pub(crate) fn event<E: Event>(&self, event: &mut E) -> MaskedFields {
        let hash = hash_address(E::SPEC);
        let same = |plan: &Plan| std::ptr::eq(plan.spec, E::SPEC);
        match self.events.get_or_add(hash, same, || Some(self.plan(event))) {
            Ok(plan) => self.masked(plan, event),
            Err(_) => self.masked(&self.plan(event), event),
        }
    }

    #[inline]
    fn masked<E: Event>(&self, plan: &Plan, event: &mut E) -> MaskedFields {
        let mut masked = MaskedFields { names: Arc::clone(&plan.names), withheld: false, json: None };
        for index in &plan.indexes {
            masked.withheld |= !event.__mask(*index, self.mask());
        }
        if plan.is_unusual {
            self.look_at_all(event, &mut masked);
        } else if plan.looks_inside {
            self.look_inside(plan, event, &mut masked);
        }
        masked
    }

    #[cold]
    fn plan<E: Event>(&self, event: &E) -> Plan {
        let spec = E::SPEC;
        let (mut indexes, mut names, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (index, field) in spec.fields.iter().enumerate() {
            let mut place = None;
            // The library's own fields are not a user's to mask; `retry_limit` is a field of system events alone.
            if !HEADER_FIELDS.contains(&field.name) {
                let shape = event.__shape(index);
                let verdict = self.rules.keys.judge(Place::default(), field.name, &mut String::new());
                match verdict {
                    _ if field.sensitive || shape == Shape::Secret => {
                        indexes.push(index);
                        names.push(field.name);
                    }
                    Verdict::Masked => {
                        indexes.push(index);
                        names.push(field.name);
                    }
                    Verdict::Below(below) if shape == Shape::Nested || !self.rules.texts.is_empty() => {
                        place = Some(below);
                    }
                    Verdict::Below(_) => {}
                }
            }
            places.push(place);
        }
        let looks_inside = places.iter().any(Option::is_some);
        let mut walk = Walk::new(&self.rules);
        let top = Top { walk: &mut walk, fields: spec.fields, places: &[], seen: &mut Seen::default(), next: 0 };
        let is_usual = catch_unwind(AssertUnwindSafe(|| event.serialize(top))).is_ok_and(|answer| answer.is_ok());
        Plan {
            spec,
            indexes: indexes.into(),
            names: names.into(),
            places: places.into(),
            looks_inside,
            is_unusual: !is_usual,
        }
    }

    fn look_inside<E: Event>(&self, plan: &Plan, event: &mut E, masked: &mut MaskedFields) {
        let mut seen = Seen::default();
        let whole = catch_unwind(AssertUnwindSafe(|| {
            let mut walk = Walk::new(&self.rules);
            let (fields, places) = (plan.spec.fields, &*plan.places);
            event.serialize(Top { walk: &mut walk, fields, places, seen: &mut seen, next: 0 })
        }));
        if !matches!(whole, Ok(Ok(()))) {
            // A panic, or another shape than the last time: nothing that was to be looked at counts as seen.
            seen.found.clear();
            let looked_at = plan.places.iter().enumerate().filter_map(|(index, place)| place.map(|_| index));
            seen.unseen = looked_at.collect();
        }
        if !seen.found.is_empty() || !seen.unseen.is_empty() {
            self.hide(plan, event, &seen, masked);
        }
    }

    #[cold]
    fn hide<E: Event>(&self, plan: &Plan, event: &mut E, seen: &Seen, masked: &mut MaskedFields) {
        let mut is_hidden = true;
        for index in &seen.unseen {
            is_hidden &= event.__mask(*index, self.mask());
        }
        masked.withheld |= !is_hidden;
        let unseen = seen.unseen.iter().filter_map(|index| plan.spec.fields.get(*index)).map(|field| field.name);
        let names = plan.names.iter().copied().chain(unseen);
        let json = if is_hidden { self.json_of(event, names) } else { self.nothing_of(plan.spec) };
        masked.json = Some(Arc::new(json));
        for index in &seen.found {
            masked.withheld |= !event.__mask(*index, self.mask());
        }
    }

    /// The same for an event whose fields are known when they are seen only.
    #[cold]
    fn look_at_all<E: Event>(&self, event: &E, masked: &mut MaskedFields) {
        let looked = catch_unwind(AssertUnwindSafe(|| {
            event.serialize(Scan { walk: &mut Walk::new(&self.rules), at: Place::default(), depth: 0 })
        }));
        let json = match looked {
            Ok(Ok(())) => return,
            Ok(Err(Stop::Found)) => self.json_of(event, masked.names.iter().copied()),
            Ok(Err(Stop::TooMuch | Stop::Failed)) | Err(_) => self.nothing_of(E::SPEC),
        };
        masked.withheld = true;
        masked.json = Some(Arc::new(json));
    }

    /// The JSON of an event of which it is known that it fits into memory, masked.
    fn json_of<E: Event>(&self, event: &E, names: impl Iterator<Item = &'static str>) -> Map<String, Json> {
        let Ok(Ok(json)) = catch_unwind(AssertUnwindSafe(|| serde_json::to_value(event))) else {
            return self.nothing_of(E::SPEC);
        };
        let mut fields = match json {
            Json::Object(fields) => fields,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        for name in names {
            if let Some(value) = fields.get_mut(name) {
                *value = Json::from(self.mask());
            }
        }
        match Walk::new(&self.rules).object(&mut fields, Place::default(), 0) {
            Ok(()) => fields,
            Err(_) => self.nothing_of(E::SPEC),
        }
    }

    /// The JSON of an event that shows nothing but its fields' names.
    fn nothing_of(&self, spec: &EventSpec) -> Map<String, Json> {
        spec.fields.iter().map(|field| (field.name.to_owned(), Json::from(self.mask()))).collect()
    }
}
