//! Tests of the queue on real threads. Apart from it, because the model checker compiles that file as well.

use std::sync::Arc;
use std::thread;

use super::queue::Queue;

/// Everything that waits, with its places given back.
fn read<T>(queue: &Queue<T>) -> Vec<T> {
    let mut pieces = Vec::new();
    let read = queue.read(&mut pieces);
    queue.give_back(read);
    pieces.into_iter().flatten().collect()
}

#[test]
fn a_full_queue_gives_the_item_back() {
    let queue = Queue::new(2);
    let lane = queue.open_lane();
    let push = |number| queue.push_in(&lane, 0, 0, |_| number).is_ok();
    assert_eq!((push(1), push(2), push(3)), (true, true, false));
    assert_eq!((queue.push(0, 4).is_ok(), queue.len()), (false, 2));
    assert_eq!(read(&queue), [1, 2]);
    assert_eq!((push(5), queue.len(), queue.high_water()), (true, 1, 2));
    assert_eq!(queue.tally()[0], 3);
}

#[test]
fn the_bound_is_on_all_lanes_together() {
    let queue = Queue::new(10);
    let (one, other) = (queue.open_lane(), queue.open_lane());
    let fit = |lane| (0..20).take_while(|number| queue.push_in(lane, 1, 0, |_| *number).is_ok()).count();
    assert_eq!((fit(&one), fit(&other)), (10, 0));
    assert_eq!(read(&queue).len(), 10);
    assert_eq!((fit(&other), fit(&one)), (10, 0), "what one does not need is the other's");
    assert_eq!((read(&queue).len(), queue.len(), queue.tally()[1]), (10, 0, 20));
}

#[test]
fn places_taken_in_advance_are_given_back() {
    let queue = Queue::new(16);
    let (one, other) = (queue.open_lane(), queue.open_lane());
    assert!(queue.push_in(&one, 0, 0, |_| 1).is_ok() && queue.push_in(&other, 0, 0, |_| 2).is_ok());
    assert_eq!(queue.len(), 2);
    assert!(queue.push(0, 3).is_err(), "the two lanes have taken all");
    assert_eq!(read(&queue), [1, 2]);
    assert_eq!((queue.push(0, 3).is_ok(), queue.len()), (true, 1));
}

#[test]
fn many_items_in_a_lane_keep_their_order() {
    let queue = Queue::new(10_000);
    let lane = queue.open_lane();
    assert!((0..10_000).all(|number| queue.push_in(&lane, 0, 0, |_| number).is_ok()));
    assert!(queue.push_in(&lane, 0, 0, |_| 0).is_err());
    assert!(read(&queue).into_iter().eq(0..10_000));
}

#[test]
fn the_lane_of_a_thread_that_is_gone_is_read_to_its_end() {
    let queue = Queue::new(10);
    let lane = queue.open_lane();
    assert!(queue.push_in(&lane, 3, 0, |_| 1).is_ok());
    drop(lane);
    assert_eq!(read(&queue), [1]);
    assert_eq!((queue.tally()[3], queue.len()), (1, 0));
}

#[test]
fn a_closed_queue_lets_nobody_in_and_loses_nobody() {
    let queue = Queue::new(10);
    let lane = queue.open_lane();
    assert!(queue.push_in(&lane, 0, 0, |_| 1).is_ok());
    queue.close();
    assert!(queue.push_in(&lane, 0, 0, |_| 2).is_ok(), "a place that it had before");
    assert_eq!((queue.push(0, 3).is_ok(), queue.is_finished(), queue.len()), (false, false, 2));
    assert_eq!(read(&queue), [1, 2]);
    assert!(queue.is_finished());
    assert!(queue.push_in(&lane, 0, 0, |_| 4).is_err());
}

#[test]
fn no_wake_up_and_no_item_is_lost() {
    const EACH: u64 = 20_000;
    let queue = Arc::new(Queue::new(usize::MAX));
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
                let lane = queue.open_lane();
                for number in 0..EACH {
                    assert!(queue.push_in(&lane, 0, 0, |_| (producer, number)).is_ok());
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
fn what_was_pushed_last_can_be_changed_until_it_is_read() {
    let queue = Queue::new(10);
    let lane = queue.open_lane();
    let add = |number: &mut u32| {
        *number += 1;
        true
    };
    let change = |owner| Queue::change_last(&lane, 2, owner, add);
    assert!(!change(5), "nothing was pushed");
    assert!(queue.push_in(&lane, 1, 5, |_| 7).is_ok() && queue.push_in(&lane, 1, 5, |_| 8).is_ok());
    assert!(change(5) && !change(6) && !Queue::change_last(&lane, 2, 5, |_| false));
    assert_eq!((read(&queue), queue.tally()[1], queue.tally()[2]), (vec![7, 9], 2, 1));
    assert!(!change(5), "it was read");
}

#[test]
fn an_item_follows_one_of_its_owner_in_its_piece_and_no_other() {
    let queue = Queue::new(10_000);
    let lane = queue.open_lane();
    let push = |owner| assert!(queue.push_in(&lane, 0, owner, |follows| (owner, follows)).is_ok());
    [5, 5, 6, 5, 0, 0, 5].into_iter().for_each(push);
    assert_eq!(read(&queue), [(5, false), (5, true), (6, false), (5, false), (0, false), (0, false), (5, false)]);
    (0..1_000).for_each(|_| push(5));
    let mut pieces = Vec::new();
    queue.read(&mut pieces);
    assert!(pieces.len() > 1, "more than one piece holds");
    for piece in pieces {
        assert!(piece.iter().enumerate().all(|(place, (_, follows))| *follows == (place > 0)), "{piece:?}");
    }
}
