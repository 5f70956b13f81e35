//! `retry_if` judges another error than the handler's.
use tasker_telemetry::prelude::*;

struct Charge;

fn is_busy(error: &u32) -> bool {
    *error == 1
}

impl StepHandler for Charge {
    type Output = u64;
    type Error = String;

    #[step(name = "charge", retry_limit = 3, retry_if = is_busy)]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<u64, String> {
        Ok(1)
    }
}

fn main() {}
