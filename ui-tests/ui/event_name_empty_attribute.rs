use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event]
struct RiskFlagged {
    amount: u64,
}

fn main() {}
