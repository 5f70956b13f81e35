use tasker_telemetry::prelude::*;

struct Order;
impl Order {
    #[task]
    async fn run(&self) {}
}

fn main() {}
