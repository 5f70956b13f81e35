//! JSON types and example values, read off the written Rust type. For people to look at: nothing depends on them.

use serde_json::{Map, Value as Json, json};

use super::spec::{EventSpec, FieldSpec};

/// A payload as it might be.
pub(super) fn payload(spec: &EventSpec) -> Json {
    let mut fields: Map<String, Json> = Map::new();
    for field in spec.fields {
        fields.insert(field.name.to_owned(), value(spec, field));
    }
    fields.entry("event").or_insert_with(|| spec.name.into());
    Json::Object(fields)
}

fn value(spec: &EventSpec, field: &FieldSpec) -> Json {
    if field.sensitive {
        return crate::filter::DEFAULT_FILTER_MASK.into();
    }
    match field.name {
        "event" => return spec.name.into(),
        "event_id" => return "019cb2a1-5c00-7d3e-9f2a-6b1c8e4d7a55".into(),
        "event_type" => return spec.name.rsplit('.').next().into(),
        "trace_id" | "correlation_id" => return "4bf92f3577b34da6a3ce929d0e0e4736".into(),
        "span_id" => return "00f067aa0ba902b7".into(),
        "error_class" => return "shop::PaymentError::Declined".into(),
        _ => {}
    }
    of_type(field.name, inner(field.ty, "Option").unwrap_or(field.ty))
}

fn of_type(name: &str, ty: &str) -> Json {
    match json_type(ty) {
        "string" if ty.ends_with("Timestamp") => "2026-03-01T12:00:00.000000Z".into(),
        "string" if name.contains("id") => format!("{name}_123").into(),
        "string" => format!("example_{name}").into(),
        "integer" if name.contains("count") => 5.into(),
        "integer" => 1.into(),
        "number" => 2.34.into(),
        "boolean" => true.into(),
        "array" => match inner(ty, "Vec") {
            Some(item) => json!([of_type(name, item)]),
            None => json!([]),
        },
        "object" => json!({}),
        _ => Json::Null,
    }
}

/// The JSON type that a Rust type is serialised as, as far as its name tells; `any` otherwise.
pub(super) fn json_type(ty: &str) -> &'static str {
    if let Some(item) = inner(ty, "Option") {
        return json_type(item);
    }
    let ty = ty.trim_start_matches('&').trim_start_matches("'static ");
    let head = ty.split('<').next().unwrap_or(ty);
    match head.rsplit("::").next().unwrap_or(head) {
        "String" | "str" | "char" | "Cow" | "Uuid" | "Timestamp" | "DateTime" | "SystemTime" | "PathBuf" | "Url"
        | "IpAddr" => "string",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "integer",
        "f32" | "f64" => "number",
        "bool" => "boolean",
        "Vec" | "VecDeque" | "HashSet" | "BTreeSet" => "array",
        "HashMap" | "BTreeMap" | "Map" => "object",
        "Box" | "Arc" | "Rc" => ["Box", "Arc", "Rc"].iter().find_map(|outer| inner(ty, outer)).map_or("any", json_type),
        _ if ty.starts_with('[') => "array",
        _ => "any",
    }
}

/// What stands between the angle brackets of `outer<..>`.
fn inner<'a>(ty: &'a str, outer: &str) -> Option<&'a str> {
    let (head, rest) = ty.split_once('<')?;
    (head.rsplit("::").next() == Some(outer)).then(|| rest.strip_suffix('>')).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_off_their_names() {
        for (ty, expected) in [
            ("String", "string"),
            ("&'static str", "string"),
            ("std::borrow::Cow<'static, str>", "string"),
            ("Option<u32>", "integer"),
            ("Vec<Option<f64>>", "array"),
            ("BTreeMap<String, u8>", "object"),
            ("Arc<str>", "string"),
            ("shop::Money", "any"),
            ("[u8; 4]", "array"),
        ] {
            assert_eq!(json_type(ty), expected, "{ty}");
        }
    }

    #[test]
    fn examples_look_like_the_event() {
        let failed = payload(crate::catalog::Catalog::get("task.failed").unwrap().spec);
        assert_eq!(failed["event"], "task.failed");
        assert_eq!(failed["event_type"], "failed");
        assert_eq!(failed["task_id"], "task_id_123");
        assert_eq!(failed["execution_duration"], 2.34);
        assert_eq!(failed["error_chain"], json!(["example_error_chain"]));
        assert_eq!(failed["started_at"], "2026-03-01T12:00:00.000000Z");
    }
}
