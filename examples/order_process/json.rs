//! JSON that knows its places: every value can say in which line it stands and which field it is, so that a mistake in
//! it can be reported with both.
//!
//! Errors describe what is wrong and never quote the value: the file holds card numbers and e-mail addresses, and one
//! of them may stand where another field was meant. What an order consists of is the business of `orders`.

use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// As in `orders[3].lines[0].quantity`; empty where no field can be named.
    pub(crate) field: String,
    pub(crate) problem: String,
}

/// A value in its file.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    file: &'a str,
    raw: &'a RawValue,
    field: String,
}

impl<'a> Node<'a> {
    /// The one value that `file` consists of, under the name that fields of it begin with.
    pub(crate) fn of_file(file: &'a str, name: &str) -> Result<Self, Mistake> {
        match serde_json::from_str(file) {
            Ok(raw) => Ok(Self { file, raw, field: name.to_owned() }),
            Err(error) => {
                let text = error.to_string();
                let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
                Err(Mistake {
                    line: error.line(),
                    column: error.column().max(1),
                    field: String::new(),
                    problem: format!("not valid JSON: {problem}"),
                })
            }
        }
    }

    /// A mistake at this value.
    pub(crate) fn mistake(&self, problem: impl Into<String>) -> Mistake {
        // The raw value is a slice of the file: the distance of their beginnings is the value's position.
        let offset = self.raw.get().as_ptr().addr() - self.file.as_ptr().addr();
        let before = &self.file[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Mistake {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            field: self.field.clone(),
            problem: problem.into(),
        }
    }

    fn wrong_type(&self, expected: &str) -> Mistake {
        let found = match self.raw.get().as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        };
        self.mistake(format!("must be {expected}, found {found}"))
    }

    /// The elements of a list.
    pub(crate) fn list(&self) -> Result<Vec<Self>, Mistake> {
        let elements: Vec<&RawValue> = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong_type("a list"))?;
        let element = |(index, raw)| Self { file: self.file, raw, field: format!("{}[{index}]", self.field) };
        Ok(elements.into_iter().enumerate().map(element).collect())
    }

    /// The values of an object's fields, in the order of `fields`. Each must be there, and no other.
    pub(crate) fn object<const N: usize>(&self, fields: [&str; N]) -> Result<[Self; N], Mistake> {
        let pairs = serde_json::Deserializer::from_str(self.raw.get())
            .deserialize_map(Pairs)
            .map_err(|_| self.wrong_type("an object"))?;
        let mut found = [const { None }; N];
        for (name, raw) in pairs {
            let Some(place) = fields.iter().position(|field| *field == name) else {
                let value = Self { file: self.file, raw, field: self.field.clone() };
                return Err(value.mistake(format!("unknown field {}; known are {}", quoted(&name), fields.join(", "))));
            };
            let value = Self { file: self.file, raw, field: format!("{}.{name}", self.field) };
            if found[place].is_some() {
                return Err(value.mistake("is given twice"));
            }
            found[place] = Some(value);
        }
        if let Some(absent) = found.iter().position(Option::is_none) {
            let mut mistake = self.mistake("is missing");
            mistake.field = format!("{}.{}", self.field, fields[absent]);
            return Err(mistake);
        }
        Ok(found.map(|value| value.unwrap_or_else(|| self.clone())))
    }

    /// A text.
    pub(crate) fn text(&self) -> Result<String, Mistake> {
        if !self.raw.get().starts_with('"') {
            return Err(self.wrong_type("a string"));
        }
        serde_json::from_str(self.raw.get()).map_err(|_| self.mistake("is not a valid string"))
    }

    /// A whole number within the limits.
    pub(crate) fn whole_number(&self, least: u64, most: u64) -> Result<u64, Mistake> {
        let digits = self.raw.get();
        if !digits.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(self.wrong_type("a number"));
        }
        if digits.contains(['.', 'e', 'E']) {
            return Err(self.mistake("must be a whole number"));
        }
        if digits.starts_with('-') && digits != "-0" {
            return Err(self.mistake(format!("must not be negative (at least {least})")));
        }
        match digits.trim_start_matches('-').parse() {
            Ok(number) if number < least => Err(self.mistake(format!("must be at least {least}"))),
            Ok(number) if number <= most => Ok(number),
            _ => Err(self.mistake(format!("must be at most {most}"))),
        }
    }
}

/// A name from the file, if it has the shape of one: what is shown can be neither a card number nor an e-mail address.
pub(crate) fn quoted(name: &str) -> String {
    if is_name(name) { format!("`{name}`") } else { "(not shown: not a name)".to_owned() }
}

/// A letter, then letters, digits, `-` and `_`: at most 32, of which at most 11 are digits.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '-' || char == '_')
        && text.chars().filter(char::is_ascii_digit).count() < 12
}

/// Reads an object as it stands: in order, and with fields that are given twice.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(file: &str) -> Node<'_> {
        Node::of_file(file, "orders").unwrap()
    }

    #[test]
    fn a_mistake_names_line_column_and_field() {
        let file = "[\n  {\"ä\": {\"b\": [1,\n   -2]}}\n]";
        let [object] = &root(file).list().unwrap()[..] else { panic!() };
        let [inner] = object.object(["ä"]).unwrap();
        let [list] = inner.object(["b"]).unwrap();
        let mistake = list.list().unwrap()[1].whole_number(1, 9).unwrap_err();
        assert_eq!((mistake.line, mistake.column), (3, 4));
        assert_eq!(mistake.field, "orders[0].ä.b[1]");
        assert_eq!(mistake.problem, "must not be negative (at least 1)");
    }

    #[test]
    fn broken_json_names_the_place_and_no_value() {
        let mistake = Node::of_file("[\n \"4242424242424242\" 4]", "orders").unwrap_err();
        assert_eq!(mistake.line, 2);
        assert_eq!(mistake.problem, "not valid JSON: expected `,` or `]`");
    }

    #[test]
    fn objects_are_complete_and_have_nothing_else() {
        let problem = |file: &str| {
            let mistake = root(file).object(["a", "b"]).unwrap_err();
            format!("{}: {}", mistake.field, mistake.problem)
        };
        assert_eq!(problem(r#"{"a": 1}"#), "orders.b: is missing");
        assert_eq!(problem(r#"{"a": 1, "a": 2}"#), "orders.a: is given twice");
        assert_eq!(problem(r#"{"c": 1}"#), "orders: unknown field `c`; known are a, b");
        assert!(!problem(r#"{"4242424242424242": 1}"#).contains("4242"));
        assert_eq!(problem("[]"), "orders: must be an object, found a list");
    }

    #[test]
    fn numbers_keep_to_their_limits() {
        let problem = |file: &str| root(file).whole_number(1, 10).map_err(|mistake| mistake.problem);
        assert_eq!(problem("10"), Ok(10));
        for (file, says) in [
            ("0", "must be at least 1"),
            ("-0", "must be at least 1"),
            ("11", "must be at most 10"),
            ("99999999999999999999999", "must be at most 10"),
            ("1.5", "must be a whole number"),
            ("\"4242\"", "must be a number, found a string"),
            ("null", "must be a number, found null"),
        ] {
            assert_eq!(problem(file), Err(says.to_owned()), "{file}");
        }
    }
}
