use tasker_telemetry::prelude::*;

struct Cart;
impl Cart {
    #[step(retry_limit = 3)]
    async fn charge(self) -> Result<(), String> {
        drop(self);
        Ok(())
    }
}

fn main() {}
