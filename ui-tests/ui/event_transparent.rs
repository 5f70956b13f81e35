use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk")]
#[serde(transparent)]
struct Risk {
    amount: u64,
}

fn main() {}
