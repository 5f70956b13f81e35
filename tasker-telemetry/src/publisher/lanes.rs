//! Which lanes a thread has into which queues.

use std::sync::Arc;

use super::queue::{Lane, Queue};
use super::router::Item;

/// A thread's lanes: one for each telemetry that it has published to.
pub(crate) struct Lanes {
    /// The one that was used last: most programs have one telemetry.
    last: Option<Own>,
    others: Vec<Own>,
}

struct Own {
    queue: u64,
    lane: Arc<Lane<Item>>,
}

impl Lanes {
    pub(crate) const fn new() -> Self {
        Self { last: None, others: Vec::new() }
    }

    /// The lane into the queue of that number; there is always one.
    #[inline]
    pub(super) fn lane(&mut self, queue: &Queue<Item>, id: u64) -> Option<&Lane<Item>> {
        if !matches!(&self.last, Some(own) if own.queue == id) {
            self.look_up(queue, id);
        }
        self.last.as_ref().map(|own| &*own.lane)
    }

    #[cold]
    fn look_up(&mut self, queue: &Queue<Item>, id: u64) {
        let known = self.others.iter().position(|own| own.queue == id).map(|place| self.others.swap_remove(place));
        let own = known.unwrap_or_else(|| {
            self.others.retain(|own| Arc::strong_count(&own.lane) > 1); // those of telemetries that are no more
            Own { queue: id, lane: queue.open_lane() }
        });
        self.others.extend(self.last.replace(own));
    }
}
