//! What the filter costs: `cargo bench -p benchmarks --bench filter`.
//!
//! Each is measured with the default list and with the filter off, in turns; times are nanoseconds an operation, the median and
//! the least of the rounds, on the publishing thread. What is published goes to a subscriber that declines it, on its own thread.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tasker_telemetry::prelude::*;
use tasker_telemetry::{Regex, declare_event};

const ROUNDS: usize = 41;
const EVENTS: u32 = 2_000;

/// Twelve fields, as many of each type as events tend to have.
#[derive(Serialize, Event)]
#[event("bench.typed")]
struct Typed {
    order_id: u64,
    customer_id: u64,
    currency: &'static str,
    amount: f64,
    lines: u32,
    express: bool,
    warehouse: &'static str,
    weight: f64,
    attempt: u8,
    carrier: Option<&'static str>,
    discount: Option<f64>,
    region: &'static str,
}

/// The same, with a field that is masked.
#[derive(Serialize, Event)]
#[event("bench.masked")]
struct Masked {
    order_id: u64,
    currency: &'static str,
    customer_email: Option<u32>,
}

/// The same, with a field that has names inside.
#[derive(Serialize, Event)]
#[event("bench.nested")]
struct Nested {
    order_id: u64,
    sizes: [Size; 4],
}

#[derive(Serialize, Clone, Copy)]
struct Size {
    width: u32,
    height: u32,
}

declare_event!("bench.dynamic", "Anything.");

const fn typed(order_id: u64) -> Typed {
    Typed {
        order_id,
        customer_id: 7,
        currency: "EUR",
        amount: 176.2,
        lines: 4,
        express: true,
        warehouse: "north",
        weight: 2.5,
        attempt: 1,
        carrier: Some("post"),
        discount: None,
        region: "eu",
    }
}

/// A payload of about 1 kB.
fn dynamic() -> Json {
    let line =
        |sku: &str| json!({"sku": sku, "name": "Tea, green, 100 g", "quantity": 2, "price": 12.5, "in_stock": true});
    json!({
        "order": {"number": "ORD-1044", "placed_at": "2026-11-25T10:00:00Z", "currency": "EUR", "total": 176.2},
        "customer": {"name": "Omar Benali", "email": "omar@example.org", "city": "Lyon", "country": "FR"},
        "payment": {"method": "card", "credit_card": {"brand": "visa", "holder": "O. Benali", "access_token": "t-1"}},
        "lines": [line("TEA-003"), line("POT-003"), line("CUP-003"), line("GFT-001"), line("TEA-009"), line("TEA-010")],
        "notes": ["leave at the door", "ring twice"], "campaign": {"source": "newsletter", "medium": "mail", "name": "autumn"},
        "shipping": {"method": "express", "street": "1 rue de la Paix", "zip": "69001", "insured": false},
    })
}

/// Publishes so many events and says how long one took.
type Publish = fn(u32) -> f64;

fn each(events: u32, mut publish: impl FnMut(u32)) -> f64 {
    let begun = Instant::now();
    (0..events).for_each(&mut publish);
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(events)
}

/// The median of single times: the payload is made between two, and is as warm as one that has just been made.
fn one_by_one(events: u32, mut publish: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<Duration> = (0..events).map(|_| publish()).collect();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e9
}

fn candidates() -> Vec<(&'static str, Publish)> {
    vec![
        ("typed event, 12 plain fields", |events| each(events, |n| publish(black_box(typed(u64::from(n)))))),
        ("typed event, 1 of 3 fields masked", |events| {
            each(events, |n| {
                publish(black_box(Masked { order_id: u64::from(n), currency: "EUR", customer_email: Some(n) }));
            })
        }),
        ("typed event, 4 structs inside", |events| {
            each(events, |n| {
                publish(black_box(Nested { order_id: u64::from(n), sizes: [Size { width: n, height: 1 }; 4] }));
            })
        }),
        ("JSON of 1 kB", |events| {
            let payload = dynamic();
            one_by_one(events, || {
                let payload = payload.clone();
                let begun = Instant::now();
                publish_event("bench.dynamic", black_box(payload)).expect("it is declared");
                begun.elapsed()
            })
        }),
    ]
}

/// Takes what is published, and does nothing.
#[derive(Subscriber)]
#[subscriber(manual, filter = none)]
#[subscribe("*")]
struct Declines;

impl Declines {
    #[allow(clippy::unused_self, reason = "the form of a handler")]
    fn handle_event(&self, _event: &EventRecord) {}
}

const fn none(_: &EventRecord) -> bool {
    false
}

fn telemetry(rules: Option<&[&str]>, values: &[Regex]) -> Telemetry {
    let builder = Telemetry::builder().auto_subscribers(false).subscriber(Declines).filter_values(values);
    let builder = match rules {
        None => builder,
        Some(rules) => builder.filter_parameters(rules),
    };
    builder.build().expect("it builds")
}

fn main() {
    println!("the payload has {} bytes", dynamic().to_string().len());
    let cards = [Regex::new(r"\b\d{4}(?:[ -]?\d{4}){3}\b").expect("an expression")];
    let filters = [
        ("off", telemetry(Some(&[]), &[])),
        ("default list", telemetry(None, &[])),
        ("and an expression for values", telemetry(None, &cards)),
    ];
    let candidates = candidates();
    let mut times = vec![vec![Vec::new(); filters.len()]; candidates.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in candidates.iter().zip(&mut times) {
            for ((_, telemetry), times) in filters.iter().zip(times) {
                times.push(telemetry.in_scope(|| run(EVENTS)));
                telemetry.flush_blocking().expect("the subscriber keeps up");
            }
        }
    }
    for ((name, _), times) in candidates.iter().zip(&mut times) {
        println!("\n{name:<44} {:>10} {:>10}", "median", "least");
        for ((filter, _), times) in filters.iter().zip(times) {
            times.sort_by(f64::total_cmp);
            println!("  filter {filter:<35} {:>7.1} ns {:>7.1} ns", times[times.len() / 2], times[0]);
        }
    }
}
