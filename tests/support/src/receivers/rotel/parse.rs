//! What Rotel prints, read back.
//!
//! ```text
//! Span #0
//!     Trace ID       : b0c46e9115eb8efc8acfe03d5e8f28df
//!     ..
//! Attributes:
//!      -> tasker.attempt_number: Int(1)
//! Events:
//! SpanEvent #0
//!      -> Name: exception
//!      -> Attributes::
//!           -> exception.message: Str(no answer)
//! ```
//! Texts are printed as they are, so that they may go on for several lines: a value ends with a `)` before a line that begins
//! as lines of this form do.

use crate::span::{Attributes, Kind, Link, ReceivedSpan, SpanEvent, StatusCode, Value};

/// Which attributes are being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Resource,
    Scope,
    Span,
    Event,
    Link,
}

pub(super) fn spans(printed: &str) -> Result<Vec<ReceivedSpan>, String> {
    let mut spans: Vec<ReceivedSpan> = Vec::new();
    let mut template = ReceivedSpan::default();
    let mut place = Place::Resource;
    for line in lines(printed) {
        let line = line.as_str();
        let wrong = || format!("a line that this kit does not know: {line:?}");
        if is_numbered(line, "ResourceSpans #") {
            template = ReceivedSpan::default();
            place = Place::Resource;
        } else if is_numbered(line, "ScopeSpans #") {
            place = Place::Scope;
        } else if let Some(scope) = line.strip_prefix("InstrumentationScope ") {
            let (name, version) = scope.split_once(' ').unwrap_or((scope, ""));
            name.clone_into(&mut template.scope_name);
            version.clone_into(&mut template.scope_version);
        } else if is_numbered(line, "Span #") {
            spans.push(template.clone());
            place = Place::Span;
        } else if is_numbered(line, "SpanEvent #") {
            spans.last_mut().ok_or_else(wrong)?.events.push(SpanEvent::default());
            place = Place::Event;
        } else if is_numbered(line, "SpanLink #") {
            spans.last_mut().ok_or_else(wrong)?.links.push(Link::default());
            place = Place::Link;
        } else if let Some(attribute) = line.strip_prefix("          -> ") {
            let span = spans.last_mut().ok_or_else(wrong)?;
            let attributes = match place {
                Place::Event => &mut span.events.last_mut().ok_or_else(wrong)?.attributes,
                Place::Link => &mut span.links.last_mut().ok_or_else(wrong)?.attributes,
                _ => return Err(wrong()),
            };
            insert(attributes, attribute)?;
        } else if let Some(pair) = line.strip_prefix("     -> ") {
            match (place, spans.last_mut()) {
                (Place::Resource, _) => insert(&mut template.resource, pair)?,
                (Place::Scope, _) => {}
                (Place::Span, Some(span)) => insert(&mut span.attributes, pair)?,
                (Place::Event, Some(span)) => event(span.events.last_mut().ok_or_else(wrong)?, pair)?,
                (Place::Link, Some(span)) => link(span.links.last_mut().ok_or_else(wrong)?, pair)?,
                (_, None) => return Err(wrong()),
            }
        } else if let Some((name, value)) = line.split_once(':')
            && let Some(span) = spans.last_mut()
        {
            fact(span, name.trim(), value.trim_start()).ok_or_else(wrong)?;
        }
    }
    Ok(spans)
}

