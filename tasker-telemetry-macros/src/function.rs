//! The annotated function, as far as the macros need to read it: its signature, and its body as one unread group.
//!
//! The body is not parsed on purpose: it is the largest part of the input, only rustc has to understand it, and
//! half-typed bodies keep their completion in editors.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Signature, Token, Visibility};

use crate::diagnostics::Diagnostics;

/// A function with a body.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// `default`, which only specialisation allows.
    pub(crate) defaultness: Option<Ident>,
    pub(crate) sig: Signature,
    /// `#![..]` at the start of the body: they must stay its first tokens.
    pub(crate) inner_attrs: TokenStream,
    /// The rest of the body with its own braces, whose span carries the user's edition.
    pub(crate) body: Group,
}

impl Function {
    /// Reads the item under an attribute called `attribute`; anything but a function with a body is a mistake.
    ///
    /// Grammar: `attr* vis ["default"] signature "{" "#![..]"* body "}"`
    pub(crate) fn parse(attribute: &str, item: TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let parser = |input: ParseStream<'_>| parse(attribute, input);
        diagnostics.take(parser.parse2(item))
    }

    /// The function's name without `r#`.
    pub(crate) fn name(&self) -> String {
        self.sig.ident.unraw().to_string()
    }

    /// Whether it is called on a value: `&self`, `self: Arc<Self>` ..
    pub(crate) fn is_method(&self) -> bool {
        self.sig.receiver().is_some()
    }

