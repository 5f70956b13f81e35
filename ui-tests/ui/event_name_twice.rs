use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk")]
#[event("payment.risk_flagged")]
struct RiskFlagged {
    amount: u64,
}

fn main() {}
