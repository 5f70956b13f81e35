use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("RiskFlagged")]
struct RiskFlagged {
    amount: u64,
}

fn main() {}
