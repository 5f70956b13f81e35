use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event(payment.risk)]
struct RiskFlagged {
    amount: u64,
}

fn main() {}
