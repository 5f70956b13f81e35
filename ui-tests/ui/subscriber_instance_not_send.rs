use tasker_telemetry::prelude::*;

#[derive(Subscriber)]
#[subscribe("task.failed")]
#[subscriber(manual)]
struct OnCall {
    seen: std::rc::Rc<u32>,
}

impl OnCall {
    fn handle_task_failed(&self, _: &event::task::Failed) {}
}

fn also(on_call: OnCall) {
    let _ = Telemetry::builder().subscriber(on_call);
}

fn main() {}
