//! Names: what is asked for, in the forms that Rust code has.

use crate::failure::Failure;

/// The first segments that only the library's own events have.
const RESERVED: [&str; 5] = ["task", "step", "workflow", "observability", "test"];

/// A name in both forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// `on_call`
    pub(crate) snake: String,
    /// `OnCall`
    pub(crate) camel: String,
}

impl Name {
    /// From `OnCall`, `on_call` or `on-call`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Err(Failure::wrong(format!("`{text}` cannot be a name: {why}")));
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return wrong("write letters, digits and `_`, such as `OnCall` or `on_call`");
        }
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return wrong("it must begin with a letter");
        }
        let snake = snake_case(text);
        let name = Self { camel: camel_case(&snake), snake };
        if syn::parse_str::<syn::Ident>(&name.snake).is_err() || syn::parse_str::<syn::Ident>(&name.camel).is_err() {
            return wrong("it is a word of the language");
        }
        Ok(name)
    }
}

pub(crate) fn snake_case(text: &str) -> String {
    let mut snake = String::new();
    let characters: Vec<char> = text.chars().collect();
    for (i, &c) in characters.iter().enumerate() {
        if matches!(c, '-' | '_' | '.') {
            if !snake.ends_with('_') && !snake.is_empty() {
                snake.push('_');
            }
            continue;
        }
        let before = i.checked_sub(1).map(|i| characters[i]);
        let begins_word = c.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && characters.get(i + 1).is_some_and(char::is_ascii_lowercase))
            });
        if begins_word && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake.trim_end_matches('_').to_owned()
}

pub(crate) fn camel_case(snake: &str) -> String {
    let words = snake.split(['_', '.']).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect()
}

/// A name as a sentence begins: `Fetch cart`.
pub(crate) fn sentence(snake: &str) -> String {
    let text = snake.replace('_', " ");
    let (first, rest) = text.split_at(text.len().min(1));
    first.to_ascii_uppercase() + rest
}

/// Checks the name of a new event, with the rules of `#[derive(Event)]`.
pub(crate) fn check_event(name: &str) -> Result<(), Failure> {
    let wrong = |why: String| Err(Failure::wrong(format!("`{name}` cannot be an event's name: {why}")));
    let Some((namespace, _)) = name.split_once('.') else {
        return wrong(format!("it needs a namespace, such as `order.{name}`"));
    };
    let is_word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    if !name.split('.').all(is_word) {
        return wrong("write lower case words with dots between them, such as `payment.risk_flagged`".to_owned());
    }
    if RESERVED.contains(&namespace) {
        return wrong(format!("the namespace `{namespace}` is the library's own"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        for (text, snake, camel) in [
            ("OnCall", "on_call", "OnCall"),
            ("on-call", "on_call", "OnCall"),
            ("HTTPProbe", "http_probe", "HttpProbe"),
            ("charge2", "charge2", "Charge2"),
            ("fetch_cart_", "fetch_cart", "FetchCart"),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!((name.snake.as_str(), name.camel.as_str()), (snake, camel));
        }
        for text in ["", "2nd", "a b", "größe", "fn", "../x", "self", "a/b"] {
            assert!(Name::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(sentence("fetch_cart"), "Fetch cart");
    }

    #[test]
    fn events() {
        assert!(check_event("payment.risk_flagged").is_ok() && check_event("a.b.c2").is_ok());
        for name in ["paid", "task.done", "Payment.x", "a..b", "a.", ".a", "a.b-c", "test.x", "a.2"] {
            assert!(check_event(name).is_err(), "{name}");
        }
    }
}
