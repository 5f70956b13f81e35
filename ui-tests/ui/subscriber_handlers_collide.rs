use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("order.risk_flagged", "order.risk.flagged")]
struct OnCall;

impl OnCall {
    fn handle_order_risk_flagged(&self, _: &EventRecord) {}
}

fn main() {}
