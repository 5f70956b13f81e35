use tasker_telemetry::prelude::*;

#[step]
async fn charge(n: u8) -> Result<u8, String> {
    let m: u8 = "x";
    Ok(n + m)
}

fn main() {}
