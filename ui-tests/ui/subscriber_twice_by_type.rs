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
#[subscribe("order.ready", "payment.risk_flagged", RiskFlagged)]
struct OnCall;

impl OnCall {
    fn handle_order_ready(&self, _: &OrderReady) {}
    fn handle_payment_risk_flagged(&self, _: &RiskFlagged) {}
    fn handle_risk_flagged(&self, _: &RiskFlagged) {}
}

fn main() {}
