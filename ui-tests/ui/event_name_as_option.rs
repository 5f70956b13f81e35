use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event(name = "payment.risk_flagged")]
struct RiskFlagged {
    amount: u64,
}

fn main() {}
