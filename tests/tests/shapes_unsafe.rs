//! `#[step]` on unsafe functions.
#![deny(warnings)]
#![allow(unsafe_code, reason = "what is tested here is that unsafe functions stay what they are")]

#[allow(unused_imports, reason = "in the prelude of edition 2024")]
use std::future::Future as _;

use tasker_telemetry::prelude::*;

/// # Safety
/// `pointer` must be valid.
#[step]
#[allow(unsafe_op_in_unsafe_fn)]
unsafe fn read(pointer: *const u8) -> u8 {
    *pointer
}

/// # Safety
/// `pointer` must be valid.
#[step]
unsafe fn read_in_a_block(pointer: *const u8) -> Option<u8> {
    if pointer.is_null() {
        return None;
    }
    Some(unsafe { *pointer })
}

struct Reader(*const u8);

impl Reader {
    /// # Safety
    /// The pointer must be valid.
    #[step]
    async unsafe fn read(&self) -> u8 {
        unsafe { read(self.0) }
    }
}

#[test]
fn unsafe_functions() {
    let byte = 7;
    assert_eq!(unsafe { read(&raw const byte) }, 7);
    assert_eq!(unsafe { read_in_a_block(&raw const byte) }, Some(7));
    let reader = Reader(&raw const byte);
    let mut future = Box::pin(unsafe { reader.read() });
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert_eq!(future.as_mut().poll(&mut context), std::task::Poll::Ready(7));
}
