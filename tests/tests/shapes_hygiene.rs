//! The generated code means what it says whatever the user's names mean.
#![deny(warnings)]
#![no_implicit_prelude]

extern crate std as standard;

/// Items called like those of the prelude, of `core` and of this library.
mod shadowed {
    #![allow(dead_code, unused_macros, non_camel_case_types, non_snake_case)]

    pub(crate) struct Result;
    pub(crate) struct Option;
    pub(crate) struct String;
    pub(crate) struct Vec;
    pub(crate) struct Box;
    pub(crate) struct Err;
    pub(crate) struct Ok;
    pub(crate) struct Some;
    pub(crate) struct None;
    pub(crate) struct u8;
    pub(crate) struct bool;
    pub(crate) struct str;
    pub(crate) trait Future {}
    pub(crate) trait Fn {}
    pub(crate) trait FnOnce {}
    pub(crate) trait Clone {}
    pub(crate) trait From {}
    pub(crate) trait Into {}
    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod inventory {}
    pub(crate) mod tasker_telemetry {}
    pub(crate) mod prelude {}
    pub(crate) fn drop() {}
    pub(crate) fn fields() {}
    pub(crate) fn class() {}
    pub(crate) fn run_step() {}
    macro_rules! line {
        () => {
            ::core::compile_error!("the user's line!")
        };
    }
    macro_rules! file {
        () => {
            ::core::compile_error!("the user's file!")
        };
    }
    macro_rules! module_path {
        () => {
            ::core::compile_error!("the user's module_path!")
        };
    }
    macro_rules! unreachable {
        () => {
            ::core::compile_error!("the user's unreachable!")
        };
    }

    macro_rules! vec {
        () => {
            ::core::compile_error!("the user's vec!")
        };
    }

    use ::standard::primitive::u32;

    #[::tasker_telemetry::step(fields(a, b = %a, c = ?a))]
    pub(super) async fn asynchronous(a: u32) -> ::standard::result::Result<u32, ::standard::string::String> {
        ::standard::result::Result::Ok(a)
    }

    #[::tasker_telemetry::step(retry_limit = 2, backoff = "exponential")]
    pub(super) fn retried(a: u32) -> ::standard::result::Result<u32, ::standard::string::String> {
        ::standard::result::Result::Ok(a)
    }

    #[::tasker_telemetry::task(id = a, fields(a))]
    pub(super) fn task(
        a: u32,
    ) -> ::standard::pin::Pin<::standard::boxed::Box<dyn ::standard::future::Future<Output = u32>>> {
        let b = a;
        ::standard::boxed::Box::pin(async move { b })
    }

    #[::tasker_telemetry::step]
    pub(super) fn never() -> ! {
        ::standard::panic!("never")
    }

    #[::tasker_telemetry::step]
    pub(super) fn user_items_in_reach() -> Result {
        let _ = (Err, Ok, Some, None, Vec, String, Box, Option);
        Result
    }
}

mod tasker_telemetry {
    #[::tasker_telemetry::step]
    pub(super) fn step(a: ::standard::primitive::u8) -> ::standard::primitive::u8 {
        a
    }
}

fn block_on<F: ::standard::future::Future>(future: F) -> F::Output {
    let mut future = ::standard::boxed::Box::pin(future);
    let mut context = ::standard::task::Context::from_waker(::standard::task::Waker::noop());
    loop {
        if let ::standard::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

#[::standard::prelude::v1::test]
fn names_of_the_user_do_not_matter() {
    use ::standard::assert_eq;
    assert_eq!(block_on(shadowed::asynchronous(1)), ::standard::result::Result::Ok(1));
    assert_eq!(shadowed::retried(1), ::standard::result::Result::Ok(1));
    assert_eq!(block_on(shadowed::task(1)), 1);
    ::standard::assert!(::standard::panic::catch_unwind(|| shadowed::never()).is_err());
    let shadowed::Result = shadowed::user_items_in_reach();
    assert_eq!(tasker_telemetry::step(1), 1);
}
