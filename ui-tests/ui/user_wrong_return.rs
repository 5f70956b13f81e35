use tasker_telemetry::prelude::*;

#[step]
fn charge(early: bool) -> Result<u8, String> {
    if early {
        return 5;
    }
    Ok(1)
}

fn main() {}
