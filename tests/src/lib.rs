//! What the integration tests share.

pub mod folder;
pub mod metrics;
pub mod posted;
#[cfg(feature = "services")]
pub mod postgres;
#[cfg(feature = "services")]
pub mod proxy;
#[cfg(feature = "services")]
pub mod services;
pub mod settings;
pub mod store;

use std::sync::Once;

/// The mark of a panic that a test expects.
pub const EXPECTED: &str = "expected panic";

/// Lets panics whose message contains [`EXPECTED`] pass without a word; all others are reported as ever.
pub fn quiet_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_expected = info.payload_as_str().is_some_and(|message| message.contains(EXPECTED));
            if !is_expected {
                report(info);
            }
        }));
    });
}

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The examples of the page on handlers compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/handlers.md")]
pub struct Handlers;

/// The examples of the page on subscribers compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/subscribers.md")]
pub struct Subscribers;
