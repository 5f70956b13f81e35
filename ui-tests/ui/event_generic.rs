use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("payment.risk")]
struct Risk<T> {
    amount: T,
}

fn also(risk: Risk<u64>) {
    publish(risk);
}

fn main() {}
