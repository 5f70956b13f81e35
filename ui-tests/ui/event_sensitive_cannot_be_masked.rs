use tasker_telemetry::prelude::*;

#[derive(Serialize)]
struct Card(String);

#[derive(Serialize, Event)]
#[event("payment.risk")]
struct Risk {
    #[event(sensitive)]
    card: Card,
    #[event(sensitive)]
    others: [Card; 3],
}

fn main() {}
