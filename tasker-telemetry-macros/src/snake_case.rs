//! `RiskFlagged` -> `risk_flagged`.

/// A type's name in snake case: `HTTPError` is `http_error`, `Order2Shipped` is `order2_shipped`.
pub(crate) fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, &c) in chars.iter().enumerate() {
        if c.is_uppercase() {
            let before = index.checked_sub(1).map(|index| chars[index]);
            let ends_an_acronym =
                before.is_some_and(char::is_uppercase) && chars.get(index + 1).is_some_and(|c| c.is_lowercase());
            if before.is_some_and(|c| c.is_lowercase() || c.is_numeric()) || ends_an_acronym {
                snake.push('_');
            }
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted() {
        for (name, snake) in [
            ("RiskFlagged", "risk_flagged"),
            ("HTTPError", "http_error"),
            ("Order2Shipped", "order2_shipped"),
            ("X", "x"),
            ("already_snake", "already_snake"),
            ("Half_Snake", "half_snake"),
            ("ÄußerstWichtig", "äußerst_wichtig"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }
}
