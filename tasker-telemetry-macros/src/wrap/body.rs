//! The code around a body: one future or closure per form of function, handed to one call of the runtime.

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{ExprPath, Signature, Type};

use super::shape::AsyncBlock;
use super::{Common, Shape, arguments, class, hint, retry, self_name, spec};
use crate::function::{located, regroup};

/// Who runs the body.
pub(crate) enum Driver<'a> {
    /// A step; with `retries` the body may run more than once.
    Step { retries: bool, retry_if: Option<&'a ExprPath> },
    /// A task, with the expressions of its id and its correlation id.
    Task { id: Option<&'a syn::Expr>, correlation_id: Option<&'a syn::Expr> },
}

/// The function with its registration and its wrapped body.
///
/// Expands to (`#[step]` on an `async fn`):
/// ```text
/// async fn user(..) -> R {
///     static __TASKER_SPEC: StepSpec = ..; inventory::submit! { .. }            // `registration`
///     let fields = step_fields(|| [..]);                                        // only with `fields(..)`
///     run_step(
///         &__TASKER_SPEC,                                                       // or `run_step_with(&__TASKER_SPEC, fields, ..`
///         classify!(type of_type R),                                            // where `R` can be named; see `class`
///         async move { if false { return hint::<R>(); } user's body },
///     ).await
/// }
/// ```
pub(crate) fn wrap(common: &Common, registration: &TokenStream, driver: &Driver<'_>) -> TokenStream {
    let mut sig = common.function.sig.clone();
    let body = Wrapper { common, driver }.body(&mut sig);
    common.function.with_body(&sig, &quote!(#registration #body))
}

/// What the parts of one body need to know.
pub(super) struct Wrapper<'a> {
    pub(super) common: &'a Common,
    pub(super) driver: &'a Driver<'a>,
}

impl Wrapper<'_> {
    fn body(&self, sig: &mut Signature) -> TokenStream {
        match &self.common.shape {
            Shape::Async => {
                let block = self.user_block();
                self.run_async(&quote!(async move), &block, sig)
            }
            Shape::Block(block) => {
                let inner = self.run_async(&block.keywords, &self.inner_block(block), sig);
                block.with_body(inner)
            }
            Shape::Plain => self.run_sync(sig),
            Shape::MaybeFuture => self.run_by_type(sig),
            Shape::Future(output) => self.run_returned_future(output.as_ref()),
            Shape::Never => {
                let run = if sig.asyncness.is_some() {
                    let block = self.user_block();
                    self.run_async(&quote!(async move), &block, sig)
                } else {
                    self.run_sync(sig)
                };
                // The body's type is `Infallible`, see `hint`; here it becomes the `!` of the signature.
                quote_spanned!(Span::mixed_site()=> match { #run } {})
            }
        }
    }

    /// Expands to: `run_step(.., classify!(..), async move { .. }).await`
    fn run_async(&self, keywords: &TokenStream, block: &Group, sig: &mut Signature) -> TokenStream {
        if self.retries() {
            return retry::run_async(self, keywords, block, sig);
        }
        let taken = self.taken();
        let body = quote!(#keywords #block);
        let class_name = quote_spanned!(Span::mixed_site()=> class);
        if let Some(class) = class::of_output(self) {
            // All of it goes where it is used: a variable would be one more place to move it from.
            let call = self.call_async(&class, &body);
            return quote_spanned!(Span::mixed_site()=> #taken #call.await);
        }
        let class = class::of_future(self);
        let call = self.call_async(&class_name, &quote_spanned!(Span::mixed_site()=> body));
        quote_spanned! {Span::mixed_site()=>
            #taken
            let body = #body;
            #class
            #call.await
        }
    }

    /// Expands to: `let body = once(move || { .. }); let class = ..; run_step_sync(.., body, class)`
    fn run_sync(&self, sig: &mut Signature) -> TokenStream {
        if self.retries() {
            return retry::run_sync(self, sig);
        }
        let (taken, body, class) = (self.taken(), self.closure(), class::of_call(self));
        let call = self.call("run_step_sync", "run_task_sync");
        quote_spanned!(Span::mixed_site()=> #taken #body #class #call)
    }

    /// A boxed future is wrapped in another box, anything else is a value: the compiler chooses by the type.
    ///
    /// Expands to: `let body = once(move || { .. }); let returned = returned!(&body); let class = ..;
    /// returned.run_step(.., body, class)`
    fn run_by_type(&self, sig: &mut Signature) -> TokenStream {
        if self.retries() {
            return retry::run_sync(self, sig);
        }
        let private = &self.common.private;
        let (taken, body, class) = (self.taken(), self.closure(), class::of_returned(self));
        let body_name = quote_spanned!(Span::mixed_site()=> body);
        let (run, arguments) = self.call_parts(&body_name, "run_step", "run_task");
        let run = Ident::new(run, Span::mixed_site());
        quote_spanned! {Span::mixed_site()=>
            #taken
            #body
            #[allow(unused_imports)]
            use #private::ReturnedValue as _;
            let returned = #private::Returned::of(&body);
            #class
            (&returned).#run(#arguments)
        }
    }

    /// Expands to: `let body = future::<T, _>(move || { .. }); let class = ..; run_step(.., class, body)`
    fn run_returned_future(&self, output: Option<&Type>) -> TokenStream {
        let private = &self.common.private;
        let block = self.user_block();
        // The closure's value is an `impl Future`, which only its `Output` can be said about; see `hint`.
        let output = output.map_or_else(|| quote!(_), hint::erase_impl);
        let (taken, class) = (self.taken(), class::of_future(self));
        let (class_name, body_name) =
            (quote_spanned!(Span::mixed_site()=> class), quote_spanned!(Span::mixed_site()=> body));
        let call = self.call_async(&class_name, &body_name);
        quote_spanned! {Span::mixed_site()=>
            #taken
            let body = #private::future::<#output, _>(move || #block);
            #class
            #call
        }
    }

    pub(super) fn retries(&self) -> bool {
        matches!(self.driver, Driver::Step { retries: true, .. })
    }

    /// What is read from the arguments before the body owns them.
    ///
    /// Expands to: `let id = task_id(|| display(&expr)); let fields = task_fields(|| [..]);`, with a correlation id also
    /// `let id = correlated(id, || display(&expr));`
    fn taken(&self) -> TokenStream {
        let private = &self.common.private;
        let function = if matches!(self.driver, Driver::Task { .. }) { "task_fields" } else { "step_fields" };
        let fields = spec::field_values(self.common, function);
        match self.driver {
            Driver::Task { id, correlation_id } => {
                let id = id.map(|id| {
                    let text = self.text_of(id);
                    quote_spanned!(Span::mixed_site()=> let id = #private::task_id(|| #text);)
                });
                let correlated = correlation_id.map(|correlation_id| {
                    let text = self.text_of(correlation_id);
                    let id = Self::taken_id(id.is_some());
                    quote_spanned!(Span::mixed_site()=> let id = #private::correlated(#id, || #text);)
                });
                quote!(#id #correlated #fields)
            }
            Driver::Step { .. } => fields,
        }
    }

    /// Expands to: `display(&expr)`
    fn text_of(&self, expr: &syn::Expr) -> TokenStream {
        let span = Span::mixed_site().located_at(expr.span());
        let display = located(&self.common.private, expr.span());
        quote_spanned!(span=> #display::display(&#expr))
    }

    /// What was taken of the ids, if anything.
    fn taken_id(is_there: bool) -> TokenStream {
        if is_there {
            quote_spanned!(Span::mixed_site()=> id)
        } else {
            quote_spanned!(Span::mixed_site()=> ::core::option::Option::None)
        }
    }

    /// Expands to: `run_step(&__TASKER_SPEC, class, body)`, with `fields(..)` `run_step_with(&__TASKER_SPEC, fields, class, body)`,
    /// for a task `run_task(&__TASKER_SPEC, id, fields, class, body)`.
    fn call_async(&self, class: &TokenStream, body: &TokenStream) -> TokenStream {
        let private = &self.common.private;
        let fields = spec::taken_fields(self.common);
        match self.driver {
            Driver::Step { .. } if self.common.fields.is_empty() => quote_spanned! {Span::mixed_site()=>
                #private::run_step(&__TASKER_SPEC, #class, #body)
            },
            Driver::Step { .. } => quote_spanned! {Span::mixed_site()=>
                #private::run_step_with(&__TASKER_SPEC, #fields, #class, #body)
            },
            Driver::Task { id, correlation_id } => {
                let id = Self::taken_id(id.is_some() || correlation_id.is_some());
                quote_spanned! {Span::mixed_site()=>
                    #private::run_task(&__TASKER_SPEC, #id, #fields, #class, #body)
                }
            }
        }
    }

    /// Expands to: `run_step_sync(&__TASKER_SPEC, fields, body, class)`, or `run_task_sync(&__TASKER_SPEC, id, fields, body, class)`.
    fn call(&self, step: &str, task: &str) -> TokenStream {
        let private = &self.common.private;
        let body = quote_spanned!(Span::mixed_site()=> body);
        let (function, arguments) = self.call_parts(&body, step, task);
        let function = Ident::new(function, Span::mixed_site());
        quote_spanned!(Span::mixed_site()=> #private::#function(#arguments))
    }

    fn call_parts<'n>(&self, body: &TokenStream, step: &'n str, task: &'n str) -> (&'n str, TokenStream) {
        let fields = spec::taken_fields(self.common);
        match self.driver {
            Driver::Step { .. } => (step, quote_spanned!(Span::mixed_site()=> &__TASKER_SPEC, #fields, #body, class)),
            Driver::Task { id, correlation_id } => {
                let id = Self::taken_id(id.is_some() || correlation_id.is_some());
                (task, quote_spanned!(Span::mixed_site()=> &__TASKER_SPEC, #id, #fields, #body, class))
            }
        }
    }

    /// `once` makes the closure `FnOnce` whatever it does: else rustc may take it for `FnMut` and forbid what it returns
    /// to borrow from what it captured.
    ///
    /// Expands to: `let body = once(move || -> R { .. });`
    pub(super) fn closure(&self) -> TokenStream {
        let Common { private, function, .. } = self.common;
        let output = hint::closure_output(&function.sig.output);
        let block = self.block_with(&function.body, &arguments::drop_order(function));
        quote_spanned!(Span::mixed_site()=> let body = #private::once(move || #output #block);)
    }

    /// The user's block behind its hint.
    fn user_block(&self) -> Group {
        let Common { private, function, .. } = self.common;
        let mut first = arguments::drop_order(function);
        first.extend(hint::returns(private, &function.sig.output));
        self.block_with(&function.body, &first)
    }

    /// The user's async block behind its hint. It captures as it did before: its arguments' order of drops is its own.
    fn inner_block(&self, block: &AsyncBlock) -> Group {
        self.block_with(&block.block, &hint::returns_type(&self.common.private, &block.output, block.block.span()))
    }

    fn block_with(&self, block: &Group, first: &TokenStream) -> Group {
        let rest = block.stream();
        let first = hint::unreachable(first, &rest);
        let content = quote!(#first #rest);
        let has_new_self = self.retries() && self.common.function.sig.receiver().is_some_and(arguments::is_by_value);
        regroup(block, if has_new_self { self_name::rename(content) } else { content })
    }
}
