use std::{future::Future, pin::Pin};

use tasker_telemetry::prelude::*;

#[step(retry_limit = 3)]
fn charge(n: u8) -> Pin<Box<dyn Future<Output = Result<u8, String>> + Send>> {
    let m = n;
    Box::pin(async move { Ok(m) })
}

fn main() {}
