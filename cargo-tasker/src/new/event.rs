//! `new event payment.risk_flagged payment_id:String risk_score:f64 card:String:sensitive`.

use serde_json::{Value as Json, json};

use super::home::Home;
use super::manifest::{Dependency, depend};
use super::modules::declare;
use super::names::{Name, camel_case, check_event, sentence};
use super::{place, render};
use crate::args::WriteArgs;
use crate::failure::Failure;
use crate::files::Plan;

pub(super) fn plan(
    plan: &mut Plan,
    home: &Home,
    name: &str,
    fields: &[String],
    write: &WriteArgs,
) -> Result<(), Failure> {
    check_event(name)?;
    let (_, rest) = name.split_once('.').unwrap_or(("", name));
    let snake = rest.replace('.', "_");
    let name_of_type = Name { camel: camel_case(rest), snake: snake.clone() };
    if syn::parse_str::<syn::Ident>(&snake).is_err() {
        return Err(Failure::wrong(format!(
            "`{name}` cannot be an event's name here: `{snake}` is a word of the language"
        )));
    }
    let fields = fields.iter().map(|field| Field::parse(field)).collect::<Result<Vec<_>, _>>()?;
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name == field.name) {
            return Err(Failure::wrong(format!("the field `{}` is given more than once", field.name)));
        }
    }
    let shown = fields.iter().all(|field| field.example.is_some());
    let context = json!({
        "name": name,
        "type": name_of_type.camel,
        "sentence": sentence(&snake),
        "fields": fields.iter().map(Field::json).collect::<Vec<_>>(),
        // A value of every type is only known for the common ones.
        "publishes": shown,
    });
    let code = render::code(home, include_str!("../../templates/event.rs.j2"), context)?;
    let file = place(home, write, "events", &snake);
    declare(plan, home, &file)?;
    plan.create(file, code)?;
    depend(plan, home, &[SERDE])
}

/// What deriving `Serialize` needs.
pub(crate) const SERDE: Dependency<'_> =
    Dependency { name: "serde", version: "1", path: None, features: &["derive"], dev: false };

struct Field {
    name: String,
    ty: String,
    sensitive: bool,
    /// An expression of its type, and the JSON that it is published as.
    example: Option<(String, Json)>,
}

impl Field {
    /// Grammar: `name:type[:sensitive]`
    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::wrong(format!("`{text}` is no field: {why}"));
        let (name, rest) = text.split_once(':').ok_or_else(|| wrong("write `name:type`, such as `amount:u64`"))?;
        // The type itself may have `::` in it.
        let (ty, sensitive) = match rest.strip_suffix(":sensitive") {
            Some(ty) => (ty, true),
            None => (rest, false),
        };
        if syn::parse_str::<syn::Ident>(name).is_err() || name.starts_with(|c: char| c.is_uppercase()) {
            return Err(wrong("its name must be a word in lower case"));
        }
        let header = ["event", "event_id", "event_type", "timestamp", "task_id", "task_name", "step_id", "step_name"];
        if header.contains(&name) || ["correlation_id", "trace_id", "span_id", "attempt_number"].contains(&name) {
            return Err(wrong("every event has a field of that name already"));
        }
        if syn::parse_str::<syn::Type>(ty).is_err() || ty.contains('&') {
            return Err(wrong("its type must be an owned type of Rust, such as `u64`, `String` or `Option<f64>`"));
        }
        let mut example = example(ty);
        if sensitive && let Some((_, json)) = &mut example {
            *json = tasker_telemetry::DEFAULT_FILTER_MASK.into();
            if !matches!(ty, "String" | "Option<String>") {
                example = None;
            }
        }
        Ok(Self { name: name.to_owned(), ty: ty.to_owned(), sensitive, example })
    }

    fn json(&self) -> Json {
        let (value, seen) = match &self.example {
            Some((value, seen)) => (value.as_str(), seen.to_string()),
            None => ("", String::new()),
        };
        json!({
            "name": self.name, "type": self.ty, "sensitive": self.sensitive, "value": value, "seen": seen,
            "optional": self.ty.starts_with("Option<"), "sentence": sentence(&self.name),
        })
    }
}

fn example(ty: &str) -> Option<(String, Json)> {
    Some(match ty {
        "String" => ("\"text\".to_owned()".to_owned(), "text".into()),
        "bool" => ("true".to_owned(), true.into()),
        "f32" | "f64" => ("1.5".to_owned(), 1.5.into()),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => ("7".to_owned(), 7.into()),
        _ => {
            let inner = ty.strip_prefix("Option<")?.strip_suffix('>')?;
            let (value, json) = example(inner)?;
            (format!("Some({value})"), json)
        }
    })
}
