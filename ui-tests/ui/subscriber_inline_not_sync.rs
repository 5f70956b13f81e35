use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("task.failed")]
#[subscriber(inline)]
struct OnCall {
    seen: std::cell::Cell<u32>,
}

impl OnCall {
    fn handle_task_failed(&self, _: &event::task::Failed) {}
}

fn main() {}
