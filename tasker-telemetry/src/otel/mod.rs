//! The bridge to the `opentelemetry` crate: the only module that names its types. Everything else speaks W3C ids and texts,
//! because the versions of the crate in our users' programs differ.
//!
//! With the feature `otel`, a step's span is the current context of that crate while its body is polled, so that spans of
//! other libraries become its children; without it, the types here are empty and cost nothing. With the feature `otel-sdk`,
//! exporters and processors for that crate's SDK take our spans (`sdk.rs`), as its `SpanData` (`span_data.rs`).

#[cfg(feature = "otel-sdk")]
mod sdk;
#[cfg(feature = "otel-sdk")]
mod span_data;

#[cfg(feature = "otel")]
mod context;
#[cfg(not(feature = "otel"))]
mod context {
    //! The same without the crate: nothing is attached, nobody calls.
    use crate::trace::{Remote, SpanId, TaskTrace};

    #[derive(Debug, Clone, Default)]
    pub(crate) struct Spot;

    #[derive(Debug)]
    pub(crate) struct Attached;

    #[allow(clippy::unused_self, clippy::missing_const_for_fn, reason = "the same shape as with the feature")]
    impl Attached {
        pub(crate) const NOTHING: Self = Self;

        pub(crate) const fn attach_step(&mut self, _: &TaskTrace, _: SpanId) -> u64 {
            0
        }

        pub(crate) fn detach(&mut self) {}

        pub(crate) const fn take_back(&mut self, _: &TaskTrace, _: SpanId) -> Spot {
            Spot
        }
    }

    #[allow(clippy::unused_self, clippy::missing_const_for_fn, reason = "the same shape as with the feature")]
    impl Spot {
        pub(crate) const fn none() -> Self {
            Self
        }

        pub(crate) fn current() -> Self {
            Self
        }

        pub(crate) fn of_task(_: &TaskTrace) -> Self {
            Self
        }

        pub(crate) fn of_step(_: &TaskTrace, _: SpanId) -> Self {
            Self
        }

        pub(crate) const fn is_there(&self) -> bool {
            true // as it would be with the feature: the step is made the same way
        }

        #[inline]
        pub(crate) fn attach(&self) -> Attached {
            Attached
        }
    }

    pub(crate) const fn caller() -> Option<(Remote, bool)> {
        None
    }

    pub(crate) const fn parent_in(_: &TaskTrace) -> Option<SpanId> {
        None
    }

    pub(crate) const fn baggage(_: &[String]) -> Vec<(String, String)> {
        Vec::new()
    }
}

pub(crate) use self::context::{Attached, Spot, baggage, caller, parent_in};
