use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe("payment.risk_flagged")]
struct OnCall;

impl OnCall {
    fn handle_payment_risk_flagged(&self, _: &String) {}
}

fn main() {}
