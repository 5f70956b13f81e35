use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
struct OnCall;

fn main() {}
