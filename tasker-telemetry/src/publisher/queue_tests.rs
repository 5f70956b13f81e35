//! Tests of the queue on real threads. Apart from it, because the model checker compiles that file as well.

use std::sync::Arc;
use std::thread;

use super::queue::Queue;

#[test]
fn a_full_queue_gives_the_item_back() {
    let queue = Queue::new(2);
    assert_eq!((queue.push(1), queue.push(2), queue.push(3)), (Ok(()), Ok(()), Err(3)));
    let mut taken = Vec::new();
    assert_eq!(queue.drain(10, &mut taken), 2);
    assert_eq!((queue.push(4), queue.len(), queue.high_water()), (Ok(()), 1, 2));
    assert_eq!(taken, [1, 2]);
}

#[test]
fn a_closed_queue_lets_nobody_in_and_loses_nobody() {
    let queue = Queue::new(10);
    assert_eq!(queue.push(1), Ok(()));
    queue.close();
    assert_eq!((queue.push(2), queue.is_finished(), queue.len()), (Err(2), false, 1));
    let mut taken = Vec::new();
    assert_eq!(queue.drain(10, &mut taken), 1);
    assert!(queue.is_finished());
}

#[test]
fn no_wake_up_is_lost_and_each_producer_keeps_its_order() {
    const EACH: u64 = 20_000;
    let queue = Arc::new(Queue::new(usize::MAX));
    let consumer = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            queue.set_consumer(thread::current());
            let (mut seen, mut batch) = ([0_u64; 4], Vec::new());
            while seen.iter().sum::<u64>() < 4 * EACH {
                if queue.drain(64, &mut batch) == 0 {
                    queue.sleep(None); // a lost wake-up would hang the test here
                }
                for (producer, number) in batch.drain(..) {
                    let producer: usize = producer;
                    assert_eq!(seen[producer], number, "out of order");
                    seen[producer] += 1;
                }
            }
        }
    });
    let producers: Vec<_> = (0..4)
        .map(|producer| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for number in 0..EACH {
                    assert!(queue.push((producer, number)).is_ok());
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
    assert_eq!(queue.len(), 0);
}
