//! What happened before is seen before, whichever threads it happened on, and whatever is lost in between: each thread has
//! its own way into the queue, and the order is restored behind them.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use tasker_telemetry::prelude::*;
use tasker_telemetry::with_current_scope;

/// One more pass of the baton.
#[derive(Debug, Clone, serde::Serialize, Event)]
#[event("order.passed")]
struct Passed {
    number: u64,
}

/// Something that happens beside it.
#[derive(Debug, Clone, serde::Serialize, Event)]
#[event("order.beside")]
struct Beside {
    thread: u64,
    number: u64,
}

#[derive(Debug, Default)]
struct Seen {
    passed: Vec<u64>,
    beside: Vec<Vec<u64>>,
}

#[derive(Debug, Subscriber)]
#[subscribe("order.passed", "order.beside")]
#[subscriber(manual)]
struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    fn handle_order_passed(&self, event: &Passed) {
        self.0.lock().unwrap().passed.push(event.number);
    }

    fn handle_order_beside(&self, event: &Beside) {
        let mut seen = self.0.lock().unwrap();
        let thread = usize::try_from(event.thread).unwrap();
        if seen.beside.len() <= thread {
            seen.beside.resize(thread + 1, Vec::new());
        }
        seen.beside[thread].push(event.number);
    }
}

const THREADS: u64 = 4;
const PASSES: u64 = 5_000;

/// Threads hand a baton round, and each tells when it has it; in one task, so that all of it has one order. As many others
/// publish in the same task at the same time.
#[task]
fn relay() {
    let start = Arc::new(Barrier::new(2 * usize::try_from(THREADS).unwrap()));
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel()).unzip();
    let mut runners = Vec::new();
    for (place, baton) in receivers.into_iter().enumerate() {
        let (next, start) = (senders[(place + 1) % senders.len()].clone(), Arc::clone(&start));
        runners.push(thread::spawn(with_current_scope(move || {
            start.wait();
            while let Ok(number) = baton.recv() {
                if number >= PASSES {
                    let _ = next.send(number + 1);
                    break;
                }
                publish(Passed { number });
                let _ = next.send(number + 1);
            }
        })));
    }
    for thread in 0..THREADS {
        let start = Arc::clone(&start);
        runners.push(thread::spawn(with_current_scope(move || {
            start.wait();
            (0..PASSES).for_each(|number| publish(Beside { thread, number }));
        })));
    }
    senders[0].send(0).unwrap();
    drop(senders);
    for runner in runners {
        runner.join().unwrap();
    }
}

fn run(queue_capacity: usize) -> (Seen, tasker_telemetry::Health) {
    let seen = Arc::<Mutex<Seen>>::default();
    let telemetry = Telemetry::builder()
        .auto_subscribers(false)
        .queue_capacity(queue_capacity)
        .subscriber(Watch(Arc::clone(&seen)))
        .build()
        .unwrap();
    telemetry.in_scope(relay);
    telemetry.flush_blocking().unwrap();
    telemetry.shutdown_blocking().unwrap();
    let health = telemetry.health();
    drop(telemetry);
    (std::mem::take(&mut *seen.lock().unwrap()), health)
}

fn is_ascending(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[0] < pair[1])
}

#[test]
fn cause_stands_before_effect_across_threads() {
    let (seen, health) = run(200_000);
    assert!(seen.passed.iter().copied().eq(0..PASSES), "{:?}", &seen.passed[..20]);
    assert_eq!(seen.beside.len() as u64, THREADS);
    assert!(seen.beside.iter().all(|numbers| numbers.iter().copied().eq(0..PASSES)), "each thread's own order");
    assert!(health.is_clean(), "{health:#?}");
    assert_eq!(health.queue.skipped, health.queue.late, "nothing was lost, so what was missing came");
    assert_eq!(health.published["custom"], PASSES * (THREADS + 1));
}

#[test]
fn what_is_lost_leaves_the_rest_in_order_and_is_counted() {
    for capacity in [1, 7, 100] {
        let (seen, health) = run(capacity);
        assert!(is_ascending(&seen.passed), "{capacity}: {:?}", seen.passed);
        assert!(seen.beside.iter().all(|numbers| is_ascending(numbers)), "{capacity}");
        let watch = health.subscriber("Watch").unwrap();
        let delivered = seen.passed.len() + seen.beside.iter().map(Vec::len).sum::<usize>();
        assert_eq!(watch.delivered, delivered as u64);
        assert_eq!(watch.published, PASSES * (THREADS + 1));
        assert_eq!(watch.published, watch.delivered + watch.dropped_total(), "{watch:#?}");
        assert!(watch.dropped["queue_full"] > 0, "{capacity} places are not enough");
    }
}
