//! OTLP's `KeyValue` and `AnyValue`, and what tells where signals come from: resource and scope.

use super::wire::Writer;
use crate::resource::Resource;
use crate::trace::AttributeValue;

/// An attribute in that field of the message around it.
#[inline]
pub(crate) fn attribute(out: &mut Writer, field: u32, key: &str, value: AttributeValue<'_>) {
    // Most are short, and their lengths are known before they are written.
    let text = |length: usize| 1 + Writer::width(length as u64) + length;
    let value_length = match value {
        AttributeValue::Str(value) => text(value.len()),
        AttributeValue::Bool(_) => 2,
        AttributeValue::I64(number) => 1 + Writer::width(number.cast_unsigned()),
        AttributeValue::F64(_) => 9,
        AttributeValue::Uuid(_) => text(36),
        AttributeValue::Big(_) | AttributeValue::Json(_) | AttributeValue::Path(..) => {
            return attribute_of_any_length(out, field, key, value);
        }
    };
    out.length(field, text(key.len()) + text(value_length));
    out.str(1, key);
    out.length(2, value_length);
    any_value(out, value);
}

fn attribute_of_any_length(out: &mut Writer, field: u32, key: &str, value: AttributeValue<'_>) {
    out.message(field, |out| {
        out.str(1, key);
        out.message(2, |out| any_value(out, value));
    });
}

/// `AnyValue`. What has an inner structure is its JSON text, as it is for OpenTelemetry's own types, which have no maps.
fn any_value(out: &mut Writer, value: AttributeValue<'_>) {
    match value {
        AttributeValue::Str(text) => out.str(1, text),
        AttributeValue::Bool(is) => out.uint(2, u64::from(is)),
        AttributeValue::I64(number) => out.int(3, number),
        AttributeValue::F64(number) => out.double(4, number),
        AttributeValue::Big(number) => out.str(1, &number.to_string()),
        AttributeValue::Uuid(uuid) => out.str(1, uuid.hyphenated().encode_lower(&mut [0; 36])),
        AttributeValue::Json(json) => out.str(1, &json.to_string()),
        AttributeValue::Path(module, function) => out.parts(1, &[module, "::", function]),
    }
}

/// A request: the `resource` and `scope_..` part that each begins with, and the signals that `write` adds. Whatever was there is gone.
pub(crate) fn envelope(out: &mut Writer, resource: &[u8], write: impl FnOnce(&mut Writer)) {
    let mut scope = Writer::default();
    scope.message(1, |out| {
        out.str(1, env!("CARGO_PKG_NAME"));
        out.str(2, env!("CARGO_PKG_VERSION"));
    });
    let scope = scope.as_slice();
    // Two lengths with their tags, of ten bytes at most.
    out.headed(resource.len() + scope.len() + 2 * 11, write, |head, signals| {
        let of_scope = scope.len() + signals;
        head.length(1, resource.len() + 1 + Writer::width(of_scope as u64) + of_scope);
        head.raw(resource);
        head.length(2, of_scope);
        head.raw(scope);
    });
}

/// The resource, written once: it is the same in every request.
pub(crate) fn resource(resource: &Resource) -> Vec<u8> {
    let mut out = Writer::default();
    out.message(1, |out| {
        for (key, value) in resource.attributes() {
            attribute(out, 1, key, AttributeValue::from(value));
        }
    });
    out.as_slice().to_vec()
}
