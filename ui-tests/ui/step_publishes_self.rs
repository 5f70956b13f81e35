use tasker_telemetry::prelude::*;

struct Flag;
impl Flag {
    #[step(publishes(Self))]
    fn charge(&self) {}
}

fn main() {}
