//! How what a publishing thread has to tell gets into the queue: by the thread's own lane, by the list that all share, or not at all, and then
//! it is counted.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::account::Account;
use super::lanes::Lanes;
use super::queue::{Queue, Refused};
use super::record::Record;
use super::router::Item;
use super::short::{Numbers, ShortStep};
use super::{BEGUN, Publisher};
use crate::catalog::StepSpec;
use crate::event::EventKind;
use crate::lifecycle::TaskCore;
use crate::scope;
use crate::time::Timestamp;

impl Publisher {
    /// Hands on an event that goes through the queue and nowhere else. It is made once, and where it stays if it can be. `record` is
    /// told whether it [`follows`](Record::follows) one of the same `owner`, which is the address of its task.
    #[inline]
    pub(crate) fn send(&self, kind: EventKind, owner: usize, record: impl FnMut(bool) -> Record) {
        self.send_as(kind as usize, owner, record);
    }

    /// The same for `step.execution_requested` and `step.started` in one record.
    #[inline]
    pub(crate) fn send_begun(&self, owner: usize, record: impl FnMut(bool) -> Record) {
        self.send_as(BEGUN, owner, record);
    }

    #[inline]
    fn send_as(&self, kind: usize, owner: usize, mut record: impl FnMut(bool) -> Record) {
        if scope::with_lanes(|lanes| self.send_in(lanes, kind, owner, &mut record)).is_none() {
            self.send_without_lane(kind, record(false));
        }
    }

    /// A thread that is being torn down gets no lane any more, and one whose lane is being read does not wait.
    #[cold]
    fn send_without_lane(&self, kind: usize, record: Record) {
        if self.closed.load(Ordering::Relaxed) {
            self.drop_closed(record);
        } else if let Err(item) = self.queue.push(kind, Item::Event(record)) {
            self.drop_full(item);
        }
    }

    /// A short step of that task begins, or has come to its end after so many nanoseconds: told by the lane that the thread used last.
    /// `false`: that takes [more than a look](Self::send_short).
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the way of each step")]
    pub(crate) fn put_short(&self, lanes: &mut Lanes, task: &TaskCore, step: ShortStep, ended: Option<u64>) -> bool {
        let owner = ptr::from_ref(task).addr();
        match lanes.lane_of(owner) {
            Some(lane) => self.queue.put_in(lane, task.short_kind(step.opens), owner, step, ended),
            None => false,
        }
    }

    /// The same by one of the thread's lanes, if one can be had. (After the shutdown no lane has room any more. The arguments lie apart, so that only who calls this puts them in
    /// memory.)
    #[inline(never)]
    pub(crate) fn send_short(
        &self,
        lanes: &mut Lanes,
        task: &Arc<TaskCore>,
        spec: &'static StepSpec,
        numbers: Numbers,
        (at, parent): (Timestamp, u64),
        (opens, ended): (bool, Option<u64>),
    ) {
        let step = ShortStep { spec, numbers, at, parent, opens };
        let (kind, owner) = (task.short_kind(opens), Arc::as_ptr(task).addr());
        let sent = match lanes.lane(&self.queue, self.id) {
            Some(lane) if !self.closed.load(Ordering::Relaxed) => {
                self.queue.put_anew(lane, kind, owner, (step, ended), || Arc::clone(task))
            }
            _ => Err(Refused::Busy),
        };
        match sent {
            Ok(()) => {}
            Err(Refused::Full) => self.drop_full(Item::Event(step.record(Arc::clone(task), ended))),
            Err(Refused::Busy) => self.send_without_lane(kind, step.record(Arc::clone(task), ended)),
        }
    }

    /// It ends, and that comes next to its beginning in its task: `numbers` are those of that. `false`: the lane's last entry is
    /// another by now, or was read, and the end has to be told for itself.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "most steps end here")]
    pub(crate) fn add_end(lanes: &mut Lanes, owner: usize, numbers: Numbers, nanos: u64) -> bool {
        let kind = EventKind::StepCompleted as usize;
        match lanes.lane_of(owner) {
            Some(lane) => Queue::add_end(lane, kind, owner, numbers.as_u64(), nanos),
            None => false,
        }
    }

    #[inline]
    fn send_in(&self, lanes: &mut Lanes, kind: usize, owner: usize, record: impl FnOnce(bool) -> Record) {
        if self.closed.load(Ordering::Relaxed) {
            return self.drop_closed(record(false));
        }
        let pushed = match lanes.lane(&self.queue, self.id) {
            Some(lane) => self.queue.push_in(lane, kind, owner, move |follows| Item::Event(record(follows))),
            None => self.queue.push(kind, Item::Event(record(false))),
        };
        if let Err(item) = pushed {
            self.drop_full(item);
        }
    }

    /// Pushes through the thread's own lane; one that is being torn down gets none any more.
    pub(super) fn push(&self, kind: usize, item: Item) {
        let mut item = Some(item);
        let pushed = scope::with_lanes(|lanes| match (lanes.lane(&self.queue, self.id), item.take()) {
            (Some(lane), Some(item)) => self.queue.push_in(lane, kind, 0, |_| item),
            (None, Some(item)) => Err(item),
            (_, None) => Ok(()),
        });
        let pushed = pushed.unwrap_or_else(|| item.map_or(Ok(()), |item| self.queue.push(kind, item)));
        if let Err(item) = pushed {
            self.drop_full(item);
        }
    }

    fn each_event(mut record: Record, mut each: impl FnMut(&Record)) {
        if record.is_several() {
            record.take_apart(u32::MAX, |part| each(part));
        } else {
            each(&record);
        }
    }

    #[cold]
    fn drop_closed(&self, record: Record) {
        Self::each_event(record, |record| self.drop_everywhere(record, Account::drop_closed));
    }

    /// The queue had no room for it.
    #[cold]
    fn drop_full(&self, item: Item) {
        match item {
            Item::Event(record) => Self::each_event(record, |record| self.drop_full_event(record)),
            Item::Spans(records) => {
                let Some(account) = &self.spans else { return };
                for _ in &records {
                    account.drop_full();
                }
            }
            Item::Flush(_) | Item::Shutdown(_) => {}
        }
    }

    fn drop_full_event(&self, record: &Record) {
        self.published[record.kind as usize].fetch_add(1, Ordering::Relaxed);
        for account in self.behind_queue() {
            if account.wants(record) {
                account.drop_full();
            }
        }
    }
}
