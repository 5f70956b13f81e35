//! What subscribers are given.

use tasker_telemetry::prelude::*;

use crate::garden::Out;
use crate::program::{Met, Sold};

/// Everything.
#[derive(Subscriber)]
#[subscriber(manual)]
#[subscribe("*")]
pub(crate) struct All(pub(crate) Out);

impl All {
    fn handle_event(&self, event: &EventRecord) {
        self.0.put("events", serde_json::to_string(event).unwrap().as_bytes());
        self.0.put("events", format!("{event:?}").as_bytes());
    }
}

/// Typed payloads, where they are published.
#[derive(Subscriber)]
#[subscriber(manual, inline)]
#[subscribe("canary.met", "canary.sold", "step.failed", "task.failed")]
pub(crate) struct Typed(pub(crate) Out);

impl Typed {
    fn handle_canary_met(&self, event: &Met) {
        self.0.put("typed", format!("{event:?} {}", serde_json::to_string(event).unwrap()).as_bytes());
    }

    fn handle_canary_sold(&self, event: &Sold) {
        self.0.put("typed", format!("{event:?} {}", serde_json::to_string(event).unwrap()).as_bytes());
    }

    fn handle_step_failed(&self, event: &event::step::Failed) {
        self.0.put("typed", format!("{event:?}").as_bytes());
        panic!("the subscriber panicked with {}", event.error_message); // which the panic hook prints, and is logged
    }

    fn handle_task_failed(&self, event: &event::task::Failed) -> Result<(), String> {
        self.0.put("typed", format!("{event:?}").as_bytes());
        Err(format!("the subscriber failed with {}", event.error_message)) // which is logged
    }
}
