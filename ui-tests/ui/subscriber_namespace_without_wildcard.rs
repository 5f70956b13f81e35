use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("task")]
struct OnCall;

fn main() {}
