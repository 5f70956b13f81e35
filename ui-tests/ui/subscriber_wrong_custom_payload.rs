use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk_flagged")]
struct RiskFlagged {
    amount: u64,
}

#[derive(Serialize, Event)]
#[event("order.ready")]
struct OrderReady;

#[derive(Default, Subscriber)]
#[subscribe("payment.risk_flagged")]
struct OnCall;

impl OnCall {
    fn handle_payment_risk_flagged(&self, _: &OrderReady) {}
}

fn main() {}
