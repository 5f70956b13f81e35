//! The macros of tasker-telemetry.

mod crate_path;
mod diagnostics;
mod docs;
mod event;
mod event_name;
mod function;
mod options;
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

/// Makes a function a step.
#[proc_macro_attribute]
pub fn step(args: TokenStream, item: TokenStream) -> TokenStream {
    step::step(args.into(), &item.into()).into()
}

/// Makes a function a task.
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
