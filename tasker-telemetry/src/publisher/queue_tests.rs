//! Tests of the queue on real threads. Apart from it, because the model checker compiles that file as well.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;

use super::harvest::Read;
use super::queue::{self, Refused};
use super::strip::{Entry, STRIP};
use super::sync::{AtomicU64, Ordering};

type Queue<T> = queue::Queue<T, Number>;
type Lane<T> = queue::Lane<T, Number>;

/// An entry that is a number. Owners are named.
#[derive(Default)]
struct Number(AtomicU64);

impl Entry for Number {
    type Content = u32;
    type Owner = &'static str;

    fn put(&self, number: u32) {
        self.0.store(u64::from(number), Ordering::Relaxed);
    }

    fn content(&self) -> Option<u32> {
        u32::try_from(self.0.load(Ordering::Relaxed)).ok()
    }

    fn is(&self, number: u64) -> bool {
        self.0.load(Ordering::Relaxed) == number
    }
}

const NAMES: [&str; 3] = ["none", "one", "two"];

/// Puts a number down, as whoever uses the queue does.
fn put<T>(queue: &Queue<T>, lane: &mut Lane<T>, owner: usize, number: u32) -> Result<(), Refused> {
    let is_put = queue.put_in(lane, 4, owner, number, None);
    if is_put { Ok(()) } else { queue.put_anew(lane, 4, owner, (number, None), || NAMES[owner]) }
}

/// What was read: an item, or an entry with its owner and its end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen<T> {
    Item(T),
    Entry(&'static str, u32, Option<u64>),
}

/// Everything that waits, with its places given back.
fn read_all<T: Copy>(queue: &Queue<T>) -> Vec<Seen<T>> {
    let (mut harvests, mut seen) = (Vec::new(), Vec::new());
    let read = queue.read(&mut harvests);
    for harvest in harvests {
        harvest.each(|read| {
            seen.push(match read {
                Read::Item(item) => Seen::Item(*item),
                Read::Entry(owner, number, end) => Seen::Entry(owner, number, end),
            });
        });
    }
    assert_eq!(seen.len(), read);
    queue.give_back(read);
    seen
}

/// The same of items alone.
fn read<T: Copy>(queue: &Queue<T>) -> Vec<T> {
    let item = |seen| match seen {
        Seen::Item(item) => item,
        Seen::Entry(..) => panic!("an entry"),
    };
    read_all(queue).into_iter().map(item).collect()
}

#[test]
fn a_full_queue_gives_the_item_back() {
    let queue = Queue::<u32>::new(2);
    let mut lane = queue.open_lane();
    let mut push = |number| queue.push_in(&mut lane, 0, 0, |_| number).is_ok();
    assert_eq!((push(1), push(2), push(3)), (true, true, false));
    assert_eq!((queue.push(0, 4).is_ok(), queue.len()), (false, 2));
    assert_eq!(read(&queue), [1, 2]);
    assert_eq!((push(5), queue.len(), queue.high_water()), (true, 1, 2));
    assert_eq!(queue.tally()[0], 3);
}

#[test]
fn the_bound_is_on_all_lanes_together() {
    let queue = Queue::<u32>::new(10);
    let (mut one, mut other) = (queue.open_lane(), queue.open_lane());
    let fit =
        |lane: &mut Lane<u32>| (0..20).take_while(|number| queue.push_in(lane, 1, 0, |_| *number).is_ok()).count();
    assert_eq!((fit(&mut one), fit(&mut other)), (10, 0));
    assert_eq!(read(&queue).len(), 10);
    assert_eq!((fit(&mut other), fit(&mut one)), (10, 0), "what one does not need is the other's");
    assert_eq!((read(&queue).len(), queue.len(), queue.tally()[1]), (10, 0, 20));
}

#[test]
fn places_taken_in_advance_are_given_back() {
    let queue = Queue::<u32>::new(16);
    let (mut one, mut other) = (queue.open_lane(), queue.open_lane());
    assert!(queue.push_in(&mut one, 0, 0, |_| 1).is_ok() && queue.push_in(&mut other, 0, 0, |_| 2).is_ok());
    assert_eq!(queue.len(), 2);
    assert!(queue.push(0, 3).is_err(), "the two lanes have taken all");
    assert_eq!(read(&queue), [1, 2]);
    assert_eq!((queue.push(0, 3).is_ok(), queue.len()), (true, 1));
}

