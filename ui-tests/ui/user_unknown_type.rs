use tasker_telemetry::prelude::*;

#[step]
async fn charge() -> Resul<u8, String> {
    Ok(1)
}

fn main() {}
