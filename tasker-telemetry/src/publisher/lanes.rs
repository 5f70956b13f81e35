//! Which lanes a thread has into which queues.

use super::queue::{Lane, Queue};
use super::router::Item;
use super::short::ShortEntry;

/// A thread's lanes: one for each telemetry that it has published to.
pub(crate) struct Lanes {
    /// Into which queue the one leads that was used last: most programs have one telemetry. 0: there is none.
    queue: u64,
    lane: Option<Lane<Item, ShortEntry>>,
    others: Vec<(u64, Lane<Item, ShortEntry>)>,
}

impl Lanes {
    pub(crate) const fn new() -> Self {
        Self { queue: 0, lane: None, others: Vec::new() }
    }

    /// The lane into the queue of that number, which is not 0; there is always one.
    #[inline]
    pub(super) fn lane(&mut self, queue: &Queue<Item, ShortEntry>, id: u64) -> Option<&mut Lane<Item, ShortEntry>> {
        if self.queue != id {
            self.look_up(queue, id);
        }
        self.lane.as_mut()
    }

    #[cold]
    fn look_up(&mut self, queue: &Queue<Item, ShortEntry>, id: u64) {
        let known =
            self.others.iter().position(|(queue, _)| *queue == id).map(|place| self.others.swap_remove(place).1);
        let lane = known.unwrap_or_else(|| {
            self.others.retain(|(_, lane)| lane.leads_somewhere()); // those of telemetries that are no more
            queue.open_lane()
        });
        self.others.extend(self.lane.replace(lane).map(|lane| (self.queue, lane)));
        self.queue = id;
    }
}
