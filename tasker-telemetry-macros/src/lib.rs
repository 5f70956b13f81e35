//! The macros of tasker-telemetry.

#![forbid(unsafe_code)]

mod crate_path;
mod diagnostics;
mod docs;
mod event;
mod event_name;
mod function;
mod options;
mod record;
mod separated;
mod snake_case;
mod source;
mod step;
mod subscriber;
mod system_events;
mod task;
mod type_text;
mod wrap;

use proc_macro::TokenStream;

/// Makes a function a step: each call is a run of it, with events, spans and metrics.
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// # struct Cart { total: u64 }
/// /// Asks the shop for a cart.                      // the step's description in the catalog
/// #[step(retry_limit = 3, fields(cart_id))]
/// async fn fetch_cart(cart_id: u64) -> Result<Cart, std::io::Error> {
///     // .. business logic only
///     # Ok(Cart { total: cart_id })
/// }
/// ```
///
/// # Options
///
/// | option | meaning | default |
/// | --- | --- | --- |
/// | `name = "charge"` | the step's name: letters, digits, `_ - . : /` | the function's |
/// | `retry_limit = 3` | how often the body runs at most; a number or a constant | 1 |
/// | `backoff = "exponential"` | the wait between two attempts: `"none"`, `"fixed"`, `"exponential"`, or a constant `Backoff` | `"none"` |
/// | `retry_if = is_busy` | `fn(&E) -> bool`: which errors are worth another attempt; goes before what `Retryable` says | all |
/// | `publishes(RiskFlagged)` | the custom events it publishes, for the catalog | none |
/// | `fields(amount = cart.total)` | values recorded with each run, see below | none |
/// | `crate = path` | where the runtime is | `::tasker_telemetry` |
///
/// A method called `process`, `call`, `run` or `handle` must have a `name`: its own tells nothing.
///
/// # Which functions
///
/// `async fn` and `fn`, methods with every receiver, methods of traits (default methods too, and those under
/// `#[async_trait]`), generic ones, functions that return `impl Future` or a future in a box, `-> !`, `unsafe fn`. Nothing
/// of the signature changes, nothing is boxed that was not, nothing is asked to be `Send` or `'static`.
///
/// Not: `const fn`, and functions with a variable number of arguments. `Location::caller()` inside a plain `fn` with
/// `#[track_caller]` names the function itself.
///
/// # Results
///
/// What the signature shows as a `Result` (under any alias) counts as failed when it is `Err`; every other value means
/// completed. The type decides, not its name. What is told of an error depends on what its type can say, `Error` first, then
/// `Display`, then `Debug`; for `Box<dyn Error>` and its like (`anyhow::Error`, `eyre::Report`) the innermost cause
/// that can be named is the class.
///
/// # Retries
///
/// With `retry_limit` above 1 the body runs again after an error, in place. So the arguments must be `Clone` (the last attempt
/// gets the originals), and `&mut` arguments are refused: a second run would see what the first changed.
///
/// ```
/// use std::time::Duration;
/// use tasker_telemetry::prelude::*;
///
/// const GENTLE: Backoff = Backoff::fixed().base(Duration::from_millis(20));
///
/// fn is_busy(error: &String) -> bool {
///     error == "busy"
/// }
///
/// #[step(name = "charge", retry_limit = 5, backoff = GENTLE, retry_if = is_busy)]
/// async fn charge_card(card: String, amount: u64) -> Result<u64, String> {
///     # let _ = card;
///     Ok(amount)
/// }
/// ```
///
/// # Fields
///
/// `name = expression` over the arguments, or a name alone for an argument (`fields(cart_id)`). Numbers, booleans and
/// texts keep their type, what is `Serialize` becomes JSON, anything else its `Display` or `Debug` text; `%` and `?` before
/// the expression ask for `Display` and `Debug`. Names may have dots. When nobody listens, the expressions are not evaluated.
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// # struct Cart { id: u64, items: Vec<String> }
/// #[step(fields(cart.id, count = cart.items.len(), first = ?cart.items.first(), customer = %customer))]
/// fn price(cart: &Cart, customer: &str) -> u64 {
///     # let _ = customer;
///     cart.items.len() as u64
/// }
/// ```
///
/// # Expands to
///
/// ```
/// # mod tasker { pub use tasker_telemetry::__private; }
/// # use tasker::__private::*;
/// # async fn user() -> Result<u64, String> {
/// static __TASKER_SPEC: StepSpec =
///     declare_step("fetch_cart", "fetch_cart", "Asks the shop for a cart.", (module_path!(), file!(), line!()));
/// inventory::submit! { StepEntry(&__TASKER_SPEC) }
/// // .. and a static with the same facts in a section of the binary, which `cargo tasker catalog` reads
/// let class = classify!(type of_type Result<u64, String>); // which value is a failure: plain functions, chosen by type
/// let body = async move {
///     if false {
///         return hint::<Result<u64, String>>(); // tells the compiler the type, is never executed
///     }
///     // .. the user's body
///     # Ok(1)
/// };
/// run_step(&__TASKER_SPEC, class, body).await
/// # }
/// ```
#[proc_macro_attribute]
pub fn step(args: TokenStream, item: TokenStream) -> TokenStream {
    step::step(args.into(), &item.into()).into()
}

