//! OTLP over gRPC with TLS: a server is trusted for its certificate, and for nothing else.

use std::path::PathBuf;
use std::time::Duration;

use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::{ExporterHealth, Otlp};
use tasker_telemetry::{BuildError, Builder};
use trace_kit::grpc::GrpcSink;

#[step]
fn charge() {}

/// A file that is gone with the test.
struct File(PathBuf);

impl File {
    fn with(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tasker-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> String {
        self.0.to_str().unwrap().to_owned()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn builder(endpoint: String, certificate: Option<String>) -> Builder {
    let certificate = certificate.map(|path| ("OTEL_EXPORTER_OTLP_CERTIFICATE", path));
    Telemetry::builder()
        .auto_subscribers(false)
        .otlp_with(Otlp::grpc().endpoint(endpoint).gzip(true))
        .shutdown_timeout(Duration::from_secs(3))
        .variables(certificate)
}

fn run(builder: Builder) -> ExporterHealth {
    let telemetry = builder.build().unwrap();
    telemetry.in_scope(charge);
    let _ = telemetry.shutdown_blocking();
    telemetry.health().spans.unwrap().exporters[0].clone()
}

#[test]
fn a_server_is_trusted_for_its_certificate_alone() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let sink = GrpcSink::with_tls(&certificate, &key);
    let file = File::with("trusted.pem", &certificate);
    let health = run(builder(sink.endpoint(), Some(file.path())));
    assert_eq!((health.exported, sink.spans().len()), (2, 2), "{health:?}");

    let another = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let another = File::with("another.pem", &another.cert.pem());
    for certificate in [None, Some(another.path())] {
        let health = run(builder(sink.endpoint(), certificate));
        assert_eq!((health.exported, health.dropped_total()), (0, 2), "{health:?}");
        let error = health.last_error.unwrap();
        assert!(error.contains("certificate"), "{error}");
    }
    // Nor is anything sent in the clear.
    assert_eq!(run(builder(sink.endpoint().replace("https", "http"), None)).exported, 0);
    assert_eq!(sink.spans().len(), 2);
}

#[test]
fn a_certificate_that_is_none_is_an_error_when_it_is_built() {
    let empty = File::with("empty.pem", "no certificate\n");
    for path in [empty.path(), "/nowhere/at-all.pem".to_owned()] {
        match builder("https://127.0.0.1:1".to_owned(), Some(path.clone())).build() {
            Err(BuildError::Exporter { problem, .. }) => assert!(problem.contains(&path), "{problem}"),
            other => panic!("{path}: {}", other.is_ok()),
        }
    }
}
