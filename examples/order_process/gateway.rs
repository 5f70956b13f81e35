//! The services that the shop calls, simulated: carts, warehouse, payment, carrier, mail.
//!
//! They are slow and unreliable, as the real ones are, but the same seed always gives the same outcome of every attempt
//! (see `chance`). As in the sandbox of a payment provider some test cards always behave in a certain way. The services
//! know nothing of tasks, steps and telemetry: they count for themselves how often they were asked the same thing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::chance::Chance;
use crate::domain::{
    Cart, CartError, InventoryError, Line, MailError, Money, Order, PaymentError, Receipt, Reservation, Secret,
    Shipment, ShippingError,
};

/// After so long (in milliseconds) the shop no longer waits for an answer.
const PATIENCE: f64 = 250.0;

/// What the warehouse has.
const STOCK: [(&str, u64); 23] = [
    ("BOK-001", 12),
    ("COF-001", 60),
    ("COF-002", 45),
    ("COF-003", 25),
    ("CUP-001", 80),
    ("CUP-002", 14),
    ("CUP-003", 30),
    ("FIL-001", 400),
    ("GFT-001", 10_000),
    ("GRD-001", 9),
    ("GRD-002", 11),
    ("KET-001", 16),
    ("MAC-001", 3),
    ("POT-001", 20),
    ("POT-002", 7),
    ("POT-003", 18),
    ("SCL-001", 22),
    ("TEA-001", 90),
    ("TEA-002", 150),
    ("TEA-003", 75),
    ("TEA-004", 40),
    ("TEA-005", 65),
    ("WHK-001", 25),
];

/// How the payment sandbox treats a test card, on which attempt.
fn sandbox(card_number: &Secret, attempt: u32, retry_after: Duration) -> Option<PaymentError> {
    match (card_number.reveal(), attempt) {
        ("4000000000000002", _) => Some(PaymentError::Declined { reason: "by the bank" }),
        ("4000000000009995", _) => Some(PaymentError::Declined { reason: "no funds" }),
        ("4000000000009979", _) => Some(PaymentError::Declined { reason: "stolen card" }),
        ("4000000000000119", _) | ("4000002500003155", 1 | 2) => Some(PaymentError::Timeout),
        ("4000000000000341", 1) => Some(PaymentError::RateLimited { retry_after }),
        _ => None,
    }
}

/// All services.
#[derive(Debug)]
pub(crate) struct Gateway {
    seed: u64,
    speed_up: f64,
    /// How often each service was asked the same thing: by order and step.
    asked: Mutex<HashMap<String, u32>>,
}

impl Gateway {
    /// Services whose luck comes from `seed`, and which are `speed_up` times as fast as usual.
    pub(crate) fn new(seed: u64, speed_up: f64) -> Self {
        Self { seed, speed_up, asked: Mutex::default() }
    }

    pub(crate) async fn fetch_cart(&self, order: &Order) -> Result<Cart, CartError> {
        let (_, mut chance) = self.asked(&order.id, "fetch_cart");
        self.takes(chance.between(25.0, 90.0)).await;
        if chance.hits(5.0) {
            return Err(CartError::Busy);
        }
        Ok(Cart { currency: order.currency, lines: order.lines.clone() })
    }

    /// The list of products is at hand: no waiting.
    pub(crate) fn sells(sku: &str) -> bool {
        STOCK.iter().any(|(known, _)| *known == sku)
    }

    pub(crate) async fn check_inventory(&self, order: &Order, line: &Line) -> Result<(), InventoryError> {
        let (_, mut chance) = self.asked(&order.id, &format!("check_inventory {}", line.number));
        if chance.hits(4.0) {
            self.takes(PATIENCE / 2.0).await;
            return Err(InventoryError::Busy);
        }
        self.takes(chance.between(20.0, 110.0)).await;
        let in_stock = STOCK.iter().find(|(sku, _)| *sku == line.sku).map_or(0, |(_, pieces)| *pieces);
        if in_stock < line.quantity {
            return Err(InventoryError::OutOfStock { sku: line.sku.clone(), wanted: line.quantity, in_stock });
        }
        Ok(())
    }

