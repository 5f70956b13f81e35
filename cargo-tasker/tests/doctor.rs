//! Each ill is named rightly, with what to do, and within a time that people wait. Real receivers are in `services_doctor.rs`.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use support::{Project, Ran, dependency};

/// The finding of that area, or what there is instead.
#[track_caller]
fn finding<'a>(report: &'a Json, area: &str, level: &str) -> &'a Json {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["area"] == area && finding["level"] == level)
        .unwrap_or_else(|| panic!("no finding {level} of {area} in {report:#}"))
}

#[track_caller]
fn says(finding: &Json, words: &[&str]) {
    let text = format!("{} {}", finding["message"], finding["advice"]);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

fn doctor(project: &Project, arguments: &[&str]) -> Ran {
    project.tasker(&[&["doctor", "--format", "json"], arguments].concat())
}

/// A port at which nothing listens.
fn free() -> u16 {
    let [address] = trace_kit::ports::tcp();
    address.port()
}

#[test]
fn nothing_runs() {
    let project = Project::new("doctor-nothing");
    let port = free();
    let endpoint = format!("http://127.0.0.1:{port}");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let statsd = format!("127.0.0.1:{}", free());
    let store = format!("postgres://user:secret@127.0.0.1:{}/shop", free());
    let gateway = format!("http://127.0.0.1:{}", free());
    let arguments = [
        "doctor",
        "--format",
        "json",
        "--statsd",
        &statsd,
        "--store",
        &store,
        "--pushgateway",
        &gateway,
        "--health",
        &gateway,
    ];
    let ran = project.tasker_with(&variables, &arguments).ended(1);
    let report = ran.json();
    says(
        finding(&report, "otlp http", "broken"),
        &["nothing listens at 127.0.0.1", &port.to_string(), "OTEL_EXPORTER_OTLP_ENDPOINT"],
    );
    says(finding(&report, "statsd", "broken"), &["nothing listens"]);
    says(finding(&report, "store", "broken"), &["nothing listens"]);
    says(finding(&report, "pushgateway", "broken"), &["nothing listens"]);
    says(finding(&report, "running process", "broken"), &["metrics::serve"]);
    assert!(!ran.out.contains("secret"), "{}", ran.out);

    // Whoever exports nothing has nothing that could be broken.
    let none = project.tasker_with(&[("OTEL_TRACES_EXPORTER", "none")], &["doctor"]).ok();
    assert!(none.out.contains("nothing is broken"), "{}", none.out);
    let wrong = project.tasker_with(&[("OTEL_TRACES_EXPORTER", "jaegr")], &["doctor"]).ended(1);
    assert!(wrong.out.contains("OTEL_TRACES_EXPORTER") && wrong.out.contains("`console`"), "{}", wrong.out);
}

#[test]
fn settings_and_their_sources_are_shown() {
    let project = Project::new("doctor-settings");
    let port = free();
    let file = format!(
        "[telemetry]\nservice_name = \"kiosk\"\nstore.url = \"postgres://shop:hunter2@127.0.0.1:{port}/shop\"\n\n[telemetry.otlp]\nendpoint = \"http://user:hunter2@127.0.0.1:{port}\"\n\n[telemetry.serve]\naddress = \"127.0.0.1:{port}\"\n"
    );
    project.write("tasker.toml", &file);
    let ran = project
        .tasker_with(&[("TASKER_TELEMETRY__SERVICE_VERSION", "1.2.3")], &["doctor", "--format", "json"])
        .ended(1);
    let text = ran.json()["findings"].to_string();
    assert!(text.contains("service_name") && text.contains("tasker.toml:2"), "{text}");
    assert!(text.contains("store.url = \\\"postgres://[FILTERED]@127.0.0.1"), "{text}");
    assert!(text.contains("1.2.3") && text.contains("TASKER_TELEMETRY__SERVICE_VERSION"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    says(finding(&ran.json(), "otlp http", "broken"), &["nothing listens", &port.to_string(), "tasker.toml:6"]);
    says(finding(&ran.json(), "store", "broken"), &["nothing listens", &port.to_string()]);
    says(finding(&ran.json(), "running process", "skipped"), &["no program runs"]);

    project.write("tasker.toml", "[telemetry]\nservce_name = \"kiosk\"\nshutdown_timeout = \"soon\"\n");
    let report = doctor(&project, &[]).ended(1).json();
    says(finding(&report, "settings", "broken"), &["tasker.toml:2", "did you mean `service_name`?"]);
    assert_eq!(report["broken"], 2, "{report:#}");

    project.write("tasker.toml", "[telemetry]\nenabled = false\n");
    says(finding(&doctor(&project, &[]).ok().json(), "settings", "warning"), &["enabled"]);
}

#[test]
fn a_port_that_hangs_is_named_in_time() {
    let project = Project::new("doctor-hangs");
    // Takes connections (the system does), and never reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let began = Instant::now();
    let report = doctor(&project, &["--otlp", &url, "--otlp-grpc", &url, "--health", &url]).ended(1).json();
    // Far above the 9 s that it takes at most, and far below what hangs.
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    says(finding(&report, "otlp http", "broken"), &["4317", "4318", "answer"]);
    finding(&report, "otlp grpc", "broken");
    says(finding(&report, "running process", "broken"), &["timeout"]);
}

/// A server that gives every request this answer.
fn answering(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut seen = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(count) = stream.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..count]);
                    if count == 0 || whole(&seen) {
                        break;
                    }
                }
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    url
}

