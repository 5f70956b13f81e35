use tasker_telemetry::prelude::*;

#[step(publishes("payment.risk_flagged"))]
fn charge() {}

fn main() {}
