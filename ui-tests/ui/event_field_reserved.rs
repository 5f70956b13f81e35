use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk")]
struct Risk {
    task_id: u64,
}

fn main() {}
