//! `#[derive(Event)]`: what the catalog learns of an event, and what becomes of its sensitive fields.

use std::borrow::Cow;
use std::collections::HashMap;

use tasker_telemetry::Catalog;
use tasker_telemetry::prelude::*;

/// A payment needs a human.
///
/// Somebody has to look at it.
#[derive(Debug, Clone, Serialize, Event)]
#[event("payment.risk_flagged")]
struct RiskFlagged {
    /// Our payment number.
    payment_id: String,
    risk_score: f64,
    /// As printed on the card.
    #[event(sensitive)]
    card_number: String,
    /// What the scoring said.
    notes: Option<Vec<String>>,
}

#[derive(Serialize, Event)]
#[event("shop.opened")]
struct Opened;

#[derive(Serialize, Event)]
#[event("shop.renamed")]
#[serde(rename_all = "camelCase")]
struct Renamed {
    old_name: String,
    #[serde(rename = "brandNew")]
    new_name: Cow<'static, str>,
    #[serde(rename(serialize = "kind", deserialize = "type"))]
    r#type: std::collections::HashMap<String, Vec<u8>>,
    #[serde(skip)]
    #[allow(dead_code, reason = "what is skipped is read by nobody")]
    cache: u8,
    #[serde(skip_serializing_if = "str::is_empty")]
    r#ref: &'static str,
}

/// A type without a masked form.
#[derive(Serialize)]
struct Opaque(u8);

#[derive(Serialize, Event)]
#[event("shop.kinds")]
struct Kinds {
    text: String,
    #[event(sensitive)]
    many: Vec<Option<String>>,
    #[event(sensitive)]
    number: u64,
    #[event(sensitive)]
    map: HashMap<String, u8>,
    opaque: Opaque,
}

mod nested {
    use tasker_telemetry::prelude::*;

    #[derive(Serialize, Event)]
    #[event("nested.happened")]
    pub(crate) struct r#Type {
        pub(crate) r#fn: u8,
    }
}