/// The lines, those of one value joined.
fn lines(printed: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let is_open = |before: Option<&String>, line: &str| {
        let Some(before) = before else { return false };
        let is_attribute = before.trim_start().starts_with("-> ") && value_of(before).is_some();
        if is_attribute && !before.ends_with(')') {
            return true;
        }
        let is_text = is_attribute || before.starts_with("    Status message :") || before.starts_with("    Name ");
        is_text && !is_beginning(line)
    };
    for line in printed.lines() {
        if line.starts_with('\u{1b}') {
            continue; // its own log
        }
        if is_open(lines.last(), line)
            && let Some(before) = lines.last_mut()
        {
            before.push('\n');
            before.push_str(line);
        } else {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The value of a line with an attribute: what begins with its type.
fn value_of(line: &str) -> Option<&str> {
    let value = line.split_once(": ")?.1;
    is_value(value).then_some(value)
}

fn is_value(text: &str) -> bool {
    ["Str(", "Int(", "Double(", "Bool(", "Slice(", "Map(", "Bytes("].iter().any(|kind| text.starts_with(kind))
}

fn is_beginning(line: &str) -> bool {
    const WORDS: [&str; 17] = [
        "     -> ",
        "          -> ",
        "Resource SchemaURL:",
        "Resource attributes:",
        "ScopeSpans SchemaURL:",
        "InstrumentationScope ",
        "Start time: ",
        "End time: ",
        "Attributes:",
        "Events:",
        "Links:",
        "    Trace ID       : ",
        "    Parent ID      : ",
        "    ID             : ",
        "    Kind           : ",
        "    Status code    : ",
        "    Status message :",
    ];
    WORDS.iter().any(|word| line.starts_with(word))
        || ["ResourceSpans #", "ScopeSpans #", "Span #", "SpanEvent #", "SpanLink #"]
            .iter()
            .any(|w| is_numbered(line, w))
}

fn is_numbered(line: &str, word: &str) -> bool {
    line.strip_prefix(word).is_some_and(|number| number.parse::<u32>().is_ok())
}

fn fact(span: &mut ReceivedSpan, name: &str, value: &str) -> Option<()> {
    match name {
        "Trace ID" => value.clone_into(&mut span.trace_id),
        "Parent ID" => value.clone_into(&mut span.parent_span_id),
        "ID" => value.clone_into(&mut span.span_id),
        "Name" => value.clone_into(&mut span.name),
        "Kind" => span.kind = Kind::named(value)?,
        "Start time" => span.start = value.parse().ok()?,
        "End time" => span.end = value.parse().ok()?,
        "Status code" => span.status = StatusCode::named(value)?,
        "Status message" => value.clone_into(&mut span.status_message),
        _ => {}
    }
    Some(())
}

fn event(event: &mut SpanEvent, pair: &str) -> Result<(), String> {
    let (name, value) = split(pair)?;
    match name {
        "Name" => value.clone_into(&mut event.name),
        "Timestamp" => event.time = value.parse().map_err(|_| format!("a time that is no number: {pair:?}"))?,
        _ => {}
    }
    Ok(())
}

fn link(link: &mut Link, pair: &str) -> Result<(), String> {
    let (name, value) = split(pair)?;
    match name {
        "Trace ID" => value.clone_into(&mut link.trace_id),
        "ID" => value.clone_into(&mut link.span_id),
        "TraceState" => value.clone_into(&mut link.trace_state),
        _ => {}
    }
    Ok(())
}

fn split(pair: &str) -> Result<(&str, &str), String> {
    let (name, value) = pair.split_once(':').ok_or_else(|| format!("no name: {pair:?}"))?;
    Ok((name, value.trim_start()))
}

fn insert(attributes: &mut Attributes, pair: &str) -> Result<(), String> {
    let (name, text) = pair.split_once(": ").ok_or_else(|| format!("no attribute: {pair:?}"))?;
    attributes.insert(name.to_owned(), value(text).ok_or_else(|| format!("no value: {pair:?}"))?);
    Ok(())
}

fn value(text: &str) -> Option<Value> {
    let (kind, content) = text.strip_suffix(')')?.split_once('(')?;
    Some(match kind {
        "Str" => Value::Str(content.to_owned()),
        "Int" => Value::Int(content.parse().ok()?),
        "Double" => Value::Double(content.parse().ok()?),
        "Bool" => Value::Bool(content.parse().ok()?),
        "Slice" => Value::List(list(content)?),
        _ => return None,
    })
}

/// Values with `, ` between them, which may stand in texts, too: only before the type of a next value it ends one.
fn list(content: &str) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let end = rest.match_indices("), ").find(|(place, _)| is_value(&rest[place + 3..]));
        let end = end.map_or(rest.len(), |(place, _)| place + 1);
        values.push(value(&rest[..end])?);
        rest = rest[end..].strip_prefix(", ").unwrap_or_default();
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_commas_and_lists() {
        assert_eq!(
            value("Slice(Str(a, b), Int(7), Slice(Bool(true)))"),
            Some(Value::List(vec!["a, b".into(), Value::Int(7), Value::List(vec![true.into()])]))
        );
        assert_eq!(value("Slice()"), Some(Value::List(Vec::new())));
        assert_eq!(value("Str(a (b))"), Some("a (b)".into()));
        assert_eq!(value("Str(a"), None);
    }

    #[test]
    fn texts_go_on_for_several_lines() {
        let printed = "ResourceSpans #0\nResource attributes:\n     -> service.name: Str(shop)\nScopeSpans #0\n\
                       InstrumentationScope tasker 0.1\nSpan #0\n    ID             : 0102\n    Status message : one\n  two: three\n\
                       Attributes:\n     -> a: Str(x (y\nSpan #7\n)\n     -> b: Int(1)\n";
        let [span] = &spans(printed).unwrap()[..] else { panic!() };
        assert_eq!(span.status_message, "one\n  two: three");
        assert_eq!(span.attributes["a"], "x (y\nSpan #7\n".into());
        assert_eq!(span.attributes["b"], Value::Int(1));
        assert_eq!((span.resource["service.name"].clone(), span.scope_version.as_str()), ("shop".into(), "0.1"));
    }
}
