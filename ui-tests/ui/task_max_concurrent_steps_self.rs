use tasker_telemetry::prelude::*;

struct Order;
impl Order {
    const BOUND: u32 = 3;

    #[task(max_concurrent_steps = Self::BOUND)]
    fn order(&self) {}
}

fn main() {}
