use tasker_telemetry::prelude::*;

struct RiskFlagged;

#[step(publishes(RiskFlagged))]
fn charge() {}

fn main() {}
