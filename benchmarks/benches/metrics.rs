//! What recording and rendering metrics cost, beside the peers, all in one run: `cargo bench -p benchmarks --bench metrics`, or a
//! part of it: `-- recording`, `-- rendering`, `-- steps`.
//!
//! Recording is a counter and a histogram (11 bounds) with three labels. Times are nanoseconds an operation, the median and
//! the least of rounds in which the candidates take turns.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter as PeerCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram as PeerHistogram;
use prometheus_client::registry::Registry;
use tasker_telemetry::Telemetry;
use tasker_telemetry::metrics::{Counter, DEFAULT_BUCKETS, Format, Histogram};

const ROUNDS: usize = 15;
const RECORDS: u64 = 1_000_000;
const SERIES: usize = 10_000;

static HITS: Counter<3> = Counter::with_labels("bench_hits_total", "Hits.", ["task", "step", "status"]);
static TOOK: Histogram<3> = Histogram::with_labels("bench_took_seconds", "Took.", ["task", "step", "status"]);
const VALUES: [&str; 3] = ["order_process", "charge", "success"];

type PeerLabels = [(&'static str, String); 3];

fn peer_labels(values: [&str; 3]) -> PeerLabels {
    [("task", values[0].to_owned()), ("step", values[1].to_owned()), ("status", values[2].to_owned())]
}

/// Something that can be recorded so many times.
struct Candidate {
    name: &'static str,
    record: Box<dyn Fn(u64) + Sync>,
}

/// A duration between 0 and 10 s that takes each bucket in turn.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn seconds(record: u64) -> f64 {
    (record % 11) as f64 * 0.9
}

fn candidates(registry: &mut Registry) -> Vec<Candidate> {
    let (hits, took) = (HITS.with(VALUES), TOOK.with(VALUES));
    let peer_hits = Family::<PeerLabels, PeerCounter<u64, AtomicU64>>::default();
    let peer_took = Family::<PeerLabels, PeerHistogram>::new_with_constructor(|| PeerHistogram::new(DEFAULT_BUCKETS));
    registry.register("hits", "Hits", peer_hits.clone());
    registry.register("took", "Took", peer_took.clone());
    let peer_labels = peer_labels(VALUES);
    let (cached_hits, cached_took) =
        (peer_hits.get_or_create_owned(&peer_labels), peer_took.get_or_create_owned(&peer_labels));
    let labels = [("task", VALUES[0]), ("step", VALUES[1]), ("status", VALUES[2])];
    let (facade_hits, facade_took) =
        (metrics::counter!("facade_hits", &labels), metrics::histogram!("facade_took", &labels));
    // The provider is kept for good: dropped, it would shut its instruments down.
    let meter = {
        use opentelemetry::metrics::MeterProvider as _;
        use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
        let reader = PeriodicReader::builder(InMemoryMetricExporter::default()).build();
        let provider = Box::leak(Box::new(SdkMeterProvider::builder().with_reader(reader).build()));
        provider.meter("bench")
    };
    let (otel_hits, otel_took) = (meter.u64_counter("hits").build(), meter.f64_histogram("took").build());
    let otel_labels = labels.map(|(name, value)| opentelemetry::KeyValue::new(name, value));
    vec![
        Candidate { name: "the loop alone", record: Box::new(|record| _ = black_box(seconds(record))) },
        Candidate {
            name: "ours, series kept, a duration",
            record: Box::new(move |record| {
                hits.inc();
                took.record_duration(Duration::from_nanos(record % 11 * 900_000_000));
            }),
        },
        Candidate {
            name: "ours, series kept, a float",
            record: Box::new(move |record| {
                hits.inc();
                took.record(seconds(record));
            }),
        },
        Candidate {
            name: "ours, looked up",
            record: Box::new(|record| {
                HITS.with(black_box(VALUES)).inc();
                TOOK.with(black_box(VALUES)).record(seconds(record));
            }),
        },
        Candidate {
            name: "prometheus-client, kept",
            record: Box::new(move |record| {
                cached_hits.inc();
                cached_took.observe(seconds(record));
            }),
        },
        Candidate {
            name: "prometheus-client, looked up",
            record: Box::new(move |record| {
                peer_hits.get_or_create(black_box(&peer_labels)).inc();
                peer_took.get_or_create(black_box(&peer_labels)).observe(seconds(record));
            }),
        },
        Candidate {
            name: "metrics + its exporter, kept",
            record: Box::new(move |record| {
                facade_hits.increment(1);
                facade_took.record(seconds(record));
            }),
        },
        Candidate {
            name: "OpenTelemetry",
            record: Box::new(move |record| {
                otel_hits.add(1, black_box(&otel_labels));
                otel_took.record(seconds(record), black_box(&otel_labels));
            }),
        },
    ]
}

/// Nanoseconds a record, with so many threads at once. Of one thread its CPU time, which leaves out what else the machine does;
/// of several the time by the clock, since some wait for each other.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn time(candidate: &Candidate, threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let run = || {
            barrier.wait();
            let (begun, cpu) = (Instant::now(), ThreadTime::now());
            for record in 0..RECORDS {
                (candidate.record)(black_box(record));
            }
            if threads == 1 { cpu.elapsed() } else { begun.elapsed() }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().expect("no candidate panics")).collect()
    });
    times.iter().max().map_or(0.0, |longest| longest.as_nanos() as f64 / RECORDS as f64)
}

