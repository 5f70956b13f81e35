//! What runs a handler is not the handler's business.
use tasker_telemetry::prelude::*;

struct Charge;

impl StepHandler for Charge {
    type Output = u64;
    type Error = String;

    #[step(name = "charge")]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<u64, String> {
        Ok(1)
    }

    async fn handle(&self) -> Result<u64, String> {
        Ok(2)
    }
}

fn main() {}
