use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk")]
struct Risk {
    #[event(sensitve)]
    card_number: String,
}

fn main() {}
