//! An engine moves a handler's futures between threads.
use std::rc::Rc;
use tasker_telemetry::prelude::*;

struct Charge;

impl StepHandler for Charge {
    type Output = u64;
    type Error = String;

    #[step(name = "charge")]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<u64, String> {
        let amount = Rc::new(1);
        std::future::ready(()).await;
        Ok(*amount)
    }
}

fn main() {}
