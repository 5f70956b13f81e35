use tasker_telemetry::prelude::*;

struct Charge;
impl Charge {
    const TRIES: u32 = 3;

    #[step(retry_limit = Self::TRIES)]
    fn charge(&self) -> Result<(), String> {
        Ok(())
    }
}

fn main() {}