    /// The same function around another body.
    ///
    /// Expands to: `attrs vis default sig { #![..] body }`
    pub(crate) fn with_body(&self, sig: &Signature, body: &TokenStream) -> TokenStream {
        let Self { attrs, vis, defaultness, inner_attrs, .. } = self;
        let block = regroup(&self.body, quote!(#inner_attrs #body));
        quote!(#(#attrs)* #vis #defaultness #sig #block)
    }
}

/// `content` in the braces of `group`: errors and lints go on pointing at the user's own.
pub(crate) fn regroup(group: &Group, content: TokenStream) -> Group {
    let mut new = Group::new(group.delimiter(), content);
    new.set_span(group.span());
    new
}

/// The same tokens, shown at `span` in errors; what their names mean stays as it was.
pub(crate) fn located(tokens: &TokenStream, span: Span) -> TokenStream {
    let relocate = |mut token: TokenTree| {
        token.set_span(token.span().located_at(span));
        token
    };
    tokens.clone().into_iter().map(relocate).collect()
}

fn parse(attribute: &str, input: ParseStream<'_>) -> syn::Result<Function> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis: Visibility = input.parse()?;
    let defaultness = (input.peek(syn::Ident) && !input.peek2(Token![!]))
        .then(|| input.fork().parse::<Ident>())
        .transpose()?
        .filter(|word| word == "default");
    if defaultness.is_some() {
        input.parse::<Ident>()?;
    }
    refuse_other_items(attribute, input)?;
    let sig: Signature = input.parse()?;
    if input.peek(Token![;]) {
        return Err(syn::Error::new(
            sig.ident.span(),
            format!("`#[{attribute}]` needs a body: put it on the functions that implement `{}`", sig.ident),
        ));
    }
    let body = parse_body(input)?;
    let (inner_attrs, rest) = split_inner_attributes(body.stream());
    Ok(Function { attrs, vis, defaultness, sig, inner_attrs, body: regroup(&body, rest) })
}

/// The body, also when it comes out of a `$body:block` of `macro_rules!`, wrapped in a group without delimiters.
fn parse_body(input: ParseStream<'_>) -> syn::Result<Group> {
    let mut tree: TokenTree = input.parse()?;
    loop {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return Ok(group),
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                let mut inner = group.stream().into_iter();
                match (inner.next(), inner.next()) {
                    (Some(only), None) => tree = only,
                    _ => return Err(syn::Error::new(group.span(), "expected the body of a function")),
                }
            }
            other => return Err(syn::Error::new(other.span(), "expected the body of a function")),
        }
    }
}

/// One error at the word that says what the item is, with the place where the attribute belongs.
fn refuse_other_items(attribute: &str, input: ParseStream<'_>) -> syn::Result<()> {
    let fork = input.fork();
    let mut first: Option<(Ident, Span)> = None;
    while let Ok(tree) = fork.parse::<TokenTree>() {
        match tree {
            // The words before `fn`; the name of an `extern "C"` stands between them as a literal.
            TokenTree::Ident(word) if word == "fn" => return Ok(()),
            TokenTree::Ident(word)
                if matches!(
                    word.to_string().as_str(),
                    "const" | "async" | "unsafe" | "extern" | "static" | "safe" | "move"
                ) =>
            {
                first.get_or_insert((word.clone(), word.span()));
            }
            TokenTree::Literal(_) => {}
            TokenTree::Ident(word) => {
                first = match first {
                    // `const X`, `static X`, `extern crate`: the item's kind was the word before.
                    Some(kind) if !is_item_keyword(&word) => Some(kind),
                    _ => Some((word.clone(), word.span())),
                };
                break;
            }
            other => {
                first.get_or_insert((Ident::new("expression", other.span()), other.span()));
                break;
            }
        }
    }
    let (kind, span) = first.map_or_else(|| ("item".to_owned(), input.span()), |(kind, span)| (kind.to_string(), span));
    let advice = match kind.as_str() {
        "impl" => "put it on the methods inside".to_owned(),
        "trait" => "put it on its methods with a body, or on the implementations".to_owned(),
        "mod" => "put it on the functions inside".to_owned(),
        "let" | "move" | "async" | "expression" => "move the code into an `fn` or `async fn`".to_owned(),
        other => format!("this is a `{other}`"),
    };
    Err(syn::Error::new(span, format!("`#[{attribute}]` goes on a function: {advice}")))
}

fn is_item_keyword(word: &Ident) -> bool {
    ["struct", "enum", "union", "trait", "impl", "mod", "type", "use"].iter().any(|keyword| word == keyword)
}

/// Separates the leading `#![..]` of a body from the rest.
fn split_inner_attributes(body: TokenStream) -> (TokenStream, TokenStream) {
    let is_inner = |input: ParseStream<'_>| {
        let attrs = input.call(Attribute::parse_inner)?;
        let rest: TokenStream = input.parse()?;
        Ok((quote!(#(#attrs)*), rest))
    };
    let starts_with_pound = matches!(body.clone().into_iter().next(), Some(TokenTree::Punct(p)) if p.as_char() == '#');
    if starts_with_pound && let Ok(split) = is_inner.parse2(body.clone()) {
        return split;
    }
    (TokenStream::new(), body)
}

/// The last segment of a path, as text; empty when there is none.
pub(crate) fn last_word(path: &syn::Path) -> String {
    path.segments.last().map(|segment| segment.ident.unraw().to_string()).unwrap_or_default()
}

/// The first `Self` in the tokens: a static item, where specs live, does not know it.
pub(crate) fn find_self_type(tokens: &impl ToTokens) -> Option<Ident> {
    fn search(tokens: TokenStream) -> Option<Ident> {
        tokens.into_iter().find_map(|tree| match tree {
            TokenTree::Ident(word) if word == "Self" => Some(word),
            TokenTree::Group(group) => search(group.stream()),
            _ => None,
        })
    }
    search(tokens.to_token_stream())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(item: TokenStream) -> Result<Function, String> {
        let mut diagnostics = Diagnostics::new();
        let function = Function::parse("step", item, &mut diagnostics);
        match diagnostics.finish() {
            Ok(()) => Ok(function.expect("no mistakes")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn everything_of_the_function_is_kept() {
        let item = quote! {
            #[must_use] pub(crate) async unsafe extern "C" fn r#type<'a, T: Copy>(&'a self, x: T) -> Option<T> where T: Send { #![allow(x)] Some(x) }
        };
        let function = parse(item.clone()).unwrap();
        assert_eq!(function.name(), "type");
        assert!(function.is_method());
        assert_eq!(function.inner_attrs.to_string(), quote!(#![allow(x)]).to_string());
        let same = function.with_body(&function.sig, &function.body.stream());
        assert_eq!(same.to_string(), item.to_string());
    }

    #[test]
    fn other_items_are_refused_by_their_keyword() {
        for (item, advice) in [
            (
                quote!(
                    struct A;
                ),
                "this is a `struct`",
            ),
            (
                quote!(
                    pub(crate) enum A {}
                ),
                "this is a `enum`",
            ),
            (quote!(impl A {}), "put it on the methods inside"),
            (
                quote!(
                    unsafe impl A for B {}
                ),
                "put it on the methods inside",
            ),
            (
                quote!(
                    trait A {}
                ),
                "put it on its methods with a body, or on the implementations",
            ),
            (
                quote!(
                    const A: u8 = 1;
                ),
                "this is a `const`",
            ),
            (
                quote!(
                    static A: u8 = 1;
                ),
                "this is a `static`",
            ),
            (
                quote!(
                    mod a {}
                ),
                "put it on the functions inside",
            ),
            (quote!(let x = 1;), "move the code into an `fn` or `async fn`"),
            (quote!(|| 1), "move the code into an `fn` or `async fn`"),
        ] {
            assert_eq!(parse(item).unwrap_err(), format!("`#[step]` goes on a function: {advice}"));
        }
    }

    #[test]
    fn a_declaration_has_no_body() {
        assert_eq!(
            parse(quote!(
                async fn charge(&self);
            ))
            .unwrap_err(),
            "`#[step]` needs a body: put it on the functions that implement `charge`"
        );
    }

    #[test]
    fn self_types_are_found_inside_groups() {
        assert!(find_self_type(&quote!(max(Self::LIMIT))).is_some());
        assert!(find_self_type(&quote!(LIMIT)).is_none());
    }
}
