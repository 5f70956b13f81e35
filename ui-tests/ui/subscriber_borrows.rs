use tasker_telemetry::prelude::*;

#[derive(Subscriber)]
#[subscribe("task.failed")]
#[subscriber(manual)]
struct OnCall<'a> {
    name: &'a str,
}

impl OnCall<'_> {
    fn handle_task_failed(&self, _: &event::task::Failed) {}
}

fn main() {}
