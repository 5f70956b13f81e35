//! The orders file: reading it, and checking it so thoroughly that the workflow can rely on what it gets.
//!
//! A mistake is reported with file, line and field, all orders' mistakes at once. Values are never quoted (see `json`).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::{Currency, Line, Order, Secret};
use crate::json::{Mistake, Node, is_name, quoted};

/// More than the shop has of anything.
const MOST_PIECES: u64 = 10_000;
/// One hundred million, in the smallest unit of any currency: sums of it cannot overflow.
const HIGHEST_PRICE: u64 = 10_000_000_000;
/// So many mistakes are listed; whoever has more begins with these.
const MOST_MISTAKES: usize = 20;

/// Why there is nothing to process.
#[derive(Debug)]
pub(crate) enum InputError {
    Unreadable { file: PathBuf, source: io::Error },
    Mistakes { file: PathBuf, mistakes: Vec<Mistake> },
    NoSuchOrder { file: PathBuf, id: String },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, source } => write!(f, "error: {}: {source}", file.display()),
            Self::NoSuchOrder { file, id } => {
                write!(f, "error: {}: no order has the id {}", file.display(), quoted(id))
            }
            Self::Mistakes { file, mistakes } => {
                for (index, mistake) in mistakes.iter().take(MOST_MISTAKES).enumerate() {
                    let Mistake { line, column, field, problem } = mistake;
                    let separator = if field.is_empty() { "" } else { ": " };
                    let newline = if index == 0 { "" } else { "\n" };
                    write!(f, "{newline}error: {}:{line}:{column}: {field}{separator}{problem}", file.display())?;
                }
                match mistakes.len().saturating_sub(MOST_MISTAKES) {
                    0 => Ok(()),
                    more => write!(f, "\nerror: {}: {more} more", file.display()),
                }
            }
        }
    }
}

/// Reads the orders of a file; of `only` one of them, when asked for.
pub(crate) fn load(file: &Path, only: Option<&str>) -> Result<Vec<Order>, InputError> {
    let bytes = std::fs::read(file).map_err(|source| InputError::Unreadable { file: file.to_owned(), source })?;
    let mut orders = parse(&bytes).map_err(|mistakes| InputError::Mistakes { file: file.to_owned(), mistakes })?;
    if let Some(id) = only {
        orders.retain(|order| order.id == id);
        if orders.is_empty() {
            return Err(InputError::NoSuchOrder { file: file.to_owned(), id: id.to_owned() });
        }
    }
    Ok(orders)
}

