//! Zipkin's exporter crate, as one that somebody brings along: what it posts is Zipkin JSON v2 of what ran.
#![allow(deprecated, reason = "users have it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use opentelemetry_zipkin::ZipkinExporter;
use serde_json::Value as Json;
use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::InMemorySpans;

#[step(retry_limit = 2, fields(amount))]
async fn charge(amount: u64) -> Result<u64, String> {
    let first = StepScope::current().is_some_and(|step| step.attempt_number() == 1);
    if first { Err("the gateway timed out".into()) } else { Ok(amount) }
}

#[task(id = "order 7")]
async fn order() -> Result<u64, String> {
    charge(7).await
}

/// A server that gives the bodies that are posted to it.
fn zipkin() -> (String, Receiver<Json>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/api/v2/spans", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut reader, mut length, mut line) = (BufReader::new(stream.unwrap()), 0, String::new());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            reader.get_mut().write_all(answer).unwrap();
            let _ = sender.send(serde_json::from_slice(&body).unwrap());
        }
    });
    (endpoint, receiver)
}

/// Its client is a blocking one, which may be made and used where no future is awaited.
#[test]
fn zipkin_gets_what_ran() {
    for inside_a_runtime in [false, true] {
        let (endpoint, posted) = zipkin();
        let exporter = ZipkinExporter::builder().with_collector_endpoint(endpoint).build().unwrap();
        let ours = InMemorySpans::default();
        let builder = Telemetry::builder().auto_subscribers(false).service_name("shop");
        let builder = builder.span_exporter(exporter).in_memory_spans(ours.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let telemetry = if inside_a_runtime {
            runtime.block_on(async {
                let telemetry = builder.build().unwrap();
                telemetry.scope(order()).await.unwrap();
                telemetry.shutdown().await.unwrap();
                telemetry
            })
        } else {
            let telemetry = builder.build().unwrap();
            tasker_telemetry::testing::block_on(telemetry.scope(order())).unwrap();
            telemetry.shutdown_blocking().unwrap();
            telemetry
        };
        assert_eq!(telemetry.health().spans.unwrap().exporters[0].exported, 3);
        let posted = posted.recv_timeout(Duration::from_secs(10)).unwrap();
        let spans = posted.as_array().unwrap();
        assert_eq!(spans.len(), 3);
        for (zipkin, ours) in spans.iter().zip(ours.spans()) {
            assert_eq!(zipkin["traceId"], ours.trace_id().to_string());
            assert_eq!(zipkin["id"], ours.span_id().to_string());
            // The crate writes zeros for none.
            let parent = ours.parent_span_id().map_or_else(|| "0".repeat(16), |id| id.to_string());
            assert_eq!(zipkin["parentId"], parent);
            assert_eq!(zipkin["name"], ours.name());
            assert_eq!(zipkin["timestamp"], ours.start().as_unix_nanos() / 1000);
            assert_eq!(zipkin["tags"]["tasker.task_id"], "order 7");
        }
        assert_eq!(spans[0]["tags"]["error"], "the gateway timed out");
        assert_eq!(spans[0]["tags"]["tasker.attempt_number"], "1");
        assert_eq!(spans[0]["tags"]["amount"], "7");
        let annotations: Vec<_> =
            spans[0]["annotations"].as_array().unwrap().iter().map(|a| a["value"].as_str()).collect();
        assert_eq!(annotations[0], Some("step.started"));
    }
}
