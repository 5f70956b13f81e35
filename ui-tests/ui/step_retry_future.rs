use std::future::Future;

use tasker_telemetry::prelude::*;

#[step(retry_limit = 3)]
fn charge(n: u8) -> impl Future<Output = Result<u8, String>> {
    let m = n;
    async move { Ok(m) }
}

fn main() {}