#[test]
fn many_items_in_a_lane_keep_their_order() {
    let queue = Queue::<u32>::new(10_000);
    let mut lane = queue.open_lane();
    assert!((0..10_000).all(|number| queue.push_in(&mut lane, 0, 0, |_| number).is_ok()));
    assert!(queue.push_in(&mut lane, 0, 0, |_| 0).is_err());
    assert!(read(&queue).into_iter().eq(0..10_000));
}

#[test]
fn the_lane_of_a_thread_that_is_gone_is_read_to_its_end() {
    let queue = Queue::<u32>::new(10);
    let mut lane = queue.open_lane();
    assert!(queue.push_in(&mut lane, 3, 0, |_| 1).is_ok());
    drop(lane);
    assert_eq!(read(&queue), [1]);
    assert_eq!((queue.tally()[3], queue.len()), (1, 0));
}

#[test]
fn a_closed_queue_lets_nobody_in_and_loses_nobody() {
    let queue = Queue::<u32>::new(10);
    let mut lane = queue.open_lane();
    assert!(queue.push_in(&mut lane, 0, 0, |_| 1).is_ok());
    queue.close();
    assert!(queue.push_in(&mut lane, 0, 0, |_| 2).is_ok(), "a place that it had before");
    assert_eq!((queue.push(0, 3).is_ok(), queue.is_finished(), queue.len()), (false, false, 2));
    assert_eq!(read(&queue), [1, 2]);
    assert!(queue.is_finished());
    assert!(queue.push_in(&mut lane, 0, 0, |_| 4).is_err());
}

