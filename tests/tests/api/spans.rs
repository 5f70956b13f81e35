//! What is seen of a call in a trace.

use std::collections::BTreeMap;

use tasker_telemetry::Value;
use tasker_telemetry::api::ApiError;
use tasker_telemetry::handler::StepAttempt;
use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::{InMemorySpans, Otlp, Remote, Sampling, Span, SpanKind, SpanStatus};

use crate::ask::Ask;
use crate::service::Service;

fn attributes(span: &Span) -> BTreeMap<String, Value> {
    span.attributes().into_iter().collect()
}

#[task(id = "traced")]
async fn traced(asks: Vec<Ask>) {
    for ask in asks {
        let _ = ask.handle_attempt(StepAttempt::new(2)).await;
    }
}

#[tokio::test]
async fn a_call_is_a_client_span_by_the_conventions() {
    let service = Service::start().await;
    let spans = InMemorySpans::default();
    let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()).build().unwrap();
    let connection = service.connection().build().unwrap();
    let asks = ["200", "404", "301", "close"].map(|what| Ask::new(connection.clone(), what));
    telemetry.scope(traced(asks.into())).await;
    telemetry.flush().await.unwrap();
    let calls: Vec<_> = spans.spans().into_iter().filter(|span| span.kind() == SpanKind::Client).collect();
    let steps = spans.named("tasker.step.execution");
    assert_eq!((calls.len(), steps.len(), spans.spans().len()), (4, 4, 9));
    let expected = [
        (Some(200), None, SpanStatus::Unset),
        (Some(404), Some("404"), SpanStatus::Error("".into())),
        (Some(301), None, SpanStatus::Unset),
        (None, Some("network"), SpanStatus::Error("the connection broke before the answer was whole".into())),
    ];
    let what = ["200", "404", "301", "close"];
    for (((call, step), (status, error_type, ended)), what) in calls.iter().zip(&steps).zip(expected).zip(what) {
        assert_eq!((call.name(), call.kind()), ("GET /answer/{what}", SpanKind::Client));
        assert_eq!(call.parent_span_id(), Some(step.span_id()), "{what}");
        assert_eq!(call.trace_id(), step.trace_id());
        assert!(step.start() <= call.start() && call.start() < call.end() && call.end() <= step.end());
        assert_eq!(call.status(), ended, "{what}");
        assert!(call.events().is_empty() && call.links().is_empty());
        let port = i64::from(service.address.port());
        let mut wanted = BTreeMap::from(
            [
                ("http.request.method", Value::from("GET")),
                ("server.address", "127.0.0.1".into()),
                ("server.port", port.into()),
                ("url.full", format!("http://{}/v1/answer/{what}?q=REDACTED&api_key=REDACTED", service.address).into()),
                ("url.template", "/answer/{what}".into()),
                ("http.request.resend_count", 1_i64.into()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        if let Some(status) = status {
            wanted.insert("http.response.status_code".to_owned(), i64::from(status).into());
            wanted.insert("network.protocol.version".to_owned(), "1.1".into());
        }
        if let Some(error_type) = error_type {
            wanted.insert("error.type".to_owned(), error_type.into());
        }
        assert_eq!(attributes(call), wanted, "{what}");
    }
    let parents: Vec<Remote> = service.heads().iter().map(|head| traceparent(head).unwrap()).collect();
    assert_eq!(
        parents.iter().map(|parent| (parent.trace_id(), parent.span_id(), parent.is_sampled())).collect::<Vec<_>>(),
        calls.iter().map(|call| (call.trace_id(), call.span_id(), true)).collect::<Vec<_>>(),
        "the service is told of the call"
    );
    let health = telemetry.health();
    assert!(health.is_clean(), "{health:?}");
    assert_eq!(health.spans.unwrap().produced, 9);
}

fn traceparent(head: &str) -> Option<Remote> {
    head.lines().find_map(|line| line.strip_prefix("traceparent: "))?.parse().ok()
}

#[tokio::test]
async fn what_nobody_samples_makes_no_span_and_says_so_to_the_service() {
    let service = Service::start().await;
    let spans = InMemorySpans::default();
    let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone());
    let telemetry = builder.sampling(Sampling::ratio(0.0)).build().unwrap();
    telemetry.scope(traced(vec![Ask::new(service.connection().build().unwrap(), "200")])).await;
    telemetry.flush().await.unwrap();
    assert!(spans.spans().is_empty());
    let parent = traceparent(&service.heads()[0]).expect("the service may have a mind of its own");
    assert!(!parent.is_sampled());
}

#[tokio::test]
async fn the_calls_of_a_failed_task_are_kept_with_it() {
    #[task]
    async fn order(ask: Ask) -> Result<(), ApiError> {
        ask.handle().await.map(|_| ())
    }
    let service = Service::start().await;
    let spans = InMemorySpans::default();
    let builder = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone());
    let telemetry = builder.sampling(Sampling::ratio(0.0).keep_failures()).build().unwrap();
    for what in ["200", "404"] {
        let _ = telemetry.scope(order(Ask::new(service.connection().build().unwrap(), what))).await;
    }
    telemetry.flush().await.unwrap();
    let mut names: Vec<_> = spans.spans().iter().map(|span| span.name().to_owned()).collect();
    names.sort();
    assert_eq!(
        names,
        ["GET /answer/{what}", "tasker.step.execution", "tasker.task.execution"],
        "of the failed one alone"
    );
}

#[tokio::test]
async fn a_call_that_is_dropped_says_so() {
    let service = Service::start().await;
    let spans = InMemorySpans::default();
    let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()).build().unwrap();
    let ask = Ask::new(service.connection().build().unwrap(), "hang");
    let mut step = Box::pin(telemetry.scope(ask.handle()));
    while service.heads().is_empty() {
        assert!(futures::poll!(step.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    drop(step);
    telemetry.flush().await.unwrap();
    let call = &spans.named("GET /answer/{what}")[0];
    assert_eq!(call.attribute("error.type"), Some("cancelled".into()));
    assert_eq!(spans.named("tasker.step.execution")[0].status(), SpanStatus::Unset);
}

#[tokio::test]
async fn over_otlp_it_is_a_span_of_kind_client() {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;
    let (service, sink) = (Service::start().await, integration_tests::posted::Posted::start());
    let otlp = Otlp::http().endpoint(sink.url());
    let telemetry = Telemetry::builder().auto_subscribers(false).otlp_with(otlp).build().unwrap();
    telemetry.scope(traced(vec![Ask::new(service.connection().build().unwrap(), "200")])).await;
    telemetry.flush().await.unwrap();
    let spans: Vec<_> = sink
        .take()
        .iter()
        .filter_map(|request| ExportTraceServiceRequest::decode(&*request.body).ok())
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect();
    let call = spans.iter().find(|span| span.name == "GET /answer/{what}").expect("it was sent");
    assert_eq!(call.kind, opentelemetry_proto::tonic::trace::v1::span::SpanKind::Client as i32);
    let step = spans.iter().find(|span| span.name == "tasker.step.execution").unwrap();
    assert_eq!(call.parent_span_id, step.span_id);
}
