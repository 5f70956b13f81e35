use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
struct RiskFlagged {
    amount: u64,
}

fn main() {}
