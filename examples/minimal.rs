//! The least there is: a step, and a subscriber that sees its events. No runtime is needed.

#![allow(clippy::unused_self, reason = "a handler takes `&self`, whether its subscriber has state or not")]

use tasker_telemetry::prelude::*;

#[step]
fn greet(name: &str) -> String {
    format!("Hello, {name}!")
}

#[derive(Default, Subscriber)] // `Default`: it registers itself
#[subscribe("*")]
struct Print;

impl Print {
    fn handle_event(&self, event: &EventRecord) {
        println!("{} {}", event.timestamp(), event.name());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _telemetry = Telemetry::builder().install()?; // its drop waits until every event has been seen
    println!("{}", greet("world"));
    Ok(())
}
