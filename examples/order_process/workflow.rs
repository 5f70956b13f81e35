//! The order process: business logic only. `#[task]` and `#[step]` see to everything else: events, retries, waiting for
//! a free place, and what becomes of a failure.

use std::time::Duration;

use futures_util::future::join_all;
use tasker_telemetry::prelude::*;

use crate::domain::{
    Cart, CartError, InventoryError, Line, MailError, Order, OrderError, PaymentError, ProductError, Receipt,
    Reservation, Shipment, ShippingError,
};
use crate::gateway::Gateway;

/// Above this score a human should have a look at the payment.
const RISKY: f64 = 0.5;

/// Services inside the house are asked again soon.
const SOON: Backoff = Backoff::fixed().base(Duration::from_millis(15));
/// Others get more time with each attempt.
const PATIENT: Backoff = Backoff::exponential().base(Duration::from_millis(40)).max(Duration::from_secs(1));

/// Metrics of the shop's own, next to those that every task and step has anyway.
static RISK: Histogram = Histogram::new("shop_risk_score", "How risky payments seemed, from 0 to 1.")
    .buckets(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]);
pub(crate) static PARCELS: Counter = Counter::new("shop_parcels_total", "Parcels handed to the carrier.");
tasker_telemetry::register_metrics!(RISK, PARCELS);

/// A payment is unusually high: somebody should look at it.
#[derive(Debug, Clone, Serialize, Event)]
#[event("payment.risk_flagged")]
pub(crate) struct RiskFlagged {
    /// The order that is paid.
    pub(crate) order_id: String,
    /// What is to be paid, with its currency.
    pub(crate) amount: String,
    /// From 0 (harmless) to 1.
    pub(crate) risk_score: f64,
    /// The card that pays; masked before any subscriber sees it.
    #[event(sensitive)]
    pub(crate) card_number: String,
}

/// Turns an order into a parcel on its way.
#[task(
    name = "order_process",
    id = order.id,
    max_concurrent_steps = 3,
    fields(customer = order.customer, lines = order.lines.len(), total = %order.total())
)]
pub(crate) async fn order_process(shop: &Gateway, order: &Order) -> Result<Shipment, OrderError> {
    let cart = fetch_cart(shop, order).await?;
    validate_products(&cart)?;

    // All lines at once, and all of them to the end: `try_join_all` would cancel the others when one fails.
    let checks = cart.lines.iter().map(|line| check_inventory(shop, order, line));
    join_all(checks).await.into_iter().collect::<Result<Vec<()>, _>>()?;

    let reservation = reserve_stock(shop, order).await?;
    assess_risk(order, &cart);
    let receipt = match process_payment(shop, order, &cart).await {
        Ok(receipt) => receipt,
        Err(error) => {
            release_stock(shop, &reservation).await;
            return Err(error.into());
        }
    };
    let shipment = create_shipment(shop, order, &receipt).await?; // never before the money is there
    PARCELS.inc();
    send_confirmation(shop, order, &shipment).await?;
    Ok(shipment)
}

/// Reads what the customer put into the cart.
#[step(retry_limit = 3, backoff = SOON, fields(cart_id = order.cart_id))]
pub(crate) async fn fetch_cart(shop: &Gateway, order: &Order) -> Result<Cart, CartError> {
    shop.fetch_cart(order).await
}

/// Refuses what the shop does not sell.
#[step]
pub(crate) fn validate_products(cart: &Cart) -> Result<(), ProductError> {
    match cart.lines.iter().find(|line| !Gateway::sells(&line.sku)) {
        Some(line) => Err(ProductError::Unknown { sku: line.sku.clone() }),
        None => Ok(()),
    }
}

/// Asks the warehouse for one product.
#[step(
    retry_limit = 3,
    backoff = SOON,
    retry_if = InventoryError::is_transient,
    fields(sku = line.sku, title = line.name)
)]
pub(crate) async fn check_inventory(shop: &Gateway, order: &Order, line: &Line) -> Result<(), InventoryError> {
    shop.check_inventory(order, line).await
}

/// Sets the goods aside, so that nobody else gets them.
#[step]
pub(crate) async fn reserve_stock(shop: &Gateway, order: &Order) -> Result<Reservation, InventoryError> {
    shop.reserve(order).await
}

/// Judges the amount. A step of its own: what it publishes is said once, however often the charge is tried.
#[step(publishes(RiskFlagged))]
pub(crate) fn assess_risk(order: &Order, cart: &Cart) {
    let risk_score = Gateway::risk_score(cart.total());
    RISK.record(risk_score);
    if risk_score > RISKY {
        publish(RiskFlagged {
            order_id: order.id.clone(),
            amount: cart.total().to_string(),
            risk_score,
            card_number: order.card_number.reveal().to_owned(),
        });
    }
}

/// Charges the card. Whether another attempt makes sense the error says itself (`Retryable`).
#[step(name = "charge", retry_limit = 5, backoff = PATIENT, fields(amount = %cart.total()))]
pub(crate) async fn process_payment(shop: &Gateway, order: &Order, cart: &Cart) -> Result<Receipt, PaymentError> {
    shop.charge(order).await
}

/// Puts the goods back when there is no money for them.
#[step]
pub(crate) async fn release_stock(shop: &Gateway, reservation: &Reservation) {
    shop.release(reservation).await;
}

/// Hands the parcel to the carrier.
#[step(retry_limit = 3, backoff = PATIENT, fields(payment_id = receipt.payment_id))]
pub(crate) async fn create_shipment(
    shop: &Gateway,
    order: &Order,
    receipt: &Receipt,
) -> Result<Shipment, ShippingError> {
    shop.ship(order, receipt).await
}

/// Writes to the customer. The address is masked by its name: `email` is in the default filter.
#[step(retry_limit = 3, backoff = SOON, fields(email = order.email.reveal(), parcel = shipment.tracking_number))]
pub(crate) async fn send_confirmation(shop: &Gateway, order: &Order, shipment: &Shipment) -> Result<(), MailError> {
    shop.send_mail(order).await
}