fn parse(bytes: &[u8]) -> Result<Vec<Order>, Vec<Mistake>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        vec![Mistake { line, column: 1, field: String::new(), problem: "not valid UTF-8".to_owned() }]
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text); // some editors put a byte order mark first
    let nodes = Node::of_file(text, "orders").and_then(|root| root.list()).map_err(|mistake| vec![mistake])?;

    let mut orders = Vec::new();
    let mut mistakes = Vec::new();
    let mut seen = HashMap::new();
    for node in nodes {
        match order(&node, &mut seen) {
            Ok(order) => orders.push(order),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() { Ok(orders) } else { Err(mistakes) }
}

/// One order. `seen` are the lines in which the ids before it stand.
fn order(node: &Node<'_>, seen: &mut HashMap<String, usize>) -> Result<Order, Mistake> {
    let [id, cart_id, customer, payment, lines] = node.object(["id", "cart_id", "customer", "payment", "lines"])?;
    let [name, email] = customer.object(["name", "email"])?;
    let [card_number, currency] = payment.object(["card_number", "currency"])?;

    let id_text = id_text(&id)?;
    if let Some(line) = seen.insert(id_text.clone(), id.mistake("").line) {
        return Err(id.mistake(format!("{} is the id of the order in line {line}, too", quoted(&id_text))));
    }
    let line_nodes = lines.list()?;
    if line_nodes.is_empty() {
        return Err(lines.mistake("must have at least one line"));
    }
    Ok(Order {
        id: id_text,
        cart_id: cart_id.whole_number(1, 9_999_999_999)?,
        customer: display_text(&name)?,
        email: email_address(&email)?,
        card_number: digits_of_card(&card_number)?,
        currency: currency_code(&currency)?,
        lines: line_nodes.iter().zip(1..).map(line).collect::<Result<_, _>>()?,
    })
}

fn line((node, number): (&Node<'_>, usize)) -> Result<Line, Mistake> {
    let [sku, name, quantity, unit_price] = node.object(["sku", "name", "quantity", "unit_price"])?;
    Ok(Line {
        number,
        sku: id_text(&sku)?,
        name: display_text(&name)?,
        quantity: quantity.whole_number(1, MOST_PIECES)?,
        unit_price: unit_price.whole_number(0, HIGHEST_PRICE)?,
    })
}

fn id_text(node: &Node<'_>) -> Result<String, Mistake> {
    let text = node.text()?;
    if is_name(&text) {
        Ok(text)
    } else {
        Err(node.mistake("must be a letter and then letters, digits, - or _ (32 at most)"))
    }
}

/// A text that goes to screens and logs: it holds nothing that moves a cursor, and nothing that is not to be seen.
fn display_text(node: &Node<'_>) -> Result<String, Mistake> {
    let text = node.text()?;
    if text.trim().is_empty() {
        Err(node.mistake("must not be empty"))
    } else if text.chars().count() > 80 {
        Err(node.mistake("must have at most 80 characters"))
    } else if text.chars().any(char::is_control) {
        Err(node.mistake("must not contain control characters"))
    } else if text.contains('@') || text.chars().filter(char::is_ascii_digit).count() >= 12 {
        Err(node.mistake("looks like an e-mail address or a card number"))
    } else {
        Ok(text)
    }
}

fn email_address(node: &Node<'_>) -> Result<Secret, Mistake> {
    let text = node.text()?;
    match text.split_once('@') {
        Some((local, domain)) if !local.is_empty() && domain.contains('.') && !text.contains(char::is_whitespace) => {
            Ok(Secret::new(text))
        }
        _ => Err(node.mistake("must be an e-mail address")),
    }
}

/// The digits of a card number, as people write it: with spaces or hyphens, or without.
fn digits_of_card(node: &Node<'_>) -> Result<Secret, Mistake> {
    let digits: String = node.text()?.chars().filter(|char| !matches!(char, ' ' | '-')).collect();
    if !(12..=19).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(node.mistake("must be a card number of 12 to 19 digits"));
    }
    // The check digit (Luhn): from the right, every second digit counts double, and its digits are added up.
    let sum: u32 = digits
        .bytes()
        .rev()
        .map(|byte| u32::from(byte - b'0'))
        .zip([1, 2].into_iter().cycle())
        .map(|(digit, weight)| (digit * weight) / 10 + (digit * weight) % 10)
        .sum();
    if sum.is_multiple_of(10) { Ok(Secret::new(digits)) } else { Err(node.mistake("has a wrong check digit")) }
}

fn currency_code(node: &Node<'_>) -> Result<Currency, Mistake> {
    let text = node.text()?;
    Currency::ALL.into_iter().find(|currency| currency.code() == text).ok_or_else(|| {
        let known = Currency::ALL.map(Currency::code).join(" ");
        node.mistake(format!("unknown currency {}; known are {known}", quoted(&text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"[
  {
    "id": "A-1",
    "cart_id": 7,
    "customer": { "name": "Zoë", "email": "z.o@example.com" },
    "payment": { "card_number": "4242 4242-4242 4242", "currency": "EUR" },
    "lines": [
      { "sku": "TEA-1", "name": "茶", "quantity": 2, "unit_price": 150 }
    ]
  }
]"#;

    /// What is said of the good file with a part of it replaced.
    fn said(part: &str, replacement: &str) -> String {
        assert!(GOOD.contains(part), "{part}");
        let mistakes = parse(GOOD.replacen(part, replacement, 1).as_bytes()).unwrap_err();
        InputError::Mistakes { file: "o.json".into(), mistakes }.to_string()
    }

    #[test]
    fn a_good_file_is_read() {
        let orders = parse(GOOD.as_bytes()).unwrap();
        assert_eq!(orders.len(), 1);
        assert_eq!(orders[0].card_number.reveal(), "4242424242424242");
        assert_eq!(orders[0].total().to_string(), "3.00 EUR");
        assert_eq!(parse(b"[]").unwrap().len(), 0);
        assert_eq!(parse(format!("\u{feff}{GOOD}").as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn every_mistake_names_file_line_and_field() {
        for (part, replacement, says) in [
            ("2, ", "0, ", "o.json:8:50: orders[0].lines[0].quantity: must be at least 1"),
            ("150", "-150", "o.json:8:67: orders[0].lines[0].unit_price: must not be negative (at least 0)"),
            ("150", "1.5", "o.json:8:67: orders[0].lines[0].unit_price: must be a whole number"),
            ("\"cart_id\": 7,", "", "o.json:2:3: orders[0].cart_id: is missing"),
            ("7,", "\"7\",", "o.json:4:16: orders[0].cart_id: must be a number, found a string"),
            ("\"A-1\"", "17", "o.json:3:11: orders[0].id: must be a string, found a number"),
            ("\"Zoë\"", "\" \"", "o.json:5:27: orders[0].customer.name: must not be empty"),
            ("Zoë", "\\u001b[2J", "o.json:5:27: orders[0].customer.name: must not contain control characters"),
            ("z.o@", "", "o.json:5:43: orders[0].customer.email: must be an e-mail address"),
            ("4242\"", "4241\"", "o.json:6:33: orders[0].payment.card_number: has a wrong check digit"),
            ("EUR", "EUX", "o.json:6:68: orders[0].payment.currency: unknown currency `EUX`; known are"),
            ("\"sku\"", "\"sko\"", "o.json:8:16: orders[0].lines[0]: unknown field `sko`; known are sku, name"),
            ("[\n      {", "[], \"x\": [\n {", "o.json:7:23: orders[0]: unknown field `x`"),
            ("},\n    \"lines\"", "}\n    \"lines\"", "o.json:7:5: not valid JSON: expected `,` or `}`"),
        ] {
            let text = said(part, replacement);
            assert!(text.starts_with(&format!("error: {says}")), "{part} -> {replacement}: {text}");
        }
    }

    #[test]
    fn empty_lines_and_second_ids_are_mistakes() {
        let start = GOOD.find("[\n      {").unwrap();
        let empty = format!("{}[] }} ]", &GOOD[..start]);
        let mistakes = parse(empty.as_bytes()).unwrap_err();
        assert_eq!((mistakes[0].line, mistakes[0].field.as_str()), (7, "orders[0].lines"));

        let order = GOOD.trim_matches(['[', ']', '\n']);
        let mistakes = parse(format!("[{order},\n{order}]").as_bytes()).unwrap_err();
        assert_eq!(mistakes[0].field, "orders[1].id");
        assert_eq!(mistakes[0].problem, "`A-1` is the id of the order in line 2, too");
    }

    #[test]
    fn nothing_confidential_is_quoted() {
        let card = "4242424242424242";
        for part in ["\"A-1\"", "7", "\"Zoë\"", "\"z.o@example.com\"", "\"EUR\"", "\"TEA-1\"", "\"茶\"", "2", "150"] {
            for value in [card.to_owned(), format!("\"{card}\""), "\"jane.doe@example.com\"".to_owned()] {
                if let Err(mistakes) = parse(GOOD.replacen(part, &value, 1).as_bytes()) {
                    let text = InputError::Mistakes { file: "o.json".into(), mistakes }.to_string();
                    assert!(!text.contains("4242") && !text.contains("jane"), "{text}");
                }
            }
        }
    }
}
