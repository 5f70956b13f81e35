//! `submit`: puts orders into the queue. `embedded`: does without one.

use futures_util::{StreamExt as _, stream};
use tasker_telemetry_apalis::{NewTask, start_task_after};

use crate::BoxError;
use crate::args::{Output, Submit};
use crate::backend::{self, Store};
use crate::gateway::Gateway;
use crate::graph::NAME;
use crate::orders;
use crate::parcel::Parcel;
use crate::workflow;

pub(crate) async fn submit(store: &Store, args: &Submit, output: &Output) -> Result<(), BoxError> {
    let orders = orders::load(&args.orders, None).map_err(|error| error.to_string())?;
    let (count, mut first) = (orders.len(), None);
    for order in orders {
        let task = NewTask::new(NAME)
            .id(&order.id)
            .field("customer", order.customer.clone())
            .field("lines", order.lines.len())
            .field("total", order.total().to_string());
        let parcel = Parcel::new(args.seed, args.speed, order);
        let started = match store {
            Store::Sqlite(pool) => {
                let mut queue = backend::sqlite_queue(pool, 1, std::time::Duration::from_secs(10));
                start_task_after(&mut queue, task, parcel, args.delay).await?
            }
            Store::Postgres(pool) => {
                let mut queue = backend::postgres_queue(pool, 1, std::time::Duration::from_secs(10));
                start_task_after(&mut queue, task, parcel, args.delay).await?
            }
        };
        first.get_or_insert(started);
    }
    if !output.json
        && let Some(first) = first
    {
        let trace = first.carrier.traceparent().and_then(|parent| parent.split('-').nth(1)).unwrap_or("none");
        println!("{count} orders submitted. {}: job {}, trace {trace}", first.carrier.task_id(), first.job_id);
    }
    Ok(())
}

/// So many orders are under way at once.
const AT_ONCE: usize = 8;

/// Processes the orders here and now, as the example `order_process` does.
pub(crate) async fn embedded(args: &Submit) -> Result<(), BoxError> {
    let orders = orders::load(&args.orders, None).map_err(|error| error.to_string())?;
    let shop = Gateway::new(args.seed, args.speed);
    let process = async |order| drop(workflow::order_process(&shop, &order).await);
    stream::iter(orders).for_each_concurrent(AT_ONCE, process).await;
    Ok(())
}
