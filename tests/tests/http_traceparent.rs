//! A step that calls an HTTP server: what arrives there is a `traceparent` of this step, through an instrumented client (whose own
//! span lies between) and through one that only injects; for steps that are async, plain, nested and spawned, in tasks that take
//! turns on one thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{FutureExt as _, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider};
use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::{InMemorySpans, Remote};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Path and `traceparent` of every request that the server saw.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A real server, of which nobody asks more than to look at the head of a request.
async fn serve(listener: TcpListener, seen: Seen) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let (mut head, mut bytes) = (Vec::new(), [0; 1024]);
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match socket.read(&mut bytes).await {
                    Ok(read) if read > 0 => head.extend_from_slice(&bytes[..read]),
                    _ => return,
                }
            }
            let head = String::from_utf8(head).expect("ASCII");
            let path = head.split(' ').nth(1).expect("a path").to_owned();
            let parent =
                head.lines().find_map(|line| line.strip_prefix("traceparent: ")).unwrap_or_default().to_owned();
            seen.lock().unwrap().push((path, parent));
            let _ = socket.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
        });
    }
}

#[derive(Clone)]
struct Client {
    tracer: SdkTracer,
    address: std::net::SocketAddr,
}

impl Client {
    /// Sends the current context along.
    async fn get(&self, path: &str) {
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&Context::current(), &mut headers);
        let headers = headers.iter().fold(String::new(), |text, (name, value)| text + name + ": " + value + "\r\n");
        let mut socket = TcpStream::connect(self.address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: shop\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }

    /// The same inside a span of the client's own, as instrumented clients do it.
    async fn get_instrumented(&self, path: &str) {
        let span = self.tracer.span_builder(format!("GET {path}")).with_kind(SpanKind::Client).start(&self.tracer);
        self.get(path).with_context(Context::current_with_span(span)).await;
    }
}

fn place(how: &str) -> String {
    let task = TaskScope::current().expect("inside a task");
    format!("/{}/{}/{how}", task.task_id(), StepScope::current().map_or("", |step| step.step_name()))
}

#[step]
async fn inner(client: &Client) {
    client.get(&place("plain")).await;
    client.get_instrumented(&place("instrumented")).await;
}

#[step]
async fn outer(client: Client) {
    client.get(&place("before")).await;
    inner(&client).await;
    client.get_instrumented(&place("instrumented")).await;
    let theirs = client.clone();
    let spawned = async move { theirs.get(&place("spawned")).await };
    tokio::spawn(spawned.in_current_scope()).await.expect("it does not panic");
    client.get(&place("after")).await;
}

/// A plain function knows its own header, whatever client it uses.
#[step]
fn by_hand() -> (String, String) {
    (place("by hand"), StepScope::current().and_then(|step| step.traceparent()).expect("traced"))
}

#[task(id = id)]
async fn order(id: u64, client: Client, seen: Seen) {
    outer(client.clone()).await;
    seen.lock().unwrap().push(by_hand());
    client.get(&place("in the task")).await;
}

#[tokio::test(flavor = "current_thread")]
async fn the_server_sees_the_step_that_called_it() {
    let (ours, foreign) = (InMemorySpans::default(), InMemorySpanExporter::default());
    let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(ours.clone()).build().unwrap();
    let provider = SdkTracerProvider::builder().with_simple_exporter(foreign.clone()).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client { tracer: provider.tracer("http"), address: listener.local_addr().unwrap() };
    let seen = Seen::default();
    tokio::spawn(serve(listener, Arc::clone(&seen)));
    const ORDERS: u64 = 20;
    let orders = (0..ORDERS).map(|id| telemetry.scope(order(id, client.clone(), Arc::clone(&seen))));
    futures::future::join_all(orders).await;
    telemetry.flush().await.unwrap();

    let (ours, foreign) = (ours.spans(), foreign.get_finished_spans().unwrap());
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len() as u64, ORDERS * 8);
    for (path, parent) in &*seen {
        let [_, task, step, how] = path.splitn(4, '/').collect::<Vec<_>>()[..] else { panic!("{path}") };
        let of_task =
            |span: &&tasker_telemetry::trace::Span| span.attribute("tasker.task_id") == Some(task.to_owned().into());
        let is_it = |span: &&tasker_telemetry::trace::Span| match step {
            "" => span.name() == "tasker.task.execution",
            _ => span.attribute("tasker.step_name") == Some(step.to_owned().into()),
        };
        let span = ours.iter().filter(of_task).find(is_it).unwrap_or_else(|| panic!("no span for {path}"));
        let parent: Remote = parent.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(parent.trace_id() == span.trace_id() && parent.is_sampled(), "{path}");
        if how == "instrumented" {
            let id = parent.span_id().to_bytes();
            let between = foreign.iter().find(|span| span.span_context.span_id().to_bytes() == id);
            let between = between.unwrap_or_else(|| panic!("no client's span for {path}"));
            assert_eq!(between.parent_span_id.to_bytes(), span.span_id().to_bytes(), "{path}");
        } else {
            assert_eq!(parent.span_id(), span.span_id(), "{path}");
        }
    }
}
