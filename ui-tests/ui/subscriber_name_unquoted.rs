use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe(task.failed)]
struct OnCall;

impl OnCall {
    fn handle_task_failed(&self, _: &event::task::Failed) {}
}

fn main() {}
