//! Who is called at night: a subscriber with typed handlers, for the few events that a human should hear of.

use std::sync::mpsc::Sender;

use tasker_telemetry::prelude::*;

use crate::workflow::RiskFlagged;

/// Notes what a human should look at.
#[derive(Subscriber)]
#[subscribe("step.max_retries_reached", "payment.risk_flagged")]
#[subscriber(manual)]
pub(crate) struct OnCall {
    notes: Sender<String>,
}

impl OnCall {
    pub(crate) const fn new(notes: Sender<String>) -> Self {
        Self { notes }
    }

    fn handle_step_max_retries_reached(&self, event: &event::step::MaxRetriesReached) {
        let event::step::MaxRetriesReached { task_id, step_name, retry_limit, error_message, .. } = event;
        self.note(format!("{task_id}: {step_name} given up after {retry_limit} attempts: {error_message}"));
    }

    fn handle_payment_risk_flagged(&self, event: &RiskFlagged) {
        let RiskFlagged { order_id, amount, risk_score, card_number } = event;
        self.note(format!("{order_id}: risk {risk_score:.2}, {amount} on card {card_number}"));
    }

    fn note(&self, note: String) {
        let _ = self.notes.send(note); // the program is ending: nobody reads notes any more
    }
}
