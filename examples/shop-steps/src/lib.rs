//! Steps that several shops share. The crate knows nothing of who runs them and who listens.

use tasker_telemetry::prelude::*;

/// An invoice was written.
#[derive(Debug, Clone, Serialize, Event)]
#[event("invoice.written")]
pub struct InvoiceWritten {
    /// The invoice's number.
    pub number: u64,
    /// What is to be paid, in cents.
    pub amount: u64,
}

/// Why there is no invoice.
#[derive(Debug, thiserror::Error)]
pub enum InvoiceError {
    /// Nothing was sold.
    #[error("nothing to pay")]
    NothingToPay,
}

/// Writes an invoice over an amount in cents.
///
/// # Errors
/// [`InvoiceError::NothingToPay`] when the amount is zero.
#[step(publishes(InvoiceWritten), fields(amount))]
pub fn write_invoice(number: u64, amount: u64) -> Result<InvoiceWritten, InvoiceError> {
    if amount == 0 {
        return Err(InvoiceError::NothingToPay);
    }
    let invoice = InvoiceWritten { number, amount };
    publish(invoice.clone());
    Ok(invoice)
}

/// Sends an invoice by mail.
///
/// # Errors
/// What the connection to the mail server has to say.
#[step(retry_limit = 3, backoff = "exponential")]
pub async fn mail_invoice(invoice: InvoiceWritten) -> Result<(), std::io::Error> {
    let _letter = format!("Invoice {}: {} cents", invoice.number, invoice.amount);
    Ok(())
}
