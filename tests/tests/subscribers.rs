//! The subscribers that stand ready, each against a peer of the test's own that speaks its protocol.

#[path = "subscribers/alerts.rs"]
mod alerts;
#[path = "subscribers/json_lines.rs"]
mod json_lines;
#[path = "subscribers/sentry.rs"]
mod sentry_events;
#[path = "subscribers/statsd.rs"]
mod statsd;

use tasker_telemetry::Health;
use tasker_telemetry::prelude::*;

/// Where a task's failure comes from.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("the card ending in {0} was declined <&>")]
    Declined(u32),
    #[error("no gateway")]
    GatewayTimeout(#[source] std::io::Error),
}

#[step(name = "charge", retry_limit = 2)]
async fn charge(order: u64) -> Result<u64, OrderError> {
    match order {
        0 => Ok(7),
        1 => Err(OrderError::GatewayTimeout(std::io::ErrorKind::ConnectionReset.into())),
        card => Err(OrderError::Declined(u32::try_from(card).unwrap_or_default())),
    }
}

#[task(name = "order_process", id = id)]
async fn order(id: &str, order: u64) -> Result<u64, OrderError> {
    charge(order).await
}

/// Published, delivered and failed of the one subscriber, with the last error.
fn books(health: &Health, name: &str) -> (u64, u64, u64, String) {
    let books = health.subscriber(name).expect("it is registered");
    (books.published, books.delivered, books.failed, books.last_error.clone().unwrap_or_default())
}
