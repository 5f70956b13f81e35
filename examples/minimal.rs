//! The least there is: a step, a task, and a subscriber that sees every event.

use tasker_telemetry::prelude::*;

#[step(retry_limit = 3)]
async fn parse(text: &str) -> Result<i32, std::num::ParseIntError> {
    text.parse()
}

#[task]
async fn double(text: &str) -> Result<i32, std::num::ParseIntError> {
    Ok(parse(text).await? * 2)
}

#[derive(Default, Subscriber)] // `Default`: it registers itself
#[subscribe("*")]
struct Print;

impl Print {
    fn handle_event(&self, event: &EventRecord) {
        println!("{} {:24} {}", event.timestamp(), event.name(), event.step_name().unwrap_or_default());
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::builder().service_name("minimal").install()?;
    println!("{}", double("21").await?);
    telemetry.shutdown().await?;
    Ok(())
}
