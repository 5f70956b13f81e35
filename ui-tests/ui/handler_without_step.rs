//! A handler whose `process` is not declared as a step.
use tasker_telemetry::prelude::*;

struct Charge;

impl StepHandler for Charge {
    type Output = u64;
    type Error = String;

    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<u64, String> {
        Ok(1)
    }
}

fn main() {}
