//! The sink takes what is good, and fails in the way it is told to.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use trace_kit::client::{self, Answer};
use trace_kit::span::{Kind, StatusCode, Value};
use trace_kit::{Mode, Sink, sample};

const SOON: Duration = Duration::from_secs(10);

fn post(sink: &Sink, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
    let mut all = vec![("content-type", "application/x-protobuf")];
    all.extend_from_slice(headers);
    client::send(sink.address(), "POST", "/v1/traces", &all, body)
}

fn post_sample(sink: &Sink) -> io::Result<Answer> {
    post(sink, &[], &sample::request().encode_to_vec())
}

fn status(sink: &Sink) -> u16 {
    post_sample(sink).unwrap().status
}

#[test]
fn spans_come_with_everything() {
    let sink = Sink::start();
    client::export(&sink.endpoint(), &sample::request());
    let spans = sink.wait_for_spans(3, SOON);
    assert!(spans.iter().all(|span| span.problems.is_empty()), "{spans:#?}");
    let [failed, retried, root] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((root.parent_span_id.as_str(), root.kind, root.status), ("", Kind::Consumer, StatusCode::Ok));
    assert_eq!(root.attributes["tasker.execution_duration"], Value::Double(1.0));
    assert_eq!(root.attributes["tasker.total_steps"], Value::Int(1));
    assert_eq!(root.attributes["tags"], Value::List(vec!["a, b".into(), "c".into()]));
    assert_eq!(failed.parent_span_id, root.span_id);
    assert_eq!((failed.status, failed.status_message.as_str()), (StatusCode::Error, "declined\n  twice)"));
    assert_eq!(failed.end - failed.start, 40_000_333);
    assert_eq!(failed.events[1].attributes["exception.message"], "declined\nSpan #7".into());
    assert_eq!((&retried.links[0].span_id, &retried.links[0].trace_id), (&failed.span_id, &root.trace_id));
    assert_eq!(retried.resource["service.name"], "shop".into());
    assert_eq!((retried.scope_name.as_str(), retried.scope_version.as_str()), ("tasker-telemetry", "0.1.0"));
    assert_eq!(retried.int("tasker.attempt_number"), Some(2));
    assert_eq!(failed.text("tasker.step_name"), Some("charge"));
}

#[test]
fn gzip_is_undone_and_both_sizes_are_told() {
    let sink = Sink::start();
    let plain = sample::request().encode_to_vec();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&plain).unwrap();
    let packed = gzip.finish().unwrap();
    assert_eq!(post(&sink, &[("content-encoding", "gzip")], &packed).unwrap().status, 200);
    let [request] = &sink.requests()[..] else { panic!() };
    assert_eq!((request.wire_bytes, request.body_bytes, request.spans), (packed.len(), plain.len(), 3));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    // Said to be gzip, and is not.
    assert_eq!(post(&sink, &[("content-encoding", "gzip")], &plain).unwrap().status, 400);
    assert_eq!(sink.span_count(), 3);
}

