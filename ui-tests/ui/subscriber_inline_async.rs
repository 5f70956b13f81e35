use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("task.failed")]
#[subscriber(inline)]
struct OnCall;

impl OnCall {
    async fn handle_task_failed(&self, _: &event::task::Failed) {}
}

fn main() {}
