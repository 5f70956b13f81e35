//! What the wrapping looks like, as tokens: only what no compiled test can see (`tests/` has the behaviour).

use proc_macro2::TokenStream;
use quote::quote;

use super::Shape;
use crate::diagnostics::Diagnostics;
use crate::function::Function;

fn function(item: TokenStream) -> Function {
    let mut diagnostics = Diagnostics::new();
    let function = Function::parse("step", item, &mut diagnostics);
    diagnostics.finish().expect("no mistakes");
    function.expect("a function")
}

fn shape(item: TokenStream) -> &'static str {
    match Shape::of(&function(item)) {
        Shape::Async => "async",
        Shape::Block(_) => "block",
        Shape::Future(Some(_)) => "future",
        Shape::Future(None) => "future of something",
        Shape::MaybeFuture => "maybe future",
        Shape::Plain => "plain",
        Shape::Never => "never",
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn shapes() {
    for (item, expected) in [
        (
            quote!(
                async fn f() {}
            ),
            "async",
        ),
        (
            quote!(
                async fn f() -> impl Future<Output = u8> {
                    async { 1 }
                }
            ),
            "async",
        ),
        (
            quote!(
                fn f() {}
            ),
            "plain",
        ),
        (
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            "plain",
        ),
        (
            quote!(
                fn f() -> Result<u8> {
                    g()
                }
            ),
            "plain",
        ),
        (
            quote!(
                fn f() -> &'static str {
                    g()
                }
            ),
            "plain",
        ),
        (
            quote!(
                fn f() -> impl Iterator<Item = u8> {
                    g()
                }
            ),
            "plain",
        ),
        (
            quote!(
                fn f() -> ! {
                    loop {}
                }
            ),
            "never",
        ),
        (
            quote!(
                async fn f() -> ! {
                    loop {}
                }
            ),
            "never",
        ),
        (
            quote!(
                fn f() -> impl Future<Output = u8> + Send {
                    async move { 1 }
                }
            ),
            "block",
        ),
        (
            quote!(
                fn f() -> impl Future<Output = u8> {
                    g();
                    async move { 1 }
                }
            ),
            "future",
        ),
        (
            quote!(
                fn f() -> impl Future {
                    async move { 1 }
                }
            ),
            "future of something",
        ),
        (
            quote!(
                fn f() -> Pin<Box<dyn Future<Output = u8>>> {
                    Box::pin(async move { 1 })
                }
            ),
            "block",
        ),
        (
            quote!(
                fn f() -> BoxFuture<'_, u8> {
                    ::std::boxed::Box::pin(async { 1 })
                }
            ),
            "block",
        ),
        (
            quote!(
                fn f() -> BoxFuture<'_, u8> {
                    let a = 1;
                    Box::pin(async move { a })
                }
            ),
            "maybe future",
        ),
        (
            quote!(
                fn f() -> BoxFuture<'_, u8> {
                    Box::pin(g())
                }
            ),
            "maybe future",
        ),
        (
            quote!(
                fn f() -> BoxFuture<'_, u8> {
                    async move { 1 }.boxed()
                }
            ),
            "maybe future",
        ),
    ] {
        assert_eq!(shape(item.clone()), expected, "{item}");
    }
}

#[test]
fn drops_are_ordered_only_where_it_matters() {
    let order = |item| super::arguments::drop_order(&function(item)).to_string();
    assert_eq!(
        order(quote!(
            fn f(a: u64, b: &str, c: String) {
                g(a, b, c)
            }
        )),
        ""
    );
    assert_eq!(
        order(quote!(
            fn f(a: String, b: String) {
                g(a)
            }
        )),
        "",
        "what is not used is not captured"
    );
    assert_eq!(
        order(quote!(
            fn f(self, (a, _): (A, B), _c: C) {
                format!("{a}");
                self
            }
        )),
        quote!(
            #[allow(clippy::used_underscore_binding)]
            let _ = &_c;
            #[allow(clippy::used_underscore_binding)]
            let _ = &a;
            #[allow(clippy::used_underscore_binding)]
            let _ = &self;
        )
        .to_string()
    );
}
