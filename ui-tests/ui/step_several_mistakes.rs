use tasker_telemetry::prelude::*;

#[step(nam = "a", retry_limit = 0, backoff = "linear", retry_if = |e| true)]
const fn pay(x: &mut u8) -> u8 {
    *x
}

fn main() {}
