//! What goes from node to node: the order, and what the nodes before have found out.
//!
//! It lies in the queue's database. Card number and address are in it because the shop needs them, not because of telemetry.

use apalis_core::backend::codec::Codec;
use apalis_core::backend::{Backend, WireFormatBackend};
use apalis_workflow::graph::decode::GraphCodec;
use serde::{Deserialize, Serialize};

use crate::domain::{Cart, Currency, Line, Order, Receipt, Reservation, Secret, Shipment};

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Parcel {
    pub(crate) seed: u64,
    pub(crate) speed: f64,
    #[serde(with = "OrderForm")]
    pub(crate) order: Order,
    pub(crate) reservation: Option<String>,
    pub(crate) payment_id: Option<String>,
    pub(crate) tracking_number: Option<String>,
}

impl Parcel {
    #[allow(clippy::similar_names, reason = "the words of the command line")]
    pub(crate) const fn new(seed: u64, speed: f64, order: Order) -> Self {
        Self { seed, speed, order, reservation: None, payment_id: None, tracking_number: None }
    }

    /// As the cart service gave it: this shop's cart is the order's.
    pub(crate) fn cart(&self) -> Cart {
        Cart { currency: self.order.currency, lines: self.order.lines.clone() }
    }

    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { number: self.reservation.clone().unwrap_or_default() }
    }

    pub(crate) fn receipt(&self) -> Receipt {
        Receipt { payment_id: self.payment_id.clone().unwrap_or_default() }
    }

    pub(crate) fn shipment(&self) -> Shipment {
        Shipment { tracking_number: self.tracking_number.clone().unwrap_or_default() }
    }
}

/// What a graph asks of the types that travel through it.
impl<B, E> GraphCodec<B> for Parcel
where
    B: Backend + WireFormatBackend,
    B::Codec: Codec<Self, Compact = B::Compact, Error = E>,
{
    type Error = E;

    fn encode(self, codec: &B::Codec) -> Result<B::Compact, E> {
        codec.encode(&self)
    }

    fn decode(form: &B::Compact, codec: &B::Codec) -> Result<Self, E> {
        codec.decode(form)
    }
}

/// The order as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Order")]
struct OrderForm {
    id: String,
    cart_id: u64,
    customer: String,
    #[serde(with = "secret")]
    email: Secret,
    #[serde(with = "secret")]
    card_number: Secret,
    #[serde(with = "currency")]
    currency: Currency,
    #[serde(with = "lines")]
    lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct LineForm {
    number: usize,
    sku: String,
    name: String,
    quantity: u64,
    unit_price: u64,
}

mod secret {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.reveal())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

mod currency {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Currency;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
    pub(super) fn serialize<S: Serializer>(currency: &Currency, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(currency.code())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        let code = String::deserialize(deserializer)?;
        let known = Currency::ALL.into_iter().find(|currency| currency.code() == code);
        known.ok_or_else(|| D::Error::custom(format!("unknown currency {code}")))
    }
}

mod lines {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{Line, LineForm};

    pub(super) fn serialize<S: Serializer>(lines: &[Line], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(lines.iter().cloned().map(|Line { number, sku, name, quantity, unit_price }| LineForm {
            number,
            sku,
            name,
            quantity,
            unit_price,
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Line>, D::Error> {
        let lines = Vec::<LineForm>::deserialize(deserializer)?;
        let lines = lines.into_iter().map(|LineForm { number, sku, name, quantity, unit_price }| Line {
            number,
            sku,
            name,
            quantity,
            unit_price,
        });
        Ok(lines.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_comes_back_as_it_was() {
        let line = Line { number: 1, sku: "TEA-001".into(), name: "Tea".into(), quantity: 2, unit_price: 450 };
        let order = Order {
            id: "ORD-1".into(),
            cart_id: 7,
            customer: "Ada".into(),
            email: Secret::new("ada@example.org".into()),
            card_number: Secret::new("4242424242424242".into()),
            currency: Currency::Chf,
            lines: vec![line],
        };
        let text = serde_json::to_string(&Parcel::new(42, 10.0, order)).unwrap();
        let parcel: Parcel = serde_json::from_str(&text).unwrap();
        assert_eq!(parcel.order.card_number.reveal(), "4242424242424242");
        assert_eq!((parcel.order.total().to_string(), parcel.order.lines.len()), ("9.00 CHF".to_owned(), 1));
        assert_eq!(serde_json::to_string(&parcel).unwrap(), text);
    }
}
