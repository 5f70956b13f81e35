//! The gRPC sink takes what is good, and fails in the way it is told to; the real receivers take gRPC, too.
#![cfg(feature = "grpc")]

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use trace_kit::grpc::{GrpcMode, GrpcSink};
use trace_kit::sample;
use trace_kit::span::Fidelity;

const SOON: Duration = Duration::from_secs(10);

fn export(endpoint: &str, gzip: bool) -> Result<ExportTraceServiceResponse, Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = TraceServiceClient::connect(endpoint.to_owned()).await;
        let mut client = client.map_err(|error| Status::unavailable(error.to_string()))?;
        if gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let exported = tokio::time::timeout(Duration::from_secs(1), client.export(sample::request())).await;
        Ok(exported.map_err(|_| Status::deadline_exceeded("no answer"))??.into_inner())
    })
}

#[test]
fn spans_come_also_compressed() {
    let sink = GrpcSink::start();
    for gzip in [false, true] {
        export(&sink.endpoint(), gzip).unwrap();
    }
    let spans = sink.wait_for_spans(6, SOON);
    assert_eq!(spans[0].attributes, sample::as_received(sample::request(), Fidelity::FULL)[0].attributes);
    let encodings: Vec<bool> = sink
        .calls()
        .iter()
        .map(|call| call.metadata.iter().any(|(name, value)| name == "grpc-encoding" && value == "gzip"))
        .collect();
    assert_eq!(encodings, [false, true]);
}

#[test]
fn it_fails_as_it_is_told() {
    let sink = GrpcSink::start();
    let code = || export(&sink.endpoint(), false).err().map(|status| status.code());
    sink.mode(GrpcMode::Code(13));
    assert_eq!(code(), Some(Code::Internal));
    sink.mode(GrpcMode::RetryAfter(8, Duration::from_millis(1500)));
    let status = export(&sink.endpoint(), false).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.details().windows(9).any(|bytes| bytes == b"RetryInfo"));
    sink.mode(GrpcMode::Recover { failures: 2, code: 14 });
    assert_eq!([(); 3].map(|()| code()), [Some(Code::Unavailable), Some(Code::Unavailable), None]);
    sink.mode(GrpcMode::Hang);
    assert_eq!(code(), Some(Code::DeadlineExceeded));
    sink.mode(GrpcMode::Refuse);
    assert_eq!(code(), Some(Code::Unavailable));
    sink.mode(GrpcMode::PartialSuccess { rejected: 1, message: "too long".to_owned() });
    let said = export(&sink.endpoint(), false).unwrap().partial_success.unwrap();
    assert_eq!((said.rejected_spans, said.error_message.as_str()), (1, "too long"));
    sink.mode(GrpcMode::Slow(Duration::from_millis(20)));
    assert_eq!(code(), None);
    assert_eq!(sink.spans().len(), 3 + 2 + 3);
    assert_eq!(sink.calls().iter().map(|call| call.kept).collect::<Vec<_>>(), [0, 0, 0, 0, 3, 0, 2, 3]);
}

#[cfg(feature = "services")]
#[test]
fn the_real_receivers_take_it() {
    use trace_kit::receivers::{Autotel, Rotel};
    let rotel = Rotel::start();
    for gzip in [false, true] {
        export(&rotel.grpc_endpoint(), gzip).unwrap();
    }
    assert_eq!(rotel.wait_for_spans(6, SOON).len(), 6);
    let autotel = Autotel::start();
    export(&autotel.grpc_endpoint(), false).unwrap();
    assert_eq!(autotel.wait_for_spans(3, SOON).len(), 3);
}
