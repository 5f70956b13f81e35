//! serde's `rename_all` rules, as they apply to the fields of a struct.

/// A rule that changes a field's name; the others leave it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rename {
    Upper,
    Pascal,
    Camel,
    Kebab,
    ScreamingKebab,
}

impl Rename {
    /// The rule of that name; `None` for one that changes nothing.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match name {
            "UPPERCASE" | "SCREAMING_SNAKE_CASE" => Some(Self::Upper),
            "PascalCase" => Some(Self::Pascal),
            "camelCase" => Some(Self::Camel),
            "kebab-case" => Some(Self::Kebab),
            "SCREAMING-KEBAB-CASE" => Some(Self::ScreamingKebab),
            _ => None,
        }
    }

    /// The field's name by this rule.
    pub(crate) fn apply(self, field: &str) -> String {
        match self {
            Self::Upper => field.to_ascii_uppercase(),
            Self::Pascal => pascal(field),
            Self::Camel => {
                let name = pascal(field);
                let first = name.chars().next().map_or(0, char::len_utf8);
                name[..first].to_ascii_lowercase() + &name[first..]
            }
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn pascal(field: &str) -> String {
    let words = field.split('_').filter_map(|word| {
        let first = word.chars().next()?;
        Some(first.to_ascii_uppercase().to_string() + &word[first.len_utf8()..])
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_as_serde_has_them() {
        for (rule, name) in [
            ("lowercase", "card_number"),
            ("snake_case", "card_number"),
            ("UPPERCASE", "CARD_NUMBER"),
            ("SCREAMING_SNAKE_CASE", "CARD_NUMBER"),
            ("PascalCase", "CardNumber"),
            ("camelCase", "cardNumber"),
            ("kebab-case", "card-number"),
            ("SCREAMING-KEBAB-CASE", "CARD-NUMBER"),
        ] {
            let renamed = Rename::of_name(rule).map_or("card_number".to_owned(), |rule| rule.apply("card_number"));
            assert_eq!(renamed, name, "{rule}");
        }
    }
}
