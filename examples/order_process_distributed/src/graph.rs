//! The order process as a graph: each node calls the steps that `order_process` calls at that point, and hands on what they
//! found out.

use apalis_core::backend::{Backend, BackendConfig, WireFormatBackend};
use apalis_core::task::task_fn::task_fn;
use apalis_sqlite::JsonCodec;
use apalis_workflow::GraphFlow;
use futures_util::future::join_all;
use tasker_telemetry::TaskScope;
use tasker_telemetry::driver::Verdict;

use crate::domain::OrderError;
use crate::parcel::Parcel;
use crate::shops::Shops;
use crate::workflow;

/// The name of the task, and of the queue.
pub(crate) const NAME: &str = "order_process";

/// The graph, for any backend that writes JSON.
pub(crate) fn order_process<B>(shops: &Shops) -> GraphFlow<B>
where
    B: Backend
        + BackendConfig
        + WireFormatBackend<Codec = JsonCodec<Vec<u8>>, Compact = Vec<u8>>
        + Send
        + Sync
        + 'static,
{
    // Each node has its own hold on the shops.
    macro_rules! node {
        ($function:path) => {{
            let shops = shops.clone();
            task_fn(move |parcel: Parcel| $function(shops.clone(), parcel))
        }};
    }
    let graph = GraphFlow::new(NAME);
    let cart = graph.add_node("fetch_cart", node!(fetch_cart));
    let products = graph.add_node("validate_products", node!(validate_products)).depends_on(&cart);
    let stock = graph.add_node("check_inventory", node!(check_inventory)).depends_on(&products);
    let reserved = graph.add_node("reserve_stock", node!(reserve_stock)).depends_on(&stock);
    let assessed = graph.add_node("assess_risk", node!(assess_risk)).depends_on(&reserved);
    let charged = graph.add_node("charge", node!(charge)).depends_on(&assessed);
    let shipped = graph.add_node("create_shipment", node!(create_shipment)).depends_on(&charged);
    let _told = graph.add_node("send_confirmation", node!(send_confirmation)).depends_on(&shipped);
    graph
}

async fn fetch_cart(shops: Shops, parcel: Parcel) -> Result<Parcel, OrderError> {
    workflow::fetch_cart(&shops.of(&parcel), &parcel.order).await?;
    Ok(parcel)
}

async fn validate_products(_: Shops, parcel: Parcel) -> Result<Parcel, OrderError> {
    workflow::validate_products(&parcel.cart())?;
    Ok(parcel)
}

async fn check_inventory(shops: Shops, parcel: Parcel) -> Result<Parcel, OrderError> {
    // One node, as many steps as the order has lines: each is tried again by itself, not all of them because of one.
    if let Some(task) = TaskScope::current() {
        task.retry_in_process();
    }
    let shop = shops.of(&parcel);
    let checks = parcel.order.lines.iter().map(|line| workflow::check_inventory(&shop, &parcel.order, line));
    join_all(checks).await.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(parcel)
}

async fn reserve_stock(shops: Shops, mut parcel: Parcel) -> Result<Parcel, OrderError> {
    let reservation = workflow::reserve_stock(&shops.of(&parcel), &parcel.order).await?;
    parcel.reservation = Some(reservation.number);
    Ok(parcel)
}

async fn assess_risk(_: Shops, parcel: Parcel) -> Result<Parcel, OrderError> {
    workflow::assess_risk(&parcel.order, &parcel.cart());
    Ok(parcel)
}

async fn charge(shops: Shops, mut parcel: Parcel) -> Result<Parcel, OrderError> {
    let shop = shops.of(&parcel);
    match workflow::process_payment(&shop, &parcel.order, &parcel.cart()).await {
        Ok(receipt) => {
            parcel.payment_id = Some(receipt.payment_id);
            Ok(parcel)
        }
        Err(error) => {
            // The goods go back when there will be no money, not while the next attempt is to come.
            if let Some(task) = TaskScope::current().filter(|task| task.verdict() == Verdict::Failed) {
                task.apart_from_engine(); // whichever attempt this is, it is the first to give them back
                workflow::release_stock(&shop, &parcel.reservation()).await;
            }
            Err(error.into())
        }
    }
}

async fn create_shipment(shops: Shops, mut parcel: Parcel) -> Result<Parcel, OrderError> {
    let shipment = workflow::create_shipment(&shops.of(&parcel), &parcel.order, &parcel.receipt()).await?;
    workflow::PARCELS.inc();
    parcel.tracking_number = Some(shipment.tracking_number);
    Ok(parcel)
}

async fn send_confirmation(shops: Shops, parcel: Parcel) -> Result<Parcel, OrderError> {
    workflow::send_confirmation(&shops.of(&parcel), &parcel.order, &parcel.shipment()).await?;
    Ok(parcel)
}
