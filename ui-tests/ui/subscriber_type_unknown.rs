use tasker_telemetry::prelude::*;

#[derive(Default, Subscriber)]
#[subscribe(RiskFlagged)]
struct OnCall;

impl OnCall {
    fn handle_risk_flagged(&self, _: &EventRecord) {}
}

fn main() {}
