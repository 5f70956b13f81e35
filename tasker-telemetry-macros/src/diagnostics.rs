//! Collects the mistakes of one macro call, so that all of them are reported at once.
//!
//! Also the few sentences every macro shares ("specified more than once", "did you mean").
//! What is right or wrong is decided in each macro's `validate`, not here.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far.
///
/// Must end in [`finish`](Self::finish): in debug builds a collector dropped without it panics,
/// since a mistake that nobody looks at would compile.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    errors: Option<syn::Error>,
    finished: bool,
}

impl Diagnostics {
    /// A collector without mistakes.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a mistake that covers `tokens`.
    pub(crate) fn error(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a mistake at `span`.
    pub(crate) fn error_at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Adds "`word` specified more than once" at the second `word`.
    pub(crate) fn duplicate(&mut self, word: &Ident) {
        self.error(word, format!("`{word}` specified more than once"));
    }

    /// Adds a ready error.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.errors {
            Some(errors) => errors.combine(error),
            None => self.errors = Some(error),
        }
    }

    /// Keeps the error of a parser, or hands out its value.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// All mistakes as one error.
    pub(crate) fn finish(mut self) -> syn::Result<()> {
        self.finished = true;
        self.errors.take().map_or(Ok(()), Err)
    }
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        // A second panic while unwinding would abort and hide the first.
        if !std::thread::panicking() {
            debug_assert!(self.finished, "diagnostics dropped without `finish`");
        }
    }
}

/// What the user wrote, followed by the errors: names stay known, so one mistake stays one error.
pub(crate) fn with_errors(item: &TokenStream, error: &syn::Error) -> TokenStream {
    let mut tokens = item.clone();
    tokens.extend(error.to_compile_error());
    tokens
}

/// "unknown option `x`", with the nearest known word, or all of them when none is near.
pub(crate) fn unknown(kind: &str, word: &str, known: &[&str]) -> String {
    nearest(word, known).map_or_else(
        || format!("unknown {kind} `{word}`; known: `{}`", known.join("`, `")),
        |best| format!("unknown {kind} `{word}`; did you mean `{best}`?"),
    )
}

/// The known name that `word` is most likely a slip of; `None` when nothing is near.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = (word.chars().count() / 3).max(1);
    known
        .iter()
        .map(|name| (distance(&word.to_lowercase(), name), *name))
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Edit distance in which two swapped neighbours count as one slip.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_reported() {
        let mut diagnostics = Diagnostics::new();
        diagnostics.error_at(Span::call_site(), "first");
        diagnostics.error_at(Span::call_site(), "second");
        let error = diagnostics.finish().expect_err("two mistakes");
        let messages: Vec<String> = error.into_iter().map(|e| e.to_string()).collect();
        assert_eq!(messages, ["first", "second"]);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "without `finish`")]
    fn a_forgotten_collector_panics() {
        let _forgotten = Diagnostics::new();
    }

    #[test]
    fn slips_find_their_word() {
        let known = ["retry_limit", "backoff", "name", "task.failed"];
        assert_eq!(nearest("retry_limt", &known), Some("retry_limit"));
        assert_eq!(nearest("Backof", &known), Some("backoff"));
        assert_eq!(nearest("task.faield", &known), Some("task.failed"));
        assert_eq!(nearest("nmae", &known), Some("name"));
        assert_eq!(nearest("color", &known), None);
    }

    #[test]
    fn unknown_words_list_what_is_known() {
        assert_eq!(unknown("option", "color", &["name", "id"]), "unknown option `color`; known: `name`, `id`");
        assert_eq!(unknown("option", "nam", &["name", "id"]), "unknown option `nam`; did you mean `name`?");
    }
}
