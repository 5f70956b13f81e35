use tasker_telemetry::prelude::*;

#[step]
async fn charge(text: String) -> String {
    drop(text);
    text
}

fn main() {}
