//! Steps that are methods of a trait object: the shape of frameworks which hand work to handlers.
//!
//! `#[step]` stands on the method of the impl, below `#[async_trait]`. A method that is called `handle`, `call`, `run` or
//! `process` needs a name: its own would say nothing in a list of steps.

#![allow(clippy::unused_self, reason = "a handler takes `&self`, whether its subscriber has state or not")]

use async_trait::async_trait;
use tasker_telemetry::prelude::*;

#[derive(Debug, thiserror::Error)]
enum StageError {
    #[error("the printer is jammed")]
    Jammed,
}

#[async_trait]
trait Stage: Send + Sync {
    async fn handle(&self, parcel: &str) -> Result<String, StageError>;
}

struct Pack;

#[async_trait]
impl Stage for Pack {
    #[step(name = "pack")]
    async fn handle(&self, parcel: &str) -> Result<String, StageError> {
        Ok(format!("packed {parcel}"))
    }
}

struct Label;

#[async_trait]
impl Stage for Label {
    #[step(name = "label", retry_limit = 2)]
    async fn handle(&self, parcel: &str) -> Result<String, StageError> {
        // The step knows which attempt this is; business logic rarely asks.
        match StepScope::current().map_or(1, |step| step.attempt_number()) {
            1 => Err(StageError::Jammed),
            _ => Ok(format!("labelled {parcel}")),
        }
    }
}

#[task(fields(stages = stages.len()))]
async fn prepare(stages: &[Box<dyn Stage>], parcel: &str) -> Result<String, StageError> {
    let mut parcel = parcel.to_owned();
    for stage in stages {
        parcel = stage.handle(&parcel).await?;
    }
    Ok(parcel)
}

#[derive(Default, Subscriber)]
#[subscribe("step.completed", "step.failed")]
struct Print;

impl Print {
    fn handle_step_completed(&self, event: &event::step::Completed) {
        println!("{:5} attempt {} completed", event.step_name, event.attempt_number);
    }

    fn handle_step_failed(&self, event: &event::step::Failed) {
        println!(
            "{:5} attempt {} failed: {} ({})",
            event.step_name, event.attempt_number, event.error_message, event.error_class
        );
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::builder().service_name("parcels").install()?;
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(Pack), Box::new(Label)];
    let parcel = prepare(&stages, "tea").await?;
    telemetry.shutdown().await?;
    println!("{parcel}");
    Ok(())
}