#[test]
fn no_wake_up_and_no_item_is_lost() {
    const EACH: u64 = 20_000;
    let queue = Arc::new(Queue::<(usize, u64)>::new(usize::MAX));
    let consumer = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            queue.set_consumer(thread::current());
            let mut seen = [0_u64; 4];
            while seen.iter().sum::<u64>() < 4 * EACH {
                let batch = read(&queue);
                if batch.is_empty() {
                    queue.sleep(None); // a lost wake-up would hang the test here
                }
                for (producer, number) in batch {
                    let producer: usize = producer;
                    // What found the lane's lock taken may overtake, or be overtaken: `order.rs` sees to that.
                    assert!(number < EACH);
                    seen[producer] += 1;
                }
            }
        }
    });
    let producers: Vec<_> = (0..4)
        .map(|producer| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut lane = queue.open_lane();
                for number in 0..EACH {
                    assert!(queue.push_in(&mut lane, 0, 0, |_| (producer, number)).is_ok());
                    if number % 512 == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    for producer in producers {
        producer.join().unwrap();
    }
    consumer.join().unwrap();
    assert_eq!((queue.len(), queue.tally()[0]), (0, 4 * EACH));
}

#[test]
fn an_item_follows_one_of_its_owner_in_its_piece_and_no_other() {
    let queue = Queue::<(usize, bool)>::new(10_000);
    let mut lane = queue.open_lane();
    let mut push = |owner| assert!(queue.push_in(&mut lane, 0, owner, |follows| (owner, follows)).is_ok());
    [5, 5, 6, 5, 0, 0, 5].into_iter().for_each(&mut push);
    assert_eq!(read(&queue), [(5, false), (5, true), (6, false), (5, false), (0, false), (0, false), (5, false)]);
    (0..1_000).for_each(|_| push(5));
    let mut harvests = Vec::new();
    queue.read(&mut harvests);
    let pieces: Vec<_> = harvests.into_iter().flat_map(|harvest| harvest.pieces).collect();
    assert!(pieces.len() > 1, "more than one piece holds");
    for piece in pieces {
        assert!(piece.iter().enumerate().all(|(place, (_, follows))| *follows == (place > 0)), "{piece:?}");
    }
}

#[test]
fn entries_and_items_of_a_lane_keep_their_order_and_entries_their_owners() {
    let queue = Queue::<u32>::new(100_000);
    let mut lane = queue.open_lane();
    let mut expected = Vec::new();
    // Rows of each that end within, at and beyond the end of a strip or a piece, and read in between.
    for (round, (entries, items)) in
        [(1, 0), (3, 2), (STRIP - 4, 300), (STRIP, 1), (700, 0), (1, 1), (0, 5)].into_iter().enumerate()
    {
        for time in 0..3_u32 {
            for number in 0..u32::try_from(entries).unwrap() {
                let owner = 1 + (number as usize / 5 + round) % 2;
                assert_eq!(put(&queue, &mut lane, owner, number), Ok(()));
                expected.push(Seen::Entry(NAMES[owner], number, None));
            }
            for number in 0..items {
                assert!(queue.push_in(&mut lane, 1, 0, |_| number + time).is_ok());
                expected.push(Seen::Item(number + time));
            }
        }
        if round % 3 != 1 {
            assert_eq!(queue.len(), expected.len());
            assert_eq!(read_all(&queue), expected, "round {round}");
            expected.clear();
        }
    }
    assert_eq!((queue.len(), queue.tally()[4], queue.tally()[1]), (0, 3 * (1 + 3 + 252 + 256 + 700 + 1), 3 * 309));
}

#[test]
fn an_end_is_added_to_the_last_entry_until_that_is_read() {
    let queue = Queue::<u32>::new(10);
    let mut lane = queue.open_lane();
    let add = |lane: &Lane<u32>, owner, number, end| Queue::add_end(lane, 5, owner, number, end);
    assert!(!add(&lane, 1, 0, 9), "nothing was put down");
    assert_eq!((put(&queue, &mut lane, 1, 7), put(&queue, &mut lane, 1, 8)), (Ok(()), Ok(())));
    assert!(!add(&lane, 1, 7, 9), "not the last");
    assert!(!add(&lane, 2, 8, 9), "another's");
    assert!(add(&lane, 1, 8, u64::MAX), "however long it took");
    assert!(!add(&lane, 1, 8, 3), "it has one");
    let expected = [Seen::Entry("one", 7, None), Seen::Entry("one", 8, Some(u64::MAX - 2))];
    assert_eq!((&read_all(&queue)[..], queue.tally()[4], queue.tally()[5]), (&expected[..], 2, 1));
    assert_eq!(put(&queue, &mut lane, 1, 9), Ok(()));
    assert!(queue.put_in(&mut lane, 5, 1, 10, Some(0)), "its end at once");
    assert_eq!(read_all(&queue), [Seen::Entry("one", 9, None), Seen::Entry("one", 10, Some(0))]);
    assert!(!add(&lane, 1, 9, 3), "it was read");
}

#[test]
fn no_end_is_added_to_a_strip_in_which_nothing_was_put_down_yet() {
    let queue = Queue::<u32>::new(STRIP);
    let mut lane = queue.open_lane();
    for _ in 0..STRIP {
        assert_eq!(put(&queue, &mut lane, 1, 0), Ok(())); // the number of slots that were never filled
    }
    // A new strip has been begun for it, and there is no place.
    assert_eq!(put(&queue, &mut lane, 2, 1), Err(Refused::Full));
    let is_added = Queue::add_end(&lane, 5, 1, 0, 9);
    let seen = read_all(&queue);
    assert_eq!(seen.len(), STRIP);
    let ends = seen.iter().filter(|seen| matches!(seen, Seen::Entry(_, _, Some(9)))).count();
    assert_eq!(ends, usize::from(is_added), "an end that was added is read");
}

#[test]
fn entries_and_items_share_one_bound() {
    let queue = Queue::<u32>::new(12);
    let mut lane = queue.open_lane();
    // The first of each takes several places in advance; they are the lane's, whatever it puts there.
    assert_eq!(put(&queue, &mut lane, 1, 0), Ok(()));
    let items = (0..20).take_while(|number| queue.push_in(&mut lane, 0, 0, |_| *number).is_ok()).count();
    assert_eq!((items, put(&queue, &mut lane, 1, 0), queue.len()), (11, Err(Refused::Full), 12));
    assert_eq!(read_all(&queue).len(), 12);
    assert!(queue.push_in(&mut lane, 0, 0, |_| 1).is_ok());
    let entries = (0..20).take_while(|number| put(&queue, &mut lane, 1, *number).is_ok()).count();
    assert_eq!((entries, queue.push_in(&mut lane, 0, 0, |_| 1).is_err()), (11, true));
    assert_eq!(read_all(&queue).len(), 12);
    assert_eq!(queue.len(), 0);
    queue.close();
    assert_eq!((put(&queue, &mut lane, 1, 0), queue.is_finished()), (Err(Refused::Full), true));
}

#[test]
fn the_entries_of_a_thread_that_is_gone_are_read_and_counted() {
    let queue = Queue::<u32>::new(1_000);
    let mut lane = queue.open_lane();
    assert!((0..600).all(|number| put(&queue, &mut lane, 1, number).is_ok()));
    drop(lane);
    assert_eq!(read_all(&queue).len(), 600);
    assert_eq!((queue.tally()[4], queue.len()), (600, 0));
}

#[test]
fn strips_are_filled_again_and_hold_nobody() {
    let queue = queue::Queue::<u32, Owned>::new(100_000);
    let mut lane = queue.open_lane();
    let owner = Arc::new(());
    for _ in 0..5 {
        for number in 0..1_000 {
            if !queue.put_in(&mut lane, 0, 1, number, None) {
                assert!(queue.put_anew(&mut lane, 0, 1, (number, None), || Arc::clone(&owner)).is_ok());
            }
        }
        let (mut harvests, mut seen) = (Vec::new(), Vec::new());
        let read = queue.read(&mut harvests);
        for harvest in harvests {
            harvest.each(|read| {
                if let Read::Entry(_, number, end) = read {
                    assert_eq!(end, None);
                    seen.push(number);
                }
            });
        }
        queue.give_back(read);
        assert!(seen.into_iter().eq(0..1_000));
        assert_eq!(Arc::strong_count(&owner), 1, "nobody holds the owner of what was read");
        assert!(MADE.get() <= 6 * STRIP, "{} entries made", MADE.get());
    }
    // What a quiet thread does not need is no more.
    let before = GONE.get();
    (0..2).for_each(|_| _ = queue.read(&mut Vec::new()));
    assert!(GONE.get() - before >= 3 * STRIP, "{} entries gone", GONE.get() - before);
}

thread_local! {
    static MADE: Cell<usize> = const { Cell::new(0) };
    static GONE: Cell<usize> = const { Cell::new(0) };
}

/// An entry whose owner is counted, as it is itself.
struct Owned(Number);

impl Default for Owned {
    fn default() -> Self {
        MADE.set(MADE.get() + 1);
        Self(Number::default())
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        GONE.set(GONE.get() + 1);
    }
}

impl Entry for Owned {
    type Content = u32;
    type Owner = Arc<()>;

    fn put(&self, number: u32) {
        self.0.put(number);
    }

    fn content(&self) -> Option<u32> {
        self.0.content()
    }

    fn is(&self, number: u64) -> bool {
        self.0.is(number)
    }
}

#[test]
fn no_entry_no_end_and_no_wake_up_is_lost() {
    const EACH: u32 = 50_000;
    let queue = Arc::new(Queue::<u32>::new(usize::MAX));
    let consumer = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            queue.set_consumer(thread::current());
            let (mut entries, mut ends) = (0, 0_u64);
            while entries < 3 * EACH {
                let seen = read_all(&queue);
                if seen.is_empty() {
                    queue.sleep(None); // a lost wake-up would hang the test here
                }
                for seen in seen {
                    match seen {
                        Seen::Entry(_, _, end) => ends += end.unwrap_or(0),
                        Seen::Item(_) => ends += 1, // an end that came too late
                    }
                    entries += u32::from(matches!(seen, Seen::Entry(..)));
                }
            }
            ends + read_all(&queue).len() as u64
        }
    });
    let producers: Vec<_> = (0..3)
        .map(|producer| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut lane = queue.open_lane();
                for number in 0..EACH {
                    let owner = 1 + (number as usize / 7 + producer) % 2;
                    while put(&queue, &mut lane, owner, number).is_err() {
                        thread::yield_now(); // the lane is being read
                    }
                    if number % 512 == 0 {
                        thread::yield_now();
                    }
                    if !Queue::add_end(&lane, 5, owner, number.into(), 1) {
                        assert!(queue.push_in(&mut lane, 5, 0, |_| number).is_ok());
                    }
                }
            })
        })
        .collect();
    for producer in producers {
        producer.join().unwrap();
    }
    let ends = consumer.join().unwrap() + read_all(&queue).len() as u64;
    let tally = queue.tally();
    assert_eq!(
        (ends, queue.len(), tally[4], tally[5]),
        (u64::from(3 * EACH), 0, u64::from(3 * EACH), u64::from(3 * EACH))
    );
}
