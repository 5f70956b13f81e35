use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk")]
enum Risk {
    High,
    Low,
}

fn main() {}
