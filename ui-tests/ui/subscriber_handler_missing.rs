use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("task.failed")]
struct OnCall;

fn main() {}
