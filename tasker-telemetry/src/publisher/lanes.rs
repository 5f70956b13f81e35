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

    /// The lane that was used last, if its last entry is of the task at that address. (It leads to where that task's events go, without
    /// a look at that: as long as anything can be put down there, or added, without the owner being said again, the entry keeps the
    /// task, and no other lies at its address.)
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the way of each step")]
    pub(super) fn lane_of(&mut self, owner: usize) -> Option<&mut Lane<Item, ShortEntry>> {
        match &mut self.lane {
            Some(lane) if lane.is_of(owner) => Some(lane),
            _ => None,
        }
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
