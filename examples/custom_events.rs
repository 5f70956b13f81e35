//! Events of your own, and the ways to subscribe to them: by name, by type, with a filter, with state, behind a queue or
//! inline.

#![allow(clippy::unused_self, reason = "a handler takes `&self`, whether its subscriber has state or not")]

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tasker_telemetry::prelude::*;

/// A parcel left the warehouse.
#[derive(Debug, Clone, Serialize, Event)]
#[event("parcel.sent")]
struct ParcelSent {
    /// What the carrier calls it.
    tracking_number: String,
    /// In grams.
    weight: u32,
    /// To whom it goes. Masked before anybody sees it.
    #[event(sensitive)]
    address: String,
}

/// A product will soon be sold out.
#[derive(Debug, Clone, Serialize, Event)]
#[event("stock.low")]
struct StockLow {
    /// The product.
    sku: String,
    /// How many pieces there are.
    pieces: u32,
}

/// `publishes` tells the catalog who fires an event; publishing itself needs no declaration.
#[step(publishes(ParcelSent, StockLow))]
fn send(number: u32, pieces: u32) {
    let tracking_number = format!("TRK-{number}");
    publish(ParcelSent { tracking_number, weight: 250 * number, address: "1 Sesame Street".to_owned() });
    if pieces < 5 {
        publish(StockLow { sku: "TEA-001".to_owned(), pieces });
    }
}

#[task(id = format!("delivery-{number}"))]
fn deliver(number: u32, pieces: u32) {
    send(number, pieces);
}

/// By name and by type: the payload's type is the handler's parameter. Handlers may be async, and may fail.
#[derive(Default, Subscriber)]
#[subscribe("parcel.sent", StockLow)]
struct Warehouse;

impl Warehouse {
    fn handle_parcel_sent(&self, event: &ParcelSent) {
        println!("warehouse: {} ({} g) to {}", event.tracking_number, event.weight, event.address);
    }

    async fn handle_stock_low(&self, event: &StockLow) -> Result<(), std::io::Error> {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await; // an order to the supplier
        println!("warehouse: only {} of {} left", event.pieces, event.sku);
        Ok(())
    }
}

/// With a filter: only heavy parcels reach the handler.
#[derive(Default, Subscriber)]
#[subscribe("parcel.*")]
#[subscriber(filter = is_heavy)]
struct Forklift;

impl Forklift {
    fn handle_event(&self, event: &EventRecord) {
        if let Some(parcel) = event.downcast_ref::<ParcelSent>() {
            println!("forklift:  {}", parcel.tracking_number);
        }
    }
}

fn is_heavy(event: &EventRecord) -> bool {
    event.numeric("weight", 0.0) >= 500.0
}

/// With state of its own, so not `Default`: the instance is handed to the builder. `inline` runs it on the publishing
/// thread, which is right for what takes no time.
#[derive(Subscriber)]
#[subscribe("parcel.sent")]
#[subscriber(manual, inline)]
struct Scales {
    grams: &'static AtomicU64,
}

impl Scales {
    fn handle_parcel_sent(&self, event: &ParcelSent) {
        self.grams.fetch_add(u64::from(event.weight), Ordering::Relaxed);
    }
}

static GRAMS: AtomicU64 = AtomicU64::new(0);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::builder().service_name("warehouse").subscriber(Scales { grams: &GRAMS }).install()?;

    deliver(1, 40);
    deliver(2, 3);

    // A name that is known at run time only. It must be in the catalog. Handlers that take the event's type do not get it,
    // since this is no value of that type: it is counted as dropped for them. Those that take `&EventRecord` do.
    publish_event("stock.low", json!({ "sku": "CUP-002", "pieces": 1 }))?;
    if let Err(error) = publish_event("stock.lo", json!({})) {
        println!("refused:   {error}");
    }

    telemetry.shutdown().await?;
    println!("scales:    {} g in all", GRAMS.load(Ordering::Relaxed));
    for subscriber in telemetry.health().subscribers {
        println!(
            "{}: {} published, {} delivered, {} filtered, dropped {:?}",
            subscriber.name, subscriber.published, subscriber.delivered, subscriber.filtered, subscriber.dropped
        );
    }
    Ok(())
}
