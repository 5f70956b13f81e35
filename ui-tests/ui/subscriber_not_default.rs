use tasker_telemetry::prelude::*;

#[derive(Subscriber)]
#[subscribe("task.failed")]
struct OnCall {
    number: u64,
}

impl OnCall {
    fn handle_task_failed(&self, _: &event::task::Failed) {}
}

fn main() {}
