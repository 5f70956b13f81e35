use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("task.sub.*")]
struct OnCall;

impl OnCall {
    fn handle_event(&self, _: &EventRecord) {}
}

fn main() {}
