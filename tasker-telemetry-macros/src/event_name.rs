//! The syntax of event names and of subscriptions: what is wrong with one, and what to write instead.
//!
//! Grammar: name = segment ("." segment)+ ; segment = [a-z] [a-z0-9_]*
//!          subscription = name | segment ("." segment)* ".*" | "*"

use proc_macro2::Ident;
use syn::Token;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;

use crate::diagnostics::nearest;
use crate::snake_case::snake_case;
use crate::system_events::{self, RESERVED, SYSTEM_EVENTS, SystemEvent};

/// What a string in `#[subscribe(..)]` stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// `"*"` or `"task.*"`
    Wildcard,
    /// One of the library's events.
    System(&'static SystemEvent),
    /// An event of the user's.
    Custom,
}

/// Checks the name that an event of the user's is given.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.contains('*') {
        return Err("an event has one name: `*` can only stand in `#[subscribe(..)]`".to_owned());
    }
    check_syntax(name)?;
    let (namespace, rest) = name.split_once('.').unwrap_or((name, ""));
    if RESERVED.contains(&namespace) {
        return Err(format!(
            "`{namespace}` is reserved for the library's own events: choose another namespace, e.g. \"order.{rest}\""
        ));
    }
    Ok(())
}

/// Reads a string of `#[subscribe(..)]`.
pub(crate) fn read_subscription(text: &str) -> Result<Subscription, String> {
    if text == "*" {
        return Ok(Subscription::Wildcard);
    }
    if let Some(namespace) = text.strip_suffix(".*").filter(|namespace| !namespace.contains('*')) {
        return check_wildcard(namespace).map(|()| Subscription::Wildcard);
    }
    if text.contains('*') {
        return Err("`*` stands for all events, or for whole segments at the end: write \"*\" or \"task.*\"".to_owned());
    }
    if !text.contains('.') {
        return Err(without_namespace(text));
    }
    check_syntax(text)?;
    match text.split_once('.') {
        Some(("test", _)) => Err("`test` is reserved, and no event has such a name".to_owned()),
        Some((namespace, _)) if RESERVED.contains(&namespace) => match system_events::find(text) {
            Some(event) => Ok(Subscription::System(event)),
            None => Err(unknown_system_event(text, namespace)),
        },
        _ => Ok(Subscription::Custom),
    }
}

/// Reads on in a name whose quotes were forgotten, `task.failed`, of which `first` was read already.
pub(crate) fn read_unquoted(first: &str, input: ParseStream<'_>) -> syn::Result<String> {
    let mut name = first.to_owned();
    while input.parse::<Option<Token![.]>>()?.is_some() {
        name.push('.');
        if input.parse::<Option<Token![*]>>()?.is_some() {
            name.push('*');
        } else {
            name.push_str(&input.call(Ident::parse_any)?.to_string());
        }
    }
    Ok(name)
}

/// The number that stands for a name where only a number can: `Named<TAG>` ties a string to the type of that event.
///
/// FNV-1a of 64 bits: derive and subscription may be compiled by different versions of the compiler, not of this function.
pub(crate) fn name_tag(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Checks what stands before `.*`.
fn check_wildcard(namespace: &str) -> Result<(), String> {
    if let Err(right) = check_segments(namespace) {
        return Err(format!("names of events are lower case words with dots between them: write \"{right}.*\""));
    }
    let first = namespace.split('.').next().unwrap_or(namespace);
    if RESERVED.contains(&first) && system_events::under(namespace).next().is_none() {
        return Err(format!("there is no system event under \"{namespace}\"{}", nearest_wildcard(first)));
    }
    Ok(())
}

fn nearest_wildcard(first: &str) -> String {
    if system_events::under(first).next().is_some() {
        format!("; did you mean \"{first}.*\"?")
    } else {
        ": it is reserved".to_owned()
    }
}

/// What is wrong with a subscription that has no dot.
fn without_namespace(text: &str) -> String {
    let word = snake_case(text);
    if system_events::under(&word).next().is_some() {
        return format!("\"{text}\" is a namespace: for all its events write \"{word}.*\"");
    }
    let same_end = ending_in(&word);
    if same_end.is_empty() {
        missing_namespace(text)
    } else {
        format!("\"{text}\" has no namespace; did you mean {}?", same_end.join(" or "))
    }
}

/// The system events with that last segment, in quotes.
fn ending_in(segment: &str) -> Vec<String> {
    let names = SYSTEM_EVENTS.iter().map(|event| event.name);
    names.filter(|name| name.rsplit('.').next() == Some(segment)).map(|name| format!("\"{name}\"")).collect()
}

fn unknown_system_event(text: &str, namespace: &str) -> String {
    // Compared without the namespace: it is right, and would make everything look near.
    let end = |name: &'static str| &name[namespace.len() + 1..];
    let ends: Vec<&str> = system_events::under(namespace).map(end).collect();
    if let Some(end) = nearest(&text[namespace.len() + 1..], &ends) {
        return format!("there is no system event \"{text}\"; did you mean \"{namespace}.{end}\"?");
    }
    let (_, last) = text.rsplit_once('.').unwrap_or((namespace, text));
    let elsewhere = ending_in(last);
    if !elsewhere.is_empty() {
        return format!("there is no system event \"{text}\"; did you mean {}?", elsewhere.join(" or "));
    }
    let known: Vec<String> = system_events::under(namespace).map(|name| format!("\"{name}\"")).collect();
    format!("there is no system event \"{text}\"; known: {}", known.join(", "))
}

fn check_syntax(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("the name is empty: write \"namespace.name\", e.g. \"payment.risk_flagged\"".to_owned());
    }
    if !name.contains('.') {
        return Err(missing_namespace(name));
    }
    check_segments(name)
        .map_err(|right| format!("names of events are lower case words with dots between them: write \"{right}\""))
}

