use tasker_telemetry::prelude::*;

trait Charge {
    #[step]
    fn charge(&self);
}

fn main() {}
