//! A subscriber's thread writes each event over the last one that nobody kept: nothing of that one may be left.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tasker_telemetry::event::{step, task};
use tasker_telemetry::prelude::*;

#[step]
fn whose(order: &str) -> String {
    order.to_owned()
}

#[task(id = order)]
fn told(order: &str) {
    whose(order);
}

/// Keeps what the structs say themselves.
#[derive(Default, Clone, Subscriber)]
#[subscribe("step.completed", "task.completed")]
#[subscriber(manual)]
struct Structs(Arc<Mutex<Vec<(String, String, String)>>>);

impl Structs {
    fn handle_step_completed(&self, event: &step::Completed) {
        let (task, step) = (event.task_id.clone(), event.step_id.clone());
        self.0.lock().unwrap().push((task, step, event.event_id.clone()));
    }

    fn handle_task_completed(&self, event: &task::Completed) {
        self.0.lock().unwrap().push((event.task_id.clone(), event.task_name.clone(), event.event_id.clone()));
    }
}

#[test]
fn an_event_that_is_written_over_the_last_says_nothing_of_it() {
    let structs = Structs::default();
    let telemetry = Telemetry::builder().auto_subscribers(false).subscriber(structs.clone()).build().unwrap();
    let orders = ["a rather long order", "b", "c", "dd"];
    telemetry.in_scope(|| orders.iter().for_each(|order| told(order)));
    telemetry.flush_blocking().unwrap();
    let seen = structs.0.lock().unwrap();
    let tasks: Vec<_> = seen.iter().map(|(task, ..)| task.as_str()).collect();
    assert_eq!(tasks, orders.iter().flat_map(|order| [*order, *order]).collect::<Vec<_>>());
    let texts: HashSet<_> = seen.iter().flat_map(|(_, of, event)| [of, event]).collect();
    assert_eq!(texts.len(), 4 + 8 + 1, "each step and each event has its id, the tasks have one name: {seen:?}");
    assert!(texts.iter().all(|text| text.len() == 36 || *text == "told"), "{seen:?}");
}
