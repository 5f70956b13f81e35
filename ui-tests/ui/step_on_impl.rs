use tasker_telemetry::prelude::*;

struct Charge;

#[step]
impl Charge {
    fn charge(&self) {}
}

fn main() {}
