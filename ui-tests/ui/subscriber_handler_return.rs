use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("task.failed", "step.failed")]
struct OnCall;

impl OnCall {
    fn handle_task_failed(&self, _: &event::task::Failed) -> u32 {
        0
    }

    async fn handle_step_failed(&self, _: &event::step::Failed) -> u32 {
        0
    }
}

fn main() {}
