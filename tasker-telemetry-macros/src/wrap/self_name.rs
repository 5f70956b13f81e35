//! Another name for `self`: a retried body gets a new value per attempt, and `self` cannot be bound again.

use proc_macro2::{Delimiter, Ident, Literal, Span, TokenStream, TokenTree};

use crate::function::regroup;

/// The name that stands for `self` in a retried body. `mixed_site` keeps it apart from the user's names.
pub(super) fn attempt_self(span: Span) -> Ident {
    Ident::new("attempt_self", Span::mixed_site().located_at(span))
}

/// The tokens of a body with `self` renamed, also inside macro calls; nested items keep theirs.
pub(super) fn rename(tokens: TokenStream) -> TokenStream {
    let mut scope = Scope::default();
    tokens
        .into_iter()
        .map(|tree| {
            let own = scope.is_own(&tree);
            match tree {
                TokenTree::Ident(word) if own && word == "self" => attempt_self(word.span()).into(),
                TokenTree::Group(group) if own => regroup(&group, rename(group.stream())).into(),
                other => other,
            }
        })
        .collect()
}

/// The string literals inside macro calls that capture `self` by name (`"{self}"`), which [`rename`] cannot reach.
pub(super) fn captured_in_strings(tokens: TokenStream) -> Vec<Literal> {
    fn search(tokens: TokenStream, in_macro: bool, found: &mut Vec<Literal>) {
        let mut scope = Scope::default();
        let mut bang = false;
        for tree in tokens {
            let own = scope.is_own(&tree);
            match &tree {
                TokenTree::Group(group) if own => search(group.stream(), in_macro || bang, found),
                TokenTree::Literal(text) if in_macro => {
                    let text_of = text.to_string();
                    if text_of.contains("{self}") || text_of.contains("{self:") {
                        found.push(text.clone());
                    }
                }
                _ => {}
            }
            bang = matches!(&tree, TokenTree::Punct(punct) if punct.as_char() == '!');
        }
    }
    let mut found = Vec::new();
    search(tokens, false, &mut found);
    found
}

/// Tells tokens of a body from those of items nested in it, which have a `self` of their own.
#[derive(Default)]
struct Scope {
    /// Behind `impl`, `trait` or `fn name`, up to the item's braces or semicolon.
    in_item: bool,
    after_fn: bool,
}

impl Scope {
    fn is_own(&mut self, tree: &TokenTree) -> bool {
        match tree {
            TokenTree::Ident(word) => {
                // `fn` before parentheses is a pointer type, before a name an item.
                self.in_item |= self.after_fn || word == "impl" || word == "trait";
                self.after_fn = word == "fn";
            }
            TokenTree::Group(group) if self.in_item => {
                self.in_item = group.delimiter() != Delimiter::Brace;
                return false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => self.in_item = false,
            _ => self.after_fn = false,
        }
        !self.in_item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn own_self_is_renamed_nested_items_are_not() {
        let renamed = rename(quote! {
            let f: fn(u8) = self.f;
            impl A { fn a(self) { self.x } }
            fn b(self_: u8) { self.y }
            println!("{}", self.v);
            self
        });
        assert_eq!(
            renamed.to_string(),
            quote! {
                let f: fn(u8) = attempt_self.f;
                impl A { fn a(self) { self.x } }
                fn b(self_: u8) { self.y }
                println!("{}", attempt_self.v);
                attempt_self
            }
            .to_string()
        );
    }

    #[test]
    fn only_macro_strings_capture() {
        let found = captured_in_strings(quote!(render("{self}"); println!("{self} {}", 1); println!("{self:?}");));
        assert_eq!(found.len(), 2);
    }
}
