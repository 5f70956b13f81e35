use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("task.done")]
struct Done;

fn main() {}
