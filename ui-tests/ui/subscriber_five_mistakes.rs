use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("task.faild", "order", "order.ready", "order.ready", task.failed)]
#[subscriber(manul)]
struct OnCall;

impl OnCall {
    fn handle_order_ready(&self, _: &EventRecord) {}
}

fn also() {
    let _ = Telemetry::builder().subscriber(OnCall);
}

fn main() {}