fn missing_namespace(name: &str) -> String {
    let right = corrected(name);
    format!("\"{name}\" has no namespace: write \"namespace.{right}\", e.g. \"payment.{right}\"")
}

/// Whether all segments are right; the error is the name with right ones.
fn check_segments(name: &str) -> Result<(), String> {
    if name.split('.').all(is_segment) { Ok(()) } else { Err(corrected(name)) }
}

fn is_segment(segment: &str) -> bool {
    segment.starts_with(|c: char| c.is_ascii_lowercase())
        && segment.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The nearest right name: lower case, `_` for what may not stand there, no empty segment, none that starts with a digit.
fn corrected(name: &str) -> String {
    let segments = name.split('.').map(|segment| {
        let word: String =
            snake_case(segment.trim()).chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let word = word.trim_matches('_').to_owned();
        if word.starts_with(|c: char| c.is_ascii_digit()) { format!("event_{word}") } else { word }
    });
    let segments: Vec<String> = segments.filter(|segment| !segment.is_empty()).collect();
    match &*segments {
        [] => "name".to_owned(),
        [only] if name.contains('.') => format!("{only}.name"),
        _ => segments.join("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        read_subscription(text).expect_err(text)
    }

    #[test]
    fn names_of_events() {
        assert_eq!(check_name("payment.risk_flagged"), Ok(()));
        assert_eq!(check_name("shop2.payment.risk_flagged"), Ok(()));
        for (name, advice) in [
            ("RiskFlagged", "write \"namespace.risk_flagged\", e.g. \"payment.risk_flagged\""),
            ("Payment.Risk", "write \"payment.risk\""),
            ("payment.risk-flagged", "write \"payment.risk_flagged\""),
            ("payment..risk", "write \"payment.risk\""),
            ("payment.", "write \"payment.name\""),
            ("payment.3ds", "write \"payment.event_3ds\""),
            ("payment.risk flagged", "write \"payment.risk_flagged\""),
            ("", "write \"namespace.name\""),
            ("payment.*", "`*` can only stand in `#[subscribe(..)]`"),
            (
                "task.done",
                "`task` is reserved for the library's own events: choose another namespace, e.g. \"order.done\"",
            ),
            ("test.done", "\"order.done\""),
        ] {
            let message = check_name(name).expect_err(name);
            assert!(message.contains(advice), "{name}: {message}");
        }
    }

    #[test]
    fn subscriptions() {
        assert_eq!(read_subscription("*"), Ok(Subscription::Wildcard));
        assert_eq!(read_subscription("task.*"), Ok(Subscription::Wildcard));
        assert_eq!(read_subscription("observability.step.*"), Ok(Subscription::Wildcard));
        assert_eq!(read_subscription("shop.payment.*"), Ok(Subscription::Wildcard));
        assert_eq!(read_subscription("payment.risk_flagged"), Ok(Subscription::Custom));
        assert!(
            matches!(read_subscription("task.failed"), Ok(Subscription::System(event)) if event.payload == "Failed")
        );
    }

    #[test]
    fn unknown_system_events_are_suggested() {
        assert_eq!(mistake("task.faild"), "there is no system event \"task.faild\"; did you mean \"task.failed\"?");
        assert_eq!(
            mistake("task.started"),
            "there is no system event \"task.started\"; did you mean \"step.started\"?"
        );
        assert!(mistake("observability.step.elephants").contains("known: \"observability.task.enqueue\", "));
        assert_eq!(mistake("failed"), "\"failed\" has no namespace; did you mean \"task.failed\" or \"step.failed\"?");
        assert_eq!(mistake("task"), "\"task\" is a namespace: for all its events write \"task.*\"");
        assert!(mistake("Task.Failed").contains("write \"task.failed\""));
        assert!(mistake("test.done").contains("reserved"));
    }

    #[test]
    fn tags_are_fnv_1a() {
        assert_eq!(name_tag(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(name_tag("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(name_tag("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn wildcards_stand_for_whole_segments() {
        for text in ["task*", "task.fa*", "*.failed", "**", "task.*.*", "task.*.failed"] {
            assert!(mistake(text).contains("write \"*\" or \"task.*\""), "{text}");
        }
        assert_eq!(mistake("task.sub.*"), "there is no system event under \"task.sub\"; did you mean \"task.*\"?");
        assert!(mistake("Payment.*").contains("write \"payment.*\""));
        assert!(mistake("test.*").contains("reserved"));
    }
}