#[test]
fn the_name_stands_in_the_type() {
    assert_eq!(RiskFlagged::NAME, "payment.risk_flagged");
    assert_eq!(Opened::NAME, "shop.opened");
    assert_eq!(nested::r#Type::NAME, "nested.happened");
}

#[test]
fn doc_comments_are_descriptions() {
    assert_eq!(RiskFlagged::SPEC.description, "A payment needs a human.\n\nSomebody has to look at it.");
    let descriptions: Vec<_> = RiskFlagged::SPEC.fields.iter().map(|field| field.description).collect();
    assert_eq!(descriptions, ["Our payment number.", "", "As printed on the card.", "What the scoring said."]);
}

#[test]
fn fields_are_listed_with_type_and_flags() {
    let fields: Vec<_> =
        RiskFlagged::SPEC.fields.iter().map(|field| (field.name, field.ty, field.optional, field.sensitive)).collect();
    assert_eq!(
        fields,
        [
            ("payment_id", "String", false, false),
            ("risk_score", "f64", false, false),
            ("card_number", "String", false, true),
            ("notes", "Option<Vec<String>>", true, false),
        ]
    );
    assert!(Opened::SPEC.fields.is_empty());
}

#[test]
fn fields_are_named_as_serde_names_them() {
    let fields: Vec<_> = Renamed::SPEC.fields.iter().map(|field| (field.name, field.ty, field.optional)).collect();
    assert_eq!(
        fields,
        [
            ("oldName", "String", false),
            ("brandNew", "Cow<'static, str>", false),
            ("kind", "std::collections::HashMap<String, Vec<u8>>", false),
            ("ref", "&'static str", true),
        ]
    );
    let event = Renamed { old_name: "a".into(), new_name: "b".into(), r#type: HashMap::new(), cache: 0, r#ref: "c" };
    let json = serde_json::to_value(&event).expect("plain data");
    let mut names: Vec<_> = json.as_object().expect("an object").keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["brandNew", "kind", "oldName", "ref"]);
}

#[test]
fn the_source_is_where_the_struct_stands() {
    let source = &RiskFlagged::SPEC.source;
    assert_eq!(source.module, module_path!());
    assert!(source.file.ends_with("event_derive.rs"), "{}", source.file);
    let text = std::fs::read_to_string(source.file).or_else(|_| std::fs::read_to_string(format!("../{}", source.file)));
    if let Ok(text) = text {
        let line = text.lines().nth(source.line as usize - 1);
        assert_eq!(line, Some("struct RiskFlagged {"));
    }
    assert_eq!(RiskFlagged::SPEC.type_name, concat!(module_path!(), "::RiskFlagged"));
    assert_eq!(nested::r#Type::SPEC.type_name, concat!(module_path!(), "::nested::Type"));
}

#[test]
fn events_are_in_the_catalog() {
    for spec in [RiskFlagged::SPEC, Opened::SPEC, Renamed::SPEC, nested::r#Type::SPEC] {
        let event = Catalog::get(spec.name).unwrap_or_else(|| panic!("{} is missing", spec.name));
        assert!(std::ptr::eq(event.spec, spec));
    }
}

#[test]
fn fields_are_masked_as_their_types_allow() {
    let mut event = Kinds {
        text: "text".into(),
        many: vec![Some("a".into()), None],
        number: 42,
        map: HashMap::from([("a".to_owned(), 1)]),
        opaque: Opaque(42),
    };
    let masked: Vec<bool> = (0..6).map(|index| event.__mask(index, "[FILTERED]")).collect();
    assert_eq!(masked, [true, true, true, true, false, false]);
    assert_eq!(event.text, "[FILTERED]");
    assert_eq!(event.many, [Some("[FILTERED]".to_owned()), None]);
    assert_eq!(event.number, 0);
    assert!(event.map.is_empty());
    assert_eq!(event.opaque.0, 42);
}

#[test]
fn skipped_fields_have_no_index() {
    let mut event =
        Renamed { old_name: "a".into(), new_name: "b".into(), r#type: HashMap::new(), cache: 7, r#ref: "c" };
    assert!((0..4).all(|index| event.__mask(index, "*")));
    assert!(!event.__mask(4, "*"));
    assert_eq!((event.old_name.as_str(), &*event.new_name, event.cache, event.r#ref), ("*", "*", 7, ""));
}

/// The expansion names nothing that the user could have put something else in the place of.
mod hygiene {
    #![no_implicit_prelude]
    #![deny(warnings, missing_docs, clippy::all, clippy::pedantic)]
    #![allow(dead_code, reason = "only compiled")]

    mod tasker_telemetry {}
    mod core {}
    mod std {}
    struct Option;
    struct Some;
    struct Vec;
    #[allow(non_camel_case_types)]
    struct str;
    #[allow(non_camel_case_types)]
    struct u64;
    #[allow(non_camel_case_types)]
    struct bool;
    trait Event {}
    trait Named {}

    /// Happened.
    #[derive(::serde::Serialize, ::tasker_telemetry::Event)]
    #[event("hygiene.happened")]
    pub(crate) struct Happened {
        /// A field.
        #[event(sensitive)]
        pub mask: ::std::string::String,
        /// Another.
        pub index: ::core::primitive::u8,
    }
}

/// The runtime under another path.
mod elsewhere {
    pub(crate) mod telemetry {
        pub(crate) use ::tasker_telemetry::*;
    }

    #[derive(telemetry::prelude::Serialize, telemetry::Event)]
    #[event("elsewhere.path", crate = crate::elsewhere::telemetry)]
    pub(crate) struct Moved;
}

#[test]
fn the_runtime_may_stand_elsewhere() {
    assert_eq!(elsewhere::Moved::NAME, "elsewhere.path");
}
