//! A handler's `process` in an `impl` that is no handler's.
use tasker_telemetry::prelude::*;

struct Charge;

impl Charge {
    #[step(name = "charge")]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<u64, String> {
        Ok(1)
    }
}

fn main() {}
