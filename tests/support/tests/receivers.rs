//! What the receivers of other projects show is what they were sent. Run by `scripts/test-services`.
#![cfg(feature = "services")]

use std::time::Duration;

use trace_kit::receivers::{Autotel, Rotel};
use trace_kit::span::{Fidelity, ReceivedSpan};
use trace_kit::{client, sample};

const SOON: Duration = Duration::from_secs(30);

/// Compares without regard to the order, and to times as exactly as the receiver shows them.
fn assert_received(mut seen: Vec<ReceivedSpan>, mut expected: Vec<ReceivedSpan>, fidelity: Fidelity) {
    for spans in [&mut seen, &mut expected] {
        spans.sort_by(|a, b| a.span_id.cmp(&b.span_id));
    }
    assert_eq!(seen.len(), expected.len(), "{seen:#?}");
    for (seen, expected) in seen.iter_mut().zip(&expected) {
        let mut times = vec![(&mut seen.start, expected.start), (&mut seen.end, expected.end)];
        times.extend(seen.events.iter_mut().map(|event| &mut event.time).zip(expected.events.iter().map(|e| e.time)));
        for (seen, expected) in times {
            assert!(seen.abs_diff(expected) <= fidelity.time_nanos, "{seen} is not {expected}");
            *seen = expected;
        }
        assert_eq!(seen, expected);
    }
}

#[test]
fn rotel_shows_everything() {
    let rotel = Rotel::start();
    for number in 1..=2 {
        let request = sample::request();
        client::export(&rotel.http_endpoint(), &request);
        let mut spans = rotel.wait_for_spans(3 * number, SOON);
        let last = spans.split_off(3 * (number - 1));
        assert_received(last, sample::as_received(request, Rotel::FIDELITY), Rotel::FIDELITY);
    }
}

#[test]
fn autotel_shows_all_but_the_types_of_numbers() {
    let autotel = Autotel::start();
    let request = sample::request();
    client::export(&autotel.http_endpoint(), &request);
    let spans = autotel.wait_for_spans(3, SOON);
    assert_received(spans, sample::as_received(request, Autotel::FIDELITY), Autotel::FIDELITY);
}

#[test]
fn autotel_shows_a_trace_that_comes_in_parts_and_more_than_a_hundred_of_them() {
    let autotel = Autotel::start();
    for _ in 0..120 {
        let request = sample::request();
        for number in 0..3 {
            let mut part = request.clone();
            let spans = &mut part.resource_spans[0].scope_spans[0].spans;
            *spans = vec![spans[number].clone()];
            client::export(&autotel.http_endpoint(), &part);
        }
    }
    assert_eq!(autotel.wait_for_spans(360, SOON).len(), 360);
}
