//! The doctor and a real Collector, over HTTP and gRPC, and both protocols at the wrong port.
#![cfg(feature = "services")]

mod support;

use serde_json::Value as Json;
use support::Project;
use trace_kit::receivers::Rotel;

fn levels(report: &Json, area: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["area"] == area);
    findings.map(|finding| finding["level"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_collector_takes_the_test_span() {
    let collector = Rotel::start();
    let project = Project::new("doctor-collector");
    let (http, grpc) = (collector.http_endpoint(), collector.grpc_endpoint());
    let ran = project.tasker(&["doctor", "--format", "json", "--otlp", &http, "--otlp-grpc", &grpc]).ok();
    let report = ran.json();
    assert_eq!(
        (levels(&report, "otlp http"), levels(&report, "otlp grpc")),
        (vec!["good".to_owned()], vec!["good".to_owned()])
    );
    let spans = collector.wait_for_spans(2, std::time::Duration::from_secs(20));
    assert!(spans.iter().all(|span| span.name == "tasker.task.execution"), "{spans:#?}");

    let by_settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", grpc.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let report = project.tasker_with(&by_settings, &["doctor", "--format", "json"]).ok().json();
    assert_eq!(levels(&report, "otlp grpc"), ["good"]);

    let swapped = project.tasker(&["doctor", "--format", "json", "--otlp", &grpc, "--otlp-grpc", &http]).ended(1);
    assert_eq!(swapped.json()["broken"], 2, "{}", swapped.out);
}
