use tasker_telemetry::prelude::*;

fn busy(_: &String) -> bool {
    true
}

#[step(retry_limit = 3, retry_if = busy)]
fn charge() -> u8 {
    1
}

fn main() {}