/// Whether it is a whole request.
fn whole(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(seen);
    let Some(end) = text.find("\r\n\r\n") else { return false };
    let length =
        text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    seen.len() >= end + 4 + length.unwrap_or(0)
}

#[test]
fn answers_are_read() {
    let project = Project::new("doctor-answers");
    for (status, words) in [
        ("401 Unauthorized", &["401", "credentials", "OTEL_EXPORTER_OTLP_HEADERS"][..]),
        ("404 Not Found", &["404", "/v1/traces"]),
        ("200 OK", &["took a test span"]),
    ] {
        let url = answering(status, "");
        let ran = doctor(&project, &["--otlp", &url]);
        let level = if status.starts_with('2') { "good" } else { "broken" };
        says(finding(&ran.json(), "otlp http", level), words);
        assert_eq!(ran.code, i32::from(level == "broken"));
    }
}

#[test]
fn the_books_of_a_running_process_are_read() {
    let project = Project::new("doctor-books");
    let url = answering(
        "200 OK",
        r#"{"queue": {"depth": 3}, "tasks_started": 7, "subscribers": [{"name": "shop::Slow", "dropped": {"mailbox_full": 12}}],
            "spans": {"exporters": [{"name": "otlp", "dropped": {"rejected": 5}, "last_error": "401"}]}, "catalog_problems": []}"#,
    );
    let none = ("OTEL_TRACES_EXPORTER", "none");
    let ran = project.tasker_with(&[none], &["doctor", "--format", "json", "--health", &url]).ok();
    let report = ran.json();
    says(finding(&report, "running process", "good"), &["7 tasks", "3 events wait"]);
    says(finding(&report, "running process", "warning"), &["shop::Slow", "12 events"]);
    assert_eq!(report["warnings"], 2);
    let locked = answering("401 Unauthorized", "");
    let report = project.tasker_with(&[none], &["doctor", "--format", "json", "--health", &locked]).ended(1).json();
    says(finding(&report, "running process", "broken"), &["--token"]);
}

#[test]
fn what_is_not_linked_and_what_is_there_twice_is_named() {
    let project = Project::new("doctor-project");
    let tasker = dependency(", default-features = false, features = [\"otel\"]");
    project.write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"kiosk\", \"till\", \"old\"]\n");
    // Not another release of it, but another package of its name and version, which is what a lock file knows.
    project.write("old/Cargo.toml", "[package]\nname = \"opentelemetry\"\nversion = \"0.31.0\"\nedition = \"2024\"\n");
    project.write("old/src/lib.rs", "");
    project.write(
        "till/Cargo.toml",
        &format!("[package]\nname = \"till\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{tasker}\n"),
    );
    project.write("till/src/lib.rs", "#[tasker_telemetry::step]\npub fn pay() {}\n");
    project.write("kiosk/Cargo.toml", &format!("[package]\nname = \"kiosk\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{tasker}\ntill = {{ path = \"../till\" }}\nopentelemetry = {{ path = \"../old\" }}\n"));
    let main = "use tasker_telemetry::prelude::*;\n\n#[derive(Default, Subscriber)]\n#[subscribe(\"sale.made\")]\nstruct Listener;\nimpl Listener {\n    fn handle_sale_made(&self, _: &EventRecord) {}\n}\n\n#[step]\nfn open() {}\n\nfn main() {\n    open();\n}\n";
    project.write("kiosk/src/main.rs", main);
    let none = [("OTEL_TRACES_EXPORTER", "none")];
    let arguments = ["doctor", "--format", "json", "--package", "kiosk"];
    let before = project.tasker_with(&none, &[&arguments[..], &["--profile", "nobody"]].concat()).json();
    says(finding(&before, "program", "skipped"), &["was not built", "cargo build"]);

    project.cargo(&["build", "-q", "-p", "kiosk"]).ok();
    let report = project.tasker_with(&none, &arguments).ended(1).json();
    says(finding(&report, "Cargo.lock", "broken"), &["`opentelemetry`", "0.31.0", "cargo tree"]);
    let text = report["findings"].to_string();
    assert!(text.contains("tasker_telemetry::link!(till);") && text.contains("1 steps"), "{text}");
    assert!(text.contains("subscribes to `sale.made`"), "{text}");

    project.write(
        "kiosk/src/main.rs",
        &format!(
            "tasker_telemetry::link!(till);\n{}",
            main.replace("sale.made", "task.failed").replace("sale_made", "task_failed")
        ),
    );
    project.cargo(&["build", "-q", "-p", "kiosk"]).ok();
    let report = project.tasker_with(&none, &arguments).ended(1).json();
    assert_eq!(report["broken"], 1, "only the lock file is left: {report:#}");
    says(finding(&report, "program", "good"), &["kiosk", "till", "2 steps"]);
}
