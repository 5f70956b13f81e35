//! The output of the derives is quiet under lints that a user may deny, inside `macro_rules!`, and inside functions.
#![deny(warnings, missing_docs, clippy::all, clippy::pedantic)]
#![deny(
    unused_qualifications,
    unreachable_pub,
    single_use_lifetimes,
    unused_lifetimes,
    elided_lifetimes_in_paths,
    missing_debug_implementations,
    trivial_casts,
    trivial_numeric_casts,
    unused_results,
    unused_import_braces,
    explicit_outlives_requirements,
    let_underscore_drop,
    variant_size_differences,
    non_local_definitions,
    redundant_lifetimes,
    unit_bindings,
    unnameable_types,
    absolute_paths_not_starting_with_crate,
    ambiguous_negative_literals,
    deprecated_in_future,
    ffi_unwind_calls,
    keyword_idents,
    macro_use_extern_crate,
    meta_variable_misuse,
    non_ascii_idents,
    unused_extern_crates,
    unused_macro_rules
)]
#![forbid(unsafe_code)]

use std::option::Option;
use std::rc::Rc;

use tasker_telemetry::prelude::*;

/// Happened.
#[derive(Debug, Serialize, Event)]
#[event("elsewhere.happened")]
pub struct Happened {
    /// How often.
    pub times: u32,
}

/// An event.
#[derive(Debug, Clone, Serialize, Event)]
#[event("lints.happened")]
#[deprecated]
pub struct Deprecated {
    /// A field.
    #[event(sensitive)]
    #[deprecated]
    pub field: Option<String>,
}

/// A subscriber.
#[derive(Debug, Default, Subscriber)]
#[subscribe("task.failed", "elsewhere.*", Happened, "order.ready")]
#[subscriber(filter = yes)]
pub struct Sub {
    seen: Rc<u8>,
}

const fn yes(_: &EventRecord) -> bool {
    true
}

impl Sub {
    fn handle_task_failed(&self, _: &event::task::Failed) -> Result<(), u8> {
        Err(*self.seen)
    }
    fn handle_event(&self, _: &EventRecord) {
        let _: &u8 = &self.seen;
    }
    fn handle_happened(&self, event: &Happened) {
        assert_eq!(event.times, u32::from(*self.seen), "seen");
    }
    fn handle_order_ready(&self, event: &EventRecord) {
        drop((self.seen.clone(), event.name()));
    }
}

/// A subscriber.
#[derive(Debug, Subscriber)]
#[subscribe("elsewhere.happened")]
#[subscriber(manual, inline)]
pub struct Sub2<T: Clone + Send + Sync, const N: usize>([T; N]);
impl<T: Clone + Send + Sync, const N: usize> Sub2<T, N> {
    fn handle_elsewhere_happened(&self, _: &Happened) {
        drop(self.0.clone());
    }
}

macro_rules! make {
    ($event:ident, $name:literal, $sub:ident, $ty:ty) => {
        /// An event.
        #[derive(Debug, Clone, Serialize, Event)]
        #[event($name)]
        pub struct $event {
            /// A field.
            #[event(sensitive)]
            pub field: $ty,
        }
        /// A subscriber.
        #[derive(Debug, Default, Subscriber)]
        #[subscribe($event, "*")]
        #[subscriber(crate = $crate::tel)]
        pub struct $sub;
    };
}
mod tel {
    pub(crate) use tasker_telemetry::*;
}
make!(Made, "made.happened", MadeSub, Option<u8>);
impl MadeSub {
    fn handle_made(&self, _: &Made) {
        let Self = self;
    }
    fn handle_event(&self, _: &EventRecord) {
        let Self = self;
    }
}

#[test]
fn inside_a_function() {
    /// An event.
    #[derive(Serialize, Event)]
    #[event("local.happened")]
    struct Local;
    /// A subscriber.
    #[derive(Default, Subscriber)]
    #[subscribe(Local)]
    struct LocalSub;
    impl LocalSub {
        fn handle_local(&self, Local: &Local) {
            let Self = self;
        }
    }
    assert_eq!(LocalSub::SPEC.patterns, ["local.happened"], "name");
    assert_eq!(Sub::SPEC.patterns[2], "elsewhere.happened", "name");
}
