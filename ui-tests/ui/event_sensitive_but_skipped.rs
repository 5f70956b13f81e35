use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk")]
struct Risk {
    #[serde(skip)]
    #[event(sensitive)]
    card_number: String,
}

fn main() {}
