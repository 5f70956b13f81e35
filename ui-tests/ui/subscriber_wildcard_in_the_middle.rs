use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("task.fail*", "*.failed")]
struct OnCall;

fn main() {}
