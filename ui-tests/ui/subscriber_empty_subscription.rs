use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe()]
struct OnCall;

fn main() {}
