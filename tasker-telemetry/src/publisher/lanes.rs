//! Which lane a thread has into which queue.

use std::cell::RefCell;
use std::sync::Arc;

use super::queue::{Lane, Queue};
use super::router::Item;

struct Own {
    queue: u64,
    lane: Arc<Lane<Item>>,
}

thread_local! {
    /// One for each telemetry that the thread has published to.
    static LANES: RefCell<Vec<Own>> = const { RefCell::new(Vec::new()) };
}

/// Has an item made and pushes it through the thread's own lane; `id` is the queue's. `false`: the queue is full.
#[inline]
pub(super) fn push(queue: &Queue<Item>, id: u64, kind: usize, make: &mut impl FnMut() -> Item) -> bool {
    let pushed = LANES.try_with(|lanes| {
        let lanes = lanes.try_borrow().ok()?;
        let own = lanes.iter().find(|own| own.queue == id)?;
        Some(queue.push_in(&own.lane, kind, make))
    });
    match pushed {
        Ok(Some(pushed)) => pushed,
        _ => push_first(queue, id, kind, make),
    }
}

/// The thread has no lane yet; or it is being torn down, and gets none any more.
#[cold]
#[inline(never)]
fn push_first(queue: &Queue<Item>, id: u64, kind: usize, make: &mut impl FnMut() -> Item) -> bool {
    let opened = LANES.try_with(|lanes| {
        let mut lanes = lanes.try_borrow_mut().ok()?;
        lanes.retain(|own| Arc::strong_count(&own.lane) > 1); // those of telemetries that are no more
        let lane = queue.open_lane();
        lanes.push(Own { queue: id, lane: Arc::clone(&lane) });
        Some(lane)
    });
    match opened {
        Ok(Some(lane)) => queue.push_in(&lane, kind, make),
        _ => queue.push(kind, make),
    }
}
