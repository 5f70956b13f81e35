use tasker_telemetry::prelude::*;

#[task(nmae = "order")]
fn order() {}

fn main() {}
