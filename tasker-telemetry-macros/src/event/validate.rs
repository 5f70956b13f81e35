//! The rules of events. What may be said where is checked by the parsers; here, what it may mean.

use super::model::{Field, Model};
use crate::diagnostics::Diagnostics;
use crate::event_name::check_name;

/// What the library adds to the JSON of every event.
const HEADER: [&str; 13] = [
    "event",
    "event_id",
    "event_type",
    "category",
    "timestamp",
    "task_id",
    "task_name",
    "step_id",
    "step_name",
    "attempt_number",
    "correlation_id",
    "trace_id",
    "span_id",
];

/// Checks all rules.
pub(crate) fn validate(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    check_the_name(model, diagnostics);
    check_generics(model, diagnostics);
    check_shape(model, diagnostics);
    for (index, field) in model.fields.iter().enumerate() {
        check_field(field, &model.fields[..index], diagnostics);
    }
}

/// The name is `namespace.name`, the namespace not the library's.
fn check_the_name(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    if let Some(name) = model.name
        && let Err(message) = check_name(&name.value())
    {
        diagnostics.error(name, message);
    }
}

/// The name stands for one payload, so for one type.
fn check_generics(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    if !model.generics.params.is_empty() {
        diagnostics.error(
            &model.generics.params,
            "an event cannot be generic, since its name stands for one type: write the types of its fields out",
        );
    }
}

/// The JSON of the payload is an object with the fields of the struct.
fn check_shape(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    for (word, span) in &model.serde.reshaping {
        let why = match *word {
            "tag" => "adds a field that the catalog does not know: leave it out, the event's name tells its type",
            "into" => "serialises another type's fields: derive `Event` for that type",
            _ => "makes no object of it: leave it out",
        };
        diagnostics
            .error_at(*span, format!("the payload of an event is an object with its fields, and `{word}` {why}"));
    }
}

fn check_field(field: &Field, earlier: &[Field], diagnostics: &mut Diagnostics) {
    if let Some(flatten) = field.serde.flatten {
        diagnostics.error_at(
            flatten,
            "`flatten` hides the names of the fields from the catalog and from the filter: write the fields out",
        );
        return;
    }
    if field.serde.skip.is_some() {
        check_skipped(field, diagnostics);
        return;
    }
    if HEADER.contains(&&*field.name) {
        diagnostics.error_at(
            field.name_span,
            format!("the library adds `{}` to every event itself: leave this field out, or rename it", field.name),
        );
    }
    if earlier.iter().any(|other| other.serde.skip.is_none() && other.name == field.name) {
        diagnostics.error_at(field.name_span, format!("another field is already serialised as `{}`", field.name));
    }
}

/// A skipped field is in no JSON, but subscribers in the process see the struct with it: which of the two was meant?
fn check_skipped(field: &Field, diagnostics: &mut Diagnostics) {
    if let Some(sensitive) = &field.sensitive {
        diagnostics.error(
            sensitive,
            "serde skips this field, so there is nothing to mask in the payload: leave out `sensitive`, or the skip",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;
    use proc_macro2::TokenStream;
    use quote::quote;

    fn mistake_of_field(field: &TokenStream) -> String {
        let found = mistakes(quote!(#[event("a.b")] struct A { first: u8, #field }));
        assert_eq!(found.len(), 1, "{found:?}");
        found.concat()
    }

    #[test]
    fn fields() {
        for (field, advice) in [
            (quote!(task_id: u8), "adds `task_id`"),
            (quote!(#[serde(rename = "event_id")] x: u8), "adds `event_id`"),
            (quote!(#[serde(rename = "first")] x: u8), "already serialised as `first`"),
            (quote!(#[serde(flatten)] x: u8), "write the fields out"),
            (quote!(#[serde(skip)] #[event(sensitive)] x: u8), "nothing to mask"),
            (quote!(#[event(sensitve)] x: u8), "did you mean `sensitive`?"),
            (quote!(#[event(sensitive = true)] x: u8), "takes no value"),
            (quote!(#[event(sensitive, sensitive)] x: u8), "more than once"),
            (quote!(#[event("a.c")] x: u8), "stands above the struct"),
            (quote!(#[event] x: u8), "write `#[event(sensitive)]`"),
        ] {
            let message = mistake_of_field(&field);
            assert!(message.contains(advice), "{field}: {message}");
        }
        assert!(
            mistakes(quote!(
                #[event("a.b")]
                struct A {
                    #[serde(skip)]
                    task_id: u8,
                }
            ))
            .is_empty()
        );
    }

    #[test]
    fn the_shape_is_an_object() {
        for word in [quote!(transparent), quote!(into = "u8"), quote!(tag = "t")] {
            assert_eq!(
                mistakes(quote!(
                    #[event("a.b")]
                    #[serde(#word)]
                    struct A {
                        x: u8,
                    }
                ))
                .len(),
                1
            );
        }
    }
}
