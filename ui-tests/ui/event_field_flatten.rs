use tasker_telemetry::prelude::*;

#[derive(Serialize)]
struct Card {
    number: String,
}

#[derive(Serialize, Event)]
#[event("payment.risk")]
struct Risk {
    #[serde(flatten)]
    card: Card,
}

fn main() {}
