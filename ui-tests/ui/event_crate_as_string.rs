use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk", crate = "tasker_telemetry")]
struct Risk {
    amount: u64,
}

fn main() {}
