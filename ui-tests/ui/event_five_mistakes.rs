use tasker_telemetry::prelude::*;

#[derive(Serialize, Event)]
#[event("Risk", colour = 3)]
struct Risk {
    #[event(sensitve)]
    card_number: String,
    task_id: u64,
    #[serde(rename = "card_number")]
    other_card: String,
}

fn also(risk: Risk) {
    publish(risk);
}

fn main() {}
