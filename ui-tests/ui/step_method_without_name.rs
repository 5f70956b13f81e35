use tasker_telemetry::prelude::*;

struct Charge;
impl Charge {
    #[step]
    async fn process(&self) {}
}

fn main() {}
