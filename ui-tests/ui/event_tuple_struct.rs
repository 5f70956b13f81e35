use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk")]
struct Risk(u64);

fn main() {}
