use tasker_telemetry::prelude::*;

struct NotAnEvent;

#[derive(Default, Subscriber)]
#[subscribe(NotAnEvent)]
struct OnCall;

impl OnCall {
    fn handle_not_an_event(&self, _: &NotAnEvent) {}
}

fn main() {}
