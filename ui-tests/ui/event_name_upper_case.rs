use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("Payment.Risk")]
struct RiskFlagged {
    amount: u64,
}

fn main() {}