fn report(title: &str, unit: &str, rows: &mut [(&str, Vec<f64>)]) {
    println!("\n{title}\n{:<36} {:>10} {:>10}", "", "median", "least");
    for (name, times) in rows {
        times.sort_by(f64::total_cmp);
        println!("{name:<36} {:>7.1} {unit} {:>7.1} {unit}", times[times.len() / 2], times[0]);
    }
}

fn recording(handle: &metrics_exporter_prometheus::PrometheusHandle) {
    let mut registry = Registry::default();
    let candidates = candidates(&mut registry);
    for threads in [1, 2] {
        let mut rows: Vec<(&str, Vec<f64>)> = candidates.iter().map(|candidate| (candidate.name, Vec::new())).collect();
        for _ in 0..ROUNDS {
            for (candidate, row) in candidates.iter().zip(&mut rows) {
                row.1.push(time(candidate, threads));
                handle.run_upkeep(); // the exporter keeps every value of a histogram until it is told to tidy up
            }
        }
        report(&format!("counter + histogram, 3 labels, {threads} thread(s)"), "ns", &mut rows);
    }
}

fn milliseconds(render: impl FnOnce() -> String) -> f64 {
    let begun = ThreadTime::now();
    let text = render();
    let took = begun.elapsed();
    assert!(text.lines().count() >= SERIES);
    took.as_secs_f64() * 1e3
}

fn rendering(handle: &metrics_exporter_prometheus::PrometheusHandle) {
    let telemetry =
        Telemetry::builder().auto_subscribers(false).metrics_series_limit(SERIES + 1).build().expect("it builds");
    let ours = telemetry.metrics();
    let mut registry = Registry::default();
    let family = Family::<PeerLabels, PeerCounter<u64, AtomicU64>>::default();
    registry.register("many", "Many", family.clone());
    for number in 0..SERIES {
        let step = format!("step_{number}");
        let labels = [("task", "order_process"), ("step", step.as_str()), ("status", "success")];
        ours.counter("many_total", &labels).expect("a good name").add(number as u64);
        family.get_or_create(&peer_labels(labels.map(|(_, value)| value))).inc_by(number as u64);
        let labels = labels.map(|(name, value)| (name, value.to_owned()));
        metrics::counter!("many", &labels).increment(number as u64);
    }
    let mut rows = [
        ("ours, Prometheus", vec![]),
        ("ours, OpenMetrics", vec![]),
        ("prometheus-client", vec![]),
        ("metrics' exporter", vec![]),
    ];
    for _ in 0..ROUNDS {
        rows[0].1.push(milliseconds(|| ours.render(Format::Prometheus)));
        rows[1].1.push(milliseconds(|| ours.render(Format::OpenMetrics)));
        rows[2].1.push(milliseconds(|| {
            let mut text = String::new();
            encode(&mut text, &registry).expect("a String takes all");
            text
        }));
        rows[3].1.push(milliseconds(|| handle.render()));
    }
    report("rendering 10,000 series of a counter", "ms", &mut rows);
}

/// What the life cycle's own metrics add to a step that nobody listens to.
fn steps() {
    use benchmarks::steps::task;
    const STEPS: u64 = 100_000;
    let telemetry = |on| Telemetry::builder().auto_subscribers(false).metrics_enabled(on).build().expect("it builds");
    let (off, on) = (telemetry(false), telemetry(true));
    let mut rows = [("a step in a task, metrics off", vec![]), ("the same, metrics on", vec![])];
    for _ in 0..ROUNDS * 3 {
        for (telemetry, row) in [&off, &on].into_iter().zip(&mut rows) {
            let begun = ThreadTime::now();
            black_box(tasker_telemetry::testing::block_on(telemetry.scope(task(STEPS))));
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            row.1.push(begun.elapsed().as_nanos() as f64 / STEPS as f64);
        }
    }
    report("the life cycle", "ns", &mut rows);
}

fn main() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("the first one");
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if is_wanted("recording") {
        recording(&handle);
    }
    if is_wanted("rendering") {
        rendering(&handle);
    }
    if is_wanted("steps") {
        steps();
    }
}
