use tasker_telemetry::prelude::*;

fn wanted(name: &str) -> bool {
    !name.is_empty()
}

#[derive(Default, Subscriber)]
#[subscribe("task.failed")]
#[subscriber(filter = wanted)]
struct OnCall;

impl OnCall {
    fn handle_task_failed(&self, _: &event::task::Failed) {}
}

fn main() {}
