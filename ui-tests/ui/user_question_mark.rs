use tasker_telemetry::prelude::*;

#[step]
fn charge(text: &str) -> u8 {
    let n: u8 = text.parse()?;
    n
}

fn main() {}
