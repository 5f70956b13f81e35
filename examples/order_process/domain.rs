//! What the shop talks about: orders, money, and what can go wrong. Plain types, no telemetry but for one trait: an error
//! knows best whether trying again helps.

use std::fmt;
use std::time::Duration;

use tasker_telemetry::{RetryAdvice, Retryable};
use thiserror::Error;

/// What a customer wants.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) cart_id: u64,
    pub(crate) customer: String,
    pub(crate) email: Secret,
    pub(crate) card_number: Secret,
    pub(crate) currency: Currency,
    pub(crate) lines: Vec<Line>,
}

impl Order {
    /// What all lines cost together.
    pub(crate) fn total(&self) -> Money {
        total(self.currency, &self.lines)
    }
}

/// One product of an order.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Its place in the order, from 1.
    pub(crate) number: usize,
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) quantity: u64,
    /// In the smallest unit of the order's currency.
    pub(crate) unit_price: u64,
}

/// What the cart service has to say of an order.
#[derive(Debug, Clone)]
pub(crate) struct Cart {
    pub(crate) currency: Currency,
    pub(crate) lines: Vec<Line>,
}

impl Cart {
    pub(crate) fn total(&self) -> Money {
        total(self.currency, &self.lines)
    }
}

fn total(currency: Currency, lines: &[Line]) -> Money {
    Money { amount: lines.iter().map(|line| line.quantity * line.unit_price).sum(), currency }
}

/// A card number or an e-mail address: it cannot be printed by accident.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) const fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for those who must have it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The currencies that the shop takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Currency {
    Chf,
    Czk,
    Dkk,
    Eur,
    Gbp,
    Jpy,
    Nok,
    Pln,
    Sek,
    Usd,
}

impl Currency {
    pub(crate) const ALL: [Self; 10] =
        [Self::Chf, Self::Czk, Self::Dkk, Self::Eur, Self::Gbp, Self::Jpy, Self::Nok, Self::Pln, Self::Sek, Self::Usd];

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Chf => "CHF",
            Self::Czk => "CZK",
            Self::Dkk => "DKK",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Jpy => "JPY",
            Self::Nok => "NOK",
            Self::Pln => "PLN",
            Self::Sek => "SEK",
            Self::Usd => "USD",
        }
    }

    /// How many of the smallest unit make a euro, roughly: enough to judge a risk.
    const fn per_euro(self) -> u64 {
        match self {
            Self::Chf => 95,
            Self::Czk => 2_500,
            Self::Dkk => 746,
            Self::Eur => 100,
            Self::Gbp => 85,
            Self::Jpy => 160,
            Self::Nok => 1_150,
            Self::Pln => 430,
            Self::Sek => 1_120,
            Self::Usd => 110,
        }
    }
}

/// An amount in the smallest unit of its currency.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Money {
    pub(crate) amount: u64,
    pub(crate) currency: Currency,
}

impl Money {
    pub(crate) const fn whole_euros(self) -> u64 {
        self.amount / self.currency.per_euro()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.currency.code();
        match self.currency {
            Currency::Jpy => write!(f, "{} {code}", self.amount),
            _ => write!(f, "{}.{:02} {code}", self.amount / 100, self.amount % 100),
        }
    }
}

/// Stock that is set aside for an order.
#[derive(Debug, Clone)]
pub(crate) struct Reservation {
    pub(crate) number: String,
}

/// A payment that went through.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) payment_id: String,
}

/// A parcel on its way.
#[derive(Debug, Clone)]
pub(crate) struct Shipment {
    pub(crate) tracking_number: String,
}

/// Why the cart could not be read.
#[derive(Debug, Error)]
pub(crate) enum CartError {
    #[error("the cart service is busy")]
    Busy,
}

/// Why a product cannot be sold.
#[derive(Debug, Error)]
pub(crate) enum ProductError {
    #[error("unknown product {sku}")]
    Unknown { sku: String },
}

/// Why the warehouse says no.
#[derive(Debug, Error)]
pub(crate) enum InventoryError {
    #[error("the warehouse is busy")]
    Busy,
    #[error("{sku}: {in_stock} of {wanted} there")]
    OutOfStock { sku: String, wanted: u64, in_stock: u64 },
}

impl InventoryError {
    /// Stock does not appear by asking again; an answer may.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy)
    }
}

/// Why there is no money.
#[derive(Debug, Error)]
pub(crate) enum PaymentError {
    #[error("no answer from the gateway")]
    Timeout,
    #[error("too many requests")]
    RateLimited { retry_after: Duration },
    #[error("declined: {reason}")]
    Declined { reason: &'static str },
}

impl Retryable for PaymentError {
    fn retry_advice(&self) -> RetryAdvice {
        match self {
            Self::Timeout => RetryAdvice::Retry,
            Self::RateLimited { retry_after } => RetryAdvice::RetryAfter(*retry_after),
            Self::Declined { .. } => RetryAdvice::Permanent,
        }
    }
}

/// Why there is no label.
#[derive(Debug, Error)]
pub(crate) enum ShippingError {
    #[error("no answer from the carrier")]
    Timeout,
}

/// Why a mail was not sent.
#[derive(Debug, Error)]
pub(crate) enum MailError {
    #[error("the mail server is busy")]
    Busy,
}

/// Why an order was not fulfilled. No variant carries what the customer entrusted to us.
#[derive(Debug, Error)]
pub(crate) enum OrderError {
    #[error("no cart")]
    Cart(#[from] CartError),
    #[error("invalid product")]
    Product(#[from] ProductError),
    #[error("not available")]
    Inventory(#[from] InventoryError),
    #[error("payment failed")]
    Payment(#[from] PaymentError),
    #[error("paid but not shipped")]
    Shipping(#[from] ShippingError),
    #[error("shipped, customer not told")]
    Confirmation(#[from] MailError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("4242424242424242".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.reveal(), "4242424242424242");
    }

    #[test]
    fn money_has_the_decimals_of_its_currency() {
        assert_eq!(Money { amount: 123_405, currency: Currency::Eur }.to_string(), "1234.05 EUR");
        assert_eq!(Money { amount: 980, currency: Currency::Jpy }.to_string(), "980 JPY");
    }
}