/// Makes a function a task: the workflow that the steps called in it belong to.
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// # struct Order { id: u64 }
/// # #[step] async fn charge(_: &Order) -> Result<u64, String> { Ok(1) }
/// /// Processes an order.
/// #[task(name = "order_process", id = order.id, max_concurrent_steps = 3)]
/// async fn order_process(order: Order) -> Result<u64, String> {
///     charge(&order).await
/// }
/// ```
///
/// # Options
///
/// | option | meaning | default |
/// | --- | --- | --- |
/// | `name = "order_process"` | the task's name: letters, digits, `_ - . : /` | the function's |
/// | `id = order.id` | the task's id: any `Display` expression over the arguments | a new `UUIDv7` |
/// | `correlation_id = order.request` | what ties together everything that one request caused: any `Display` expression over the arguments; at most 100 letters, digits, `-` and `_` | that of the scope or task around, else the trace id |
/// | `max_concurrent_steps = 3` | how many attempts of its steps run at once; a number or a constant | no bound |
/// | `publishes(RiskFlagged)` | the custom events it publishes, for the catalog | none |
/// | `fields(total = order.total)` | values recorded with each run, as for [`step`](macro@step) | none |
/// | `crate = path` | where the runtime is | `::tasker_telemetry` |
///
/// It takes the functions that [`step`](macro@step) takes, and sees failures in the same way. A function is a task or a step,
/// not both; a step outside of every task is one of its own.
///
/// # Expands to
///
/// The same as [`step`](macro@step), with a `TaskSpec`, a `TaskEntry`, and
/// `run_task(&__TASKER_SPEC, id, fields, body, class)`.
#[proc_macro_attribute]
pub fn task(args: TokenStream, item: TokenStream) -> TokenStream {
    task::task(args.into(), &item.into()).into()
}

/// Makes a struct an event: `#[derive(Serialize, Event)] #[event("payment.risk_flagged")]`.
///
/// - `#[event("namespace.name")]` on the struct is its name: lower case words with dots between them. The namespaces `task`,
///   `step`, `workflow`, `observability` and `test` are the library's own. `#[event("..", crate = path)]` says where the
///   runtime is, if not at `::tasker_telemetry`.
/// - `#[event(sensitive)]` on a field masks it everywhere, whatever the filter says.
/// - Doc comments of the struct and of its fields are what the catalog says of them. Fields are called as serde calls them.
///
/// An event is a struct with named fields or none, without generics.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    event::derive(input.into()).into()
}

/// Makes a type a subscriber: `#[derive(Default, Subscriber)] #[subscribe("task.failed", "payment.*", RiskFlagged)]`.
///
/// - `#[subscribe(..)]`: names of events, wildcards (`"task.*"`, `"*"`) and types of events. The handler of `"task.failed"`
///   is `handle_task_failed(&self, &event::task::Failed)`, that of `RiskFlagged` is `handle_risk_flagged(&self,
///   &RiskFlagged)`, that of all wildcards `handle_event(&self, &EventRecord)`.
/// - `#[subscriber(manual)]`: the type does not register itself. It must be so where it is not `Default`, or is generic.
/// - `#[subscriber(inline)]`: the handlers run on the publishing thread, and are not async.
/// - `#[subscriber(filter = path)]`: only events for which `fn(&EventRecord) -> bool` says so.
/// - `#[subscriber(crate = path)]`: where the runtime is, if not at `::tasker_telemetry`.
#[proc_macro_derive(Subscriber, attributes(subscribe, subscriber))]
pub fn derive_subscriber(input: TokenStream) -> TokenStream {
    subscriber::derive(input.into()).into()
}

/// The record of the library itself. Not public API.
#[doc(hidden)]
#[proc_macro]
pub fn __library_record(_: TokenStream) -> TokenStream {
    record::library().into()
}
