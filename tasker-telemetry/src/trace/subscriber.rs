//! The `TelemetrySubscriber`: makes spans of what the life cycle publishes, and hands them to every exporter.

use std::sync::Arc;

use super::assembler::{Assembler, OpenTasks};
use super::books::Totals;
use super::export::Exporter;
use super::span::{Rules, Span};
use crate::publisher::{Record, RecordSink, Ticket};

/// See the module. It makes no metrics and no events: spans only.
pub(super) struct TelemetrySubscriber {
    assembler: Assembler,
    exporters: Arc<[Exporter<Span>]>,
    totals: Arc<Totals>,
    spans: Vec<Span>,
}

impl TelemetrySubscriber {
    pub(super) fn new(
        rules: Rules,
        exporters: Arc<[Exporter<Span>]>,
        totals: Arc<Totals>,
        open: Arc<OpenTasks>,
    ) -> Self {
        let assembler = Assembler::new(rules, open, Arc::clone(&totals));
        Self { assembler, exporters, totals, spans: Vec::new() }
    }
}

impl RecordSink for TelemetrySubscriber {
    fn take(&mut self, records: Vec<Record>) {
        self.assembler.assemble(records, &mut self.spans);
        if self.spans.is_empty() {
            return;
        }
        Totals::add(&self.totals.produced, self.spans.len());
        if let [others @ .., last] = &*self.exporters {
            for exporter in others {
                exporter.send(self.spans.iter().cloned());
            }
            last.send(self.spans.drain(..));
        }
        self.spans.clear();
    }

    fn flush(&mut self, ticket: Arc<Ticket>, last: bool) {
        ticket.wait_for_more(self.exporters.len());
        for exporter in &*self.exporters {
            exporter.flush(Arc::clone(&ticket), last);
        }
        ticket.passed();
    }

    fn give_up(&self) -> Box<dyn Fn() + Send> {
        let exporters = Arc::clone(&self.exporters);
        Box::new(move || exporters.iter().for_each(Exporter::give_up))
    }
}

impl Drop for TelemetrySubscriber {
    fn drop(&mut self) {
        self.exporters.iter().for_each(Exporter::close);
    }
}