    pub(crate) async fn reserve(&self, order: &Order) -> Result<Reservation, InventoryError> {
        let (_, mut chance) = self.asked(&order.id, "reserve_stock");
        self.takes(chance.between(30.0, 70.0)).await;
        Ok(Reservation { number: format!("R-{}", order.cart_id) })
    }

    pub(crate) async fn release(&self, reservation: &Reservation) {
        let (_, mut chance) = self.asked(&reservation.number, "release_stock");
        self.takes(chance.between(15.0, 40.0)).await;
    }

    /// From 0 (harmless) to 1: the higher the amount, the more a thief would like it.
    pub(crate) fn risk_score(amount: Money) -> f64 {
        let euros = f64::from(u32::try_from(amount.whole_euros()).unwrap_or(u32::MAX));
        (euros / (euros + 1_500.0) * 100.0).round() / 100.0
    }

    pub(crate) async fn charge(&self, order: &Order) -> Result<Receipt, PaymentError> {
        let (attempt, mut chance) = self.asked(&order.id, "charge");
        let retry_after = Duration::from_secs_f64(0.120 / self.speed_up);
        let refusal = sandbox(&order.card_number, attempt, retry_after)
            .or_else(|| chance.hits(9.0).then_some(PaymentError::Timeout));
        match refusal {
            Some(PaymentError::Timeout) => self.takes(PATIENCE).await,
            Some(PaymentError::RateLimited { .. }) => self.takes(5.0).await,
            _ => self.takes(chance.between(70.0, 190.0)).await,
        }
        refusal.map_or_else(|| Ok(Receipt { payment_id: format!("P-{}", order.cart_id) }), Err)
    }

    pub(crate) async fn ship(&self, order: &Order, receipt: &Receipt) -> Result<Shipment, ShippingError> {
        let (_, mut chance) = self.asked(&order.id, "create_shipment");
        if chance.hits(5.0) {
            self.takes(PATIENCE).await;
            return Err(ShippingError::Timeout);
        }
        self.takes(chance.between(60.0, 140.0)).await;
        Ok(Shipment { tracking_number: receipt.payment_id.replace("P-", "TRK") })
    }

    /// Tells the customer that the goods are on their way.
    pub(crate) async fn send_mail(&self, order: &Order) -> Result<(), MailError> {
        let (_, mut chance) = self.asked(&order.id, "send_confirmation");
        self.takes(chance.between(15.0, 45.0)).await;
        if chance.hits(6.0) { Err(MailError::Busy) } else { Ok(()) }
    }

    /// Which attempt this is, and its luck.
    fn asked(&self, order_id: &str, what: &str) -> (u32, Chance) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let times = asked.entry(format!("{order_id} {what}")).or_default();
        *times += 1;
        (*times, Chance::new(self.seed, order_id, what, *times))
    }

    /// Lets so many milliseconds pass, or fewer at a higher speed.
    async fn takes(&self, milliseconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(milliseconds / 1_000.0 / self.speed_up)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_products_has_none_twice() {
        assert!(STOCK.is_sorted_by(|(one, _), (next, _)| one < next));
    }

    #[test]
    fn the_flaky_card_works_at_the_third_attempt() {
        let outcome = |attempt| sandbox(&Secret::new("4000002500003155".to_owned()), attempt, Duration::ZERO);
        assert!(matches!(outcome(2), Some(PaymentError::Timeout)));
        assert!(outcome(3).is_none());
    }

    #[test]
    fn a_risk_grows_with_the_amount() {
        let euros =
            |euros: u64| Gateway::risk_score(Money { amount: euros * 100, currency: crate::domain::Currency::Eur });
        assert!(euros(0) < 0.01 && euros(100) < 0.1 && euros(2_000) > 0.5 && euros(100_000) < 1.0);
    }
}
