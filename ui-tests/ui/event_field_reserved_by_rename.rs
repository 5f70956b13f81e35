use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk")]
struct Risk {
    #[serde(rename = "timestamp")]
    at: u64,
}

fn main() {}
