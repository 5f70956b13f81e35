//! Secrets in files and variables.

use std::time::Duration;

use integration_tests::settings::File;
use tasker_telemetry::Builder;
use tasker_telemetry::metrics::otlp::OtlpMetrics;
use tasker_telemetry::prelude::*;
use tasker_telemetry::subscribers::{PagerDuty, Patience, Slack};
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::Otlp;

use crate::Wire;
use crate::garden::{Garden, Out, Plant};
use crate::receiver::CREDENTIAL;

/// Mistakes in settings that hold secrets: what is told of them, and the telemetry's own view of its settings.
pub(crate) fn mistakes(garden: &mut Garden, out: &Out) {
    let mut secret = || garden.plant(Plant::Always);
    let file = format!(
        "[telemetry]\nserve.bearer_token = [\"{}\"]\nqueue_capacity = \"{}\"\notlp.headers = {{ k = {{ v = \"{}\" }} }}\n\
         store.url = \"mysql://u:{}@h/x\"\nstore.durability = \"{}\"\n",
        secret(),
        secret(),
        secret(),
        secret(),
        secret()
    );
    let broken = format!("[telemetry]\nservice_name = \"{}\n", secret());
    for text in [&file, &broken] {
        let error = tasker_telemetry::settings::check(text).unwrap_err();
        out.put("settings", format!("{error} {error:?}").as_bytes());
    }
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", secret()),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", secret()),
        ("TASKER_TELEMETRY__QUEUE_CAPACITY", secret()),
        ("TASKER_TELEMETRY__PUSHGATEWAY__HEADERS", secret()),
        ("TASKER_TELEMETRY__STORE__URL", format!("postgres:{}", secret())),
    ];
    let error = Telemetry::from_variables(variables).unwrap_err();
    out.put("settings", format!("{error} {error:?}").as_bytes());
    let builder = Telemetry::builder().auto_subscribers(false).otlp_with(Otlp::http());
    let builder = builder.variables([("OTEL_RESOURCE_ATTRIBUTES", format!("host.token={},broken", secret()))]);
    let error = builder.build().map(drop).unwrap_err();
    out.put("settings", format!("{error} {error:?}").as_bytes());
    // What comes to light where it is built.
    let address = |secret: String| format!("u:{secret}@host with spaces");
    for (key, value) in [
        ("otlp.traces.endpoint", address(secret())),
        ("otlp.logs.endpoint", format!("ftp://u:{}@h", secret())),
        ("otlp.metrics.endpoint", address(secret())),
        ("pushgateway.url", format!("ftp://u:{}@h", secret())),
        ("store.url", format!("postgres://u:{}@:x:/db", secret())),
    ] {
        let exporters = ["traces_exporter", "logs_exporter", "metrics_exporter"];
        let builder = Telemetry::builder().auto_subscribers(false).variables([("", "")]);
        let builder = exporters.into_iter().fold(builder, |builder, key| builder.option(key, "otlp"));
        let error = builder.option(key, value).build().map(drop).unwrap_err();
        out.put("settings", format!("{error} {error:?}").as_bytes());
    }
}