#[test]
fn a_connection_is_kept_and_bodies_may_come_in_chunks() {
    let sink = Sink::start();
    let body = sample::request().encode_to_vec();
    let mut stream = TcpStream::connect(sink.address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    for _ in 0..3 {
        let head =
            "POST /v1/traces HTTP/1.1\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for chunk in body.chunks(100) {
            write!(stream, "{:x}\r\n", chunk.len()).unwrap();
            stream.write_all(chunk).unwrap();
            stream.write_all(b"\r\n").unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        let mut answer = [0; 256];
        let length = stream.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!((sink.connections(), sink.requests().len(), sink.span_count()), (1, 3, 9));
    assert_eq!(sink.requests()[2].wire_bytes, body.len());
}

#[test]
fn what_is_no_export_of_spans_is_refused() {
    let sink = Sink::start();
    assert_eq!(post(&sink, &[], b"no protobuf").unwrap().status, 400);
    let json = client::send(sink.address(), "POST", "/v1/traces", &[("content-type", "application/json")], b"{}");
    assert_eq!(json.unwrap().status, 415);
    assert_eq!(client::send(sink.address(), "POST", "/v1/logs", &[], b"").unwrap().status, 404);
    assert_eq!(client::send(sink.address(), "GET", "/v1/traces", &[], b"").unwrap().status, 405);
    let problems: Vec<_> = sink.requests().into_iter().map(|request| request.problem.is_some()).collect();
    assert_eq!(problems, [true; 4]);
    assert_eq!(sink.span_count(), 0);
}

#[test]
fn a_closed_port_refuses_and_opens_again_at_the_same_place() {
    let sink = Sink::start();
    let mut kept = TcpStream::connect(sink.address()).unwrap();
    for _ in 0..3 {
        sink.mode(Mode::Refuse);
        assert_eq!(TcpStream::connect(sink.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        sink.mode(Mode::Healthy);
        assert_eq!(status(&sink), 200);
    }
    assert_eq!(kept.read(&mut [0; 1]).unwrap_or(0), 0, "open connections are cut");
}

#[test]
fn a_sink_that_hangs_takes_a_request_and_says_nothing_until_the_mode_changes() {
    for mode in [Mode::Hang, Mode::HangUnread] {
        let sink = Sink::start();
        sink.mode(mode.clone());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| post_sample(&sink));
            if mode == Mode::Hang {
                assert_eq!(sink.wait_for_requests(1, SOON)[0].status, 0);
            } else {
                std::thread::sleep(Duration::from_millis(50));
            }
            assert!(!waiting.is_finished());
            sink.mode(Mode::Healthy);
            assert!(waiting.join().unwrap().is_err(), "{mode:?}");
        });
        assert_eq!(sink.span_count(), 0);
        assert_eq!(status(&sink), 200);
    }
}

#[test]
fn statuses_are_answered_and_their_spans_not_kept() {
    let sink = Sink::start();
    sink.mode(Mode::Status(500));
    assert_eq!(status(&sink), 500);
    sink.mode(Mode::RetryAfter(429, "7".to_owned()));
    let answer = post_sample(&sink).unwrap();
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("\r\nretry-after: 7\r\n"), "{}", answer.head);
    sink.mode(Mode::Recover { failures: 2, status: 503 });
    assert_eq!([(); 4].map(|()| status(&sink)), [503, 503, 200, 200]);
    let requests = sink.requests();
    assert_eq!(requests.iter().map(|request| request.spans).collect::<Vec<_>>(), [3; 6]);
    assert_eq!(requests.iter().map(|request| request.kept).collect::<Vec<_>>(), [0, 0, 0, 0, 3, 3]);
    assert_eq!(sink.span_count(), 6);
}

#[test]
fn a_slow_sink_is_slow() {
    let sink = Sink::start();
    sink.mode(Mode::Slow(Duration::from_millis(50)));
    let begun = Instant::now();
    assert_eq!(status(&sink), 200);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn connections_are_cut_in_the_middle_of_a_request_or_an_answer() {
    let sink = Sink::start();
    sink.mode(Mode::CutRequest);
    assert!(post_sample(&sink).is_err());
    assert_eq!(sink.span_count(), 0);
    sink.mode(Mode::CutAnswer);
    assert!(post_sample(&sink).is_err());
    assert_eq!(sink.span_count(), 3, "they were taken: the client cannot know");
}

#[test]
fn answers_may_be_nonsense() {
    let sink = Sink::start();
    sink.mode(Mode::Garbage);
    let answer = post_sample(&sink).unwrap();
    assert_eq!(answer.status, 200);
    assert!(prost::bytes::Bytes::from(answer.body).starts_with(b"\xff\xff"));
    sink.mode(Mode::NotHttp);
    assert!(post_sample(&sink).is_err());
}

#[test]
fn some_spans_may_be_rejected() {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    let sink = Sink::start();
    sink.mode(Mode::PartialSuccess { rejected: 2, message: "too long".to_owned() });
    let answer = post_sample(&sink).unwrap();
    let said = ExportTraceServiceResponse::decode(&*answer.body).unwrap().partial_success.unwrap();
    assert_eq!((said.rejected_spans, said.error_message.as_str()), (2, "too long"));
    assert_eq!((sink.span_count(), sink.requests()[0].kept), (1, 1));
}

#[test]
fn counting_keeps_no_spans() {
    let sink = Sink::counting();
    assert_eq!(status(&sink), 200);
    assert_eq!(post(&sink, &[], b"no protobuf").unwrap().status, 400);
    assert_eq!((sink.span_count(), sink.spans().len()), (3, 0));
    sink.clear();
    assert_eq!((sink.span_count(), sink.requests().len()), (0, 0));
}
