//! The other services: `StatsD`, Pushgateway, store, and a running process of the program.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use super::finding::Finding;
use super::network::{authority, connect, send_udp};

pub(super) fn statsd(address: &str) -> Finding {
    let area = "statsd";
    let Some((host, port)) = authority(address, 8125) else {
        return Finding::broken(area, format!("`{address}` is no address"), "write one such as `127.0.0.1:8125`");
    };
    // A counter of our own, raised by nothing: it shows in no graph.
    match send_udp(&host, port, b"tasker.doctor:0|c\n") {
        Ok(()) => Finding::good(area, format!("a packet went to {address}; over UDP nobody says that it came")),
        Err(problem) => Finding::broken(area, problem, "start the StatsD server, or correct its address"),
    }
}

pub(super) fn pushgateway(url: &str) -> Finding {
    let area = "pushgateway";
    let Some((host, port)) = authority(url, 0) else {
        return Finding::broken(area, format!("`{url}` is no address"), "write one such as `http://localhost:9091`");
    };
    match connect(&host, port) {
        Ok(_) => Finding::good(area, format!("{url} takes connections")),
        Err(problem) => Finding::broken(area, problem, "start the Pushgateway, or correct its address"),
    }
}

/// A database server is asked for a connection, a file for whether it can be written.
pub(super) fn store(url: &str) -> Finding {
    let area = "store";
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.trim_start_matches("//").split('?').next().unwrap_or_default();
        return sqlite(area, Path::new(path));
    }
    if !url.contains("://") {
        return sqlite(area, Path::new(url));
    }
    // Whatever stands in the address, user and password are not shown.
    let Some((host, port)) = authority(url, 5432) else {
        return Finding::broken(
            area,
            "its address makes no sense",
            "write one such as `postgres://user@localhost/shop`",
        );
    };
    match connect(&host, port) {
        Ok(_) => Finding::good(area, format!("the database server at {host}:{port} takes connections")),
        Err(problem) => Finding::broken(
            area,
            problem,
            "start the database, or correct the address; the program goes on without it, and what is not stored is counted",
        ),
    }
}

fn sqlite(area: &str, path: &Path) -> Finding {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Finding::warning(area, "the store is kept in memory", "name a file, or nothing survives the process");
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let opened = std::fs::OpenOptions::new().read(true).write(true).open(path);
    match opened {
        Ok(_) => Finding::good(area, format!("{} can be written", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound && folder.is_dir() => {
            Finding::good(area, format!("{} does not exist yet; its folder does", path.display()))
        }
        Err(error) => Finding::broken(
            area,
            format!("{}: {error}", path.display()),
            "make the folder, or let the program write there",
        ),
    }
}

/// The `/health` of a running process: what it dropped, and what waits.
pub(super) fn health(url: &str, token: Option<&str>) -> Vec<Finding> {
    let area = "running process";
    let url = if url.ends_with("/health") { url.to_owned() } else { format!("{}/health", url.trim_end_matches('/')) };
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(4)))
        .http_status_as_error(false)
        .build()
        .new_agent();
    let mut request = agent.get(&url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let answer = request.call().and_then(|mut answer| {
        let status = answer.status().as_u16();
        answer.body_mut().with_config().limit(4 << 20).read_to_string().map(|body| (status, body))
    });
    let (status, body) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            return vec![Finding::broken(
                area,
                format!("{url}: {error}"),
                "is the program running, with `metrics::serve` (feature `serve`) at that address?",
            )];
        }
    };
    if status == 401 || status == 403 {
        return vec![Finding::broken(
            area,
            format!("{url} answered {status}"),
            "give the token of its pages: `--token`",
        )];
    }
    match serde_json::from_str::<Json>(&body) {
        Ok(health) if health.get("queue").is_some() => books(area, &url, &health),
        _ => vec![Finding::broken(
            area,
            format!("{url} answered {status}, and no health of tasker-telemetry"),
            "name the address that `metrics::serve` listens at",
        )],
    }
}

/// The same where settings say that a program would serve it: that none runs is no fault.
pub(super) fn maybe_running(address: &str, token: Option<&str>) -> Vec<Finding> {
    match authority(address, 9464).map(|(host, port)| connect(&host, port)) {
        Some(Ok(_)) => health(address, token),
        _ => vec![Finding::skipped(
            "running process",
            format!("no program runs that serves its health at {address}"),
            "start it, and ask again, to see what it lost",
        )],
    }
}

/// What the books of a process say.
fn books(area: &str, url: &str, health: &Json) -> Vec<Finding> {
    let mut findings = Vec::new();
    let number = |json: &Json| json.as_u64().unwrap_or(0);
    for subscriber in health["subscribers"].as_array().into_iter().flatten() {
        let name = subscriber["name"].as_str().unwrap_or("?");
        let dropped: u64 =
            subscriber["dropped"].as_object().into_iter().flatten().map(|(_, count)| number(count)).sum();
        if dropped > 0 {
            findings.push(Finding::warning(
                area,
                format!("the subscriber {name} lost {dropped} events: {}", subscriber["dropped"]),
                "it is slower than its events come: do less in its handlers, or raise `subscriber_capacity`",
            ));
        }
        let failed = number(&subscriber["failed"]) + number(&subscriber["panicked"]) + number(&subscriber["failures"]);
        if failed > 0 {
            findings.push(Finding::warning(
                area,
                format!("handlers of {name} failed {failed} times"),
                "its log says why",
            ));
        }
    }
    for exporter in health["spans"]["exporters"].as_array().into_iter().flatten() {
        let name = exporter["name"].as_str().unwrap_or("?");
        let dropped: u64 = exporter["dropped"].as_object().into_iter().flatten().map(|(_, count)| number(count)).sum();
        if dropped > 0 {
            let why = exporter["last_error"].as_str().unwrap_or("no error is known");
            findings.push(Finding::warning(
                area,
                format!("the exporter {name} lost {dropped} spans: {why}"),
                "look at the findings about its server",
            ));
        }
    }
    for problem in health["catalog_problems"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        findings.push(Finding::broken(area, problem, "correct the declaration"));
    }
    let depth = number(&health["queue"]["depth"]);
    let began = number(&health["tasks_started"]);
    findings.insert(0, Finding::good(area, format!("{url}: {began} tasks began, {depth} events wait")));
    findings
}