/// Everything that a program can be connected with, and nobody there: what is told of it.
pub(crate) fn nobody_there(garden: &mut Garden, out: &Out) {
    let mut secret = || garden.plant(Plant::Always);
    let nowhere = |one: String, other: String| format!("http://{one}:{other}@127.0.0.1:1/x?key={one}");
    let patience = Patience::new().attempts(1);
    let otlp = Otlp::http().endpoint(nowhere(secret(), secret())).header("x-key", secret());
    let grpc = Otlp::grpc().endpoint(nowhere(secret(), secret())).header("x-key", secret());
    let metrics = OtlpMetrics::new().endpoint(nowhere(secret(), secret())).header("x-key", secret());
    let slack = Slack::webhook(&format!("http://127.0.0.1:1/{}", secret())).unwrap().patience(patience);
    let pagerduty = PagerDuty::at(&nowhere(secret(), secret()), secret()).unwrap().patience(patience);
    out.put("settings", format!("{otlp:?} {grpc:?} {metrics:?} {slack:?} {pagerduty:?}").as_bytes());
    let store = format!("postgres://shop:{}@127.0.0.1:1/shop?sslmode=disable&password={}", secret(), secret());
    let telemetry = Telemetry::from_variables([
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", nowhere(secret(), secret())),
        ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
        ("TASKER_TELEMETRY__LOG_LEVEL", "debug".to_owned()),
        ("TASKER_TELEMETRY__PUSHGATEWAY__URL", nowhere(secret(), secret())),
        ("TASKER_TELEMETRY__STORE__URL", store),
        ("TASKER_TELEMETRY__STORE__ACQUIRE_TIMEOUT", "20ms".to_owned()),
    ]);
    let telemetry = telemetry
        .unwrap()
        .filter_parameters([] as [&str; 0])
        .auto_subscribers(false)
        .shutdown_timeout(Duration::from_millis(300))
        .subscriber(slack)
        .subscriber(pagerduty)
        .otlp_with(otlp.delay(Duration::from_millis(5)))
        .otlp_with(grpc.delay(Duration::from_millis(5)))
        .otlp_metrics_with(metrics)
        .build()
        .unwrap();
    _ = block_on(telemetry.scope(refused()));
    let flushed = telemetry.flush_blocking();
    let settings = telemetry.settings();
    out.put(
        "settings",
        format!("{settings} {settings:?} {} {flushed:?}", serde_json::to_string(&settings).unwrap()).as_bytes(),
    );
    drop(block_on(async { telemetry.store().unwrap().task("1").await }).map_err(|error| {
        out.put("settings", format!("{error} {error:?}").as_bytes());
    }));
    let ended = telemetry.shutdown_blocking();
    out.put("settings", format!("{ended:?} {:?}", telemetry.health()).as_bytes());
}

#[task]
async fn refused() -> Result<(), String> {
    Err("nobody knows".to_owned())
}

/// What comes from file and environment, credentials included.
pub(crate) fn environment(
    garden: &mut Garden,
    wire: &Wire,
    [http, grpc, statsd, store]: [&str; 4],
) -> (Builder, File, String) {
    let mut secret = || garden.plant(Plant::Always);
    let headers = |secret: String| format!("{CREDENTIAL}={secret}");
    let host = http.trim_start_matches("http://");
    let logs = if wire.logs == "grpc" { grpc.to_owned() } else { format!("{http}/v1/logs") };
    let (token, bearer) = (secret(), secret());
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", http.to_owned()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", wire.compression.to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", headers(secret())),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", headers(secret())),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", headers(secret())),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", logs),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", wire.logs.to_owned()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://{}:{}@{host}/v1/traces", secret(), secret())),
        ("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs/dup".to_owned()),
        ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
        ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
        ("TASKER_TELEMETRY__PUSHGATEWAY__URL", http.to_owned()),
        ("TASKER_TELEMETRY__STATSD__ADDRESS", statsd.to_owned()),
        ("TASKER_TELEMETRY__STATSD__DIALECT", "dogstatsd".to_owned()),
        ("TASKER_TELEMETRY__STORE__URL", store.to_owned()),
        ("TASKER_TELEMETRY__SERVE__ADDRESS", "127.0.0.1:0".to_owned()),
        ("TASKER_TELEMETRY__BAGGAGE_KEYS", "session_token,plan".to_owned()),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            format!("host.api_key={},host.note={}", garden.plant(Plant::Filtered), garden.plant_bare()),
        ),
    ];
    let file = File::new(&format!(
        "[telemetry]\nserve.bearer_token = \"{bearer}\"\n\
         pushgateway.headers = {{ {CREDENTIAL} = \"{token}\" }}\n\
         pushgateway.labels = {{ token = \"{}\", of = \"{}\" }}\n\
         statsd.tags = {{ token = \"{}\", of = \"{}\" }}\n",
        garden.plant(Plant::Filtered),
        garden.plant_bare(),
        garden.plant(Plant::Filtered),
        garden.plant_bare(),
    ));
    let named = ("TASKER_TELEMETRY__CONFIG_FILE", file.path().display().to_string());
    (Telemetry::from_variables(variables.into_iter().chain([named])).unwrap(), file, bearer)
}
