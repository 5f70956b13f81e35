//! A subscriber's thread writes each event over the last one that nobody kept: nothing of that one may be left.

use std::collections::{HashMap, HashSet};
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

/// Says how an event looks from all sides.
fn looks(event: &EventRecord) -> String {
    let (id, task, step, attempt) = (event.event_id(), event.task_id(), event.step_id(), event.attempt_number());
    let names = (event.name(), event.task_name(), event.step_name(), event.timestamp());
    format!("{id} {names:?} {task:?} {step:?} {attempt:?} {}", event.payload())
}

type Looks = Arc<Mutex<HashMap<String, String>>>;

/// Sees each event made for it alone: inline, nothing is written over anything.
#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual, inline)]
struct Fresh(Looks);

impl Fresh {
    fn handle_event(&self, event: &EventRecord) {
        self.0.lock().unwrap().insert(event.event_id(), looks(event));
    }
}

/// Sees events written over others, and keeps every third.
#[derive(Subscriber)]
#[subscribe("*")]
#[subscriber(manual)]
struct WrittenOver<const N: usize>(Looks, Arc<Mutex<Vec<EventRecord>>>);

impl<const N: usize> WrittenOver<N> {
    fn handle_event(&self, event: &EventRecord) {
        let mut looks_of = self.0.lock().unwrap();
        if looks_of.len().is_multiple_of(3) {
            self.1.lock().unwrap().push(event.clone());
        }
        looks_of.insert(event.event_id(), looks(event));
    }
}

/// Somebody's own event.
#[derive(serde::Serialize, Event)]
#[event("order.seen")]
struct Seen {
    order: String,
}

#[allow(clippy::ptr_arg, reason = "what `retry_if` gives")]
fn always(_: &String) -> bool {
    true
}

#[step(retry_limit = 3, retry_if = always, fields(order))]
fn fails(order: &str, times: u32) -> Result<(), String> {
    let attempt = StepScope::current().map_or(1, |step| step.attempt_number());
    if attempt <= times { Err(format!("no {order}")) } else { Ok(()) }
}

#[step]
fn outer_step(order: &str) {
    whose(order);
    publish(Seen { order: order.to_owned() });
    publish(event::observability::TaskStart::new(format!("worker of {order}")));
}

#[step]
async fn lets_another_go_on() {
    tokio::task::yield_now().await; // to the same step of another task
}

#[step]
async fn never_ends() {
    std::future::pending::<()>().await;
}

#[task(id = order, fields(order), correlation_id = format!("request-{}", order.len()))]
async fn eventful(order: String) -> Result<(), String> {
    for (number, times) in (0..order.len()).zip((0..5).cycle()) {
        outer_step(&order);
        let _ = fails(&order, times);
        if number.is_multiple_of(2) {
            lets_another_go_on().await;
        }
    }
    let _ = futures::poll!(Box::pin(never_ends())); // and is dropped
    publish(Seen { order: order.clone() });
    fails(&order, if order.len() > 1 { 3 } else { 0 })?;
    told(&order); // a task inside
    Ok(())
}

#[test]
fn all_events_look_as_if_each_were_made_for_itself() {
    for traced in [false, true] {
        let (fresh, over, kept) =
            (Looks::default(), [(); 3].map(|()| Looks::default()), Arc::<Mutex<Vec<_>>>::default());
        let mut builder = Telemetry::builder()
            .auto_subscribers(false)
            .subscriber(Fresh(Arc::clone(&fresh)))
            .subscriber(WrittenOver::<0>(Arc::clone(&over[0]), Arc::clone(&kept)))
            .subscriber(WrittenOver::<1>(Arc::clone(&over[1]), Arc::clone(&kept)))
            .subscriber(WrittenOver::<2>(Arc::clone(&over[2]), Arc::clone(&kept)));
        if traced {
            builder = builder.in_memory_spans(tasker_telemetry::trace::InMemorySpans::default());
        }
        let telemetry = builder.build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(telemetry.scope(async {
            let orders = ["a", "an order with a long name", "b", "c-4711"];
            let ends = futures::future::join_all(orders.map(|order| eventful(order.to_owned()))).await;
            assert!(ends.iter().any(Result::is_ok) && ends.iter().any(Result::is_err), "{ends:?}");
            whose("a step outside any task");
            publish(Seen { order: "outside".to_owned() });
        }));
        telemetry.flush_blocking().unwrap();
        let fresh = fresh.lock().unwrap();
        assert!(fresh.len() > 300, "{} events", fresh.len());
        for over in over {
            let over = over.lock().unwrap();
            assert_eq!(fresh.len(), over.len());
            for (id, looks) in &*fresh {
                assert_eq!(over.get(id), Some(looks));
            }
        }
        let kept = kept.lock().unwrap();
        assert!(kept.len() > 100);
        for event in &*kept {
            assert_eq!(fresh.get(&event.event_id()), Some(&looks(event)), "what was kept stays as it was");
        }
    }
}
