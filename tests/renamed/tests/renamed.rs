//! `crate = path`: a renamed dependency, and one that comes through the user's own crate.
#![deny(warnings)]

mod reexport {
    pub(crate) use telemetry as inner;
}

use telemetry::{RetryAdvice, Retryable, step, task};

#[derive(Debug, Clone, PartialEq)]
struct Declined;

impl Retryable for Declined {
    fn retry_advice(&self) -> RetryAdvice {
        RetryAdvice::Permanent
    }
}

const GENTLE: telemetry::Backoff = telemetry::Backoff::fixed();

#[step(crate = telemetry, retry_limit = 2, backoff = GENTLE, fields(a))]
fn absolute(a: u8) -> Result<u8, Declined> {
    if a == 0 { Err(Declined) } else { Ok(a) }
}

#[step(crate = ::telemetry)]
fn global(a: u8) -> u8 {
    a
}

#[task(crate = crate::reexport::inner, id = a, fields(a))]
fn through_us(a: u8) -> u8 {
    a
}

#[test]
fn the_runtime_is_found() {
    assert_eq!(absolute(1), Ok(1));
    assert_eq!(absolute(0), Err(Declined));
    assert_eq!((global(2), through_us(3)), (2, 3));
}
