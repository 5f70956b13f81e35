//! The catalog knows what is linked, in one order, and says what does not fit.

#![allow(
    dead_code,
    clippy::unused_self,
    clippy::used_underscore_binding,
    reason = "what stands in the catalog need not be called"
)]

use tasker_telemetry::prelude::*;
use tasker_telemetry::{Catalog, CatalogProblem, Category, FiredBy};

/// An order was packed.
///
/// Nobody has sent it yet.
#[derive(Serialize, Event)]
#[event("parcel.packed")]
struct Packed {
    /// How heavy it is, in grams.
    weight: u32,
    label: Option<String>,
}

mod other {
    use tasker_telemetry::prelude::*;

    #[derive(Serialize, Event)]
    #[event("parcel.packed")]
    pub(super) struct PackedToo;
}

/// Packs an order.
#[step(retry_limit = 3, backoff = "exponential", publishes(Packed), fields(order_id = _order))]
async fn pack(_order: u64) {}

mod elsewhere {
    use tasker_telemetry::prelude::*;

    #[step(name = "pack")]
    pub(super) fn pack_again() {}
}

#[task(max_concurrent_steps = 2)]
async fn deliver_parcels() {
    pack(1).await;
    elsewhere::pack_again();
}

#[derive(Subscriber)]
#[subscribe("parcel.packed", "parcel.packet", "invoice.*")]
#[subscriber(manual)]
struct Warehouse;

impl Warehouse {
    fn handle_parcel_packed(&self, _: &EventRecord) {}
    fn handle_parcel_packet(&self, _: &EventRecord) {}
    fn handle_event(&self, _: &EventRecord) {}
}

static PARCELS: Counter<1> = Counter::with_labels("parcels.sent", "Parcels that | left.", ["country"]);
static WEIGHT: Histogram = Histogram::new("parcel_weight", "How heavy they are.").unit("grams").buckets(&[1.0]);
static PARCELS_TOO: Counter = Counter::new("parcels_sent_total", "The same again.");
static IMPOSSIBLE: Gauge = Gauge::new("1st", "");
tasker_telemetry::register_metrics!(PARCELS, WEIGHT, PARCELS_TOO, IMPOSSIBLE);

#[test]
fn metrics_stand_in_it() {
    let weight = Catalog::metrics().iter().find(|metric| metric.name == "parcel_weight_grams").unwrap();
    assert_eq!(
        (weight.kind.name(), weight.unit.as_str(), weight.help.as_str()),
        ("histogram", "grams", "How heavy they are.")
    );
    let own = Catalog::metrics().iter().filter(|metric| metric.name.starts_with("tasker_")).count();
    assert!(own >= 12 && Catalog::metrics().is_sorted_by_key(|metric| &metric.name));
    let (table, markdown, json) = (Catalog::table(), Catalog::markdown(), Catalog::json());
    assert!(table.contains("parcels_sent_total") && table.contains("tasker_step_duration_seconds"), "{table}");
    let row = r"| `parcels_sent_total` | `parcels.sent` | counter |  | `country` | Parcels that \| left. |";
    assert!(markdown.contains(row), "{markdown}");
    let sent =
        json["metrics"].as_array().unwrap().iter().find(|metric| metric["name"] == "parcels_sent_total").unwrap();
    assert_eq!((&sent["kind"], &sent["labels"][0], &sent["unit"]), (&"counter".into(), &"country".into(), &"".into()));
}

#[test]
fn metrics_that_cannot_be_exported_are_named() {
    let problems: Vec<_> = Catalog::validate().unwrap_err();
    let metrics: Vec<_> = problems.iter().filter(|problem| matches!(problem, CatalogProblem::Metric { .. })).collect();
    let [CatalogProblem::Metric { name: "1st", .. }, CatalogProblem::Metric { problem, .. }] = metrics.as_slice()
    else {
        panic!("{metrics:?}")
    };
    assert_eq!(
        problem,
        "the metric `parcels_sent_total` is declared more than once: `parcels.sent`, `parcels_sent_total`"
    );
}

#[test]
fn an_event_says_what_it_holds_and_who_fires_it() {
    let packed = Catalog::get("parcel.packed").unwrap();
    assert_eq!(packed.category, Category::Custom);
    assert_eq!(packed.description, "An order was packed.\n\nNobody has sent it yet.");
    let fields: Vec<_> = packed.fields.iter().map(|f| (f.name, f.ty, f.json_type, f.optional, f.description)).collect();
    assert_eq!(
        fields,
        [
            ("weight", "u32", "integer", false, "How heavy it is, in grams."),
            ("label", "Option<String>", "string", true, "")
        ]
    );
    assert_eq!(packed.example["weight"], 1);
    assert_eq!(packed.subscribers, ["catalog::Warehouse"]);
    let [FiredBy::Step { name, source }] = packed.fired_by.as_slice() else { panic!("{:?}", packed.fired_by) };
    assert_eq!((*name, source.module), ("pack", "catalog"));
    assert!(source.file.ends_with("catalog.rs") && source.line > 0);
}

#[test]
fn steps_tasks_and_subscribers_stand_in_it() {
    let pack = Catalog::steps().iter().find(|step| step.function == "pack").unwrap();
    assert_eq!((pack.retry_limit, pack.backoff.strategy(), pack.fields), (3, "exponential", &["order_id"][..]));
    assert_eq!(pack.description, "Packs an order.");
    let deliver = Catalog::tasks().iter().find(|task| task.name == "deliver_parcels").unwrap();
    assert_eq!(deliver.max_concurrent_steps, 2);
    assert_eq!(Catalog::subscribers().len(), 1);
}

#[test]
fn searching() {
    let names = |events: Vec<&tasker_telemetry::CatalogEvent>| events.into_iter().map(|e| e.name).collect::<Vec<_>>();
    assert_eq!(names(Catalog::search("PACKED")), ["parcel.packed"]);
    assert_eq!(names(Catalog::by_namespace("parcel")), ["parcel.packed"]);
    assert_eq!(names(Catalog::by_category(Category::Custom)), ["parcel.packed"]);
    assert_eq!(Catalog::all().len(), 25);
}

#[test]
fn mistakes_are_named() {
    let problems = Catalog::validate().unwrap_err();
    assert!(
        problems.iter().any(|p| matches!(p, CatalogProblem::DuplicateEvent { name: "parcel.packed", types }
            if types == &["catalog::Packed", "catalog::other::PackedToo"])),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|p| matches!(p, CatalogProblem::DuplicateStep { name: "pack", places } if places.len() == 2))
    );
    let dangling: Vec<_> = problems
        .iter()
        .filter(|p| matches!(p, CatalogProblem::DanglingSubscription { .. }))
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        dangling,
        [
            "`catalog::Warehouse` subscribes to `invoice.*`, which no event of this program matches",
            "`catalog::Warehouse` subscribes to `parcel.packet`, which no event of this program matches; did you mean `parcel.packed`?"
        ]
    );
    let telemetry = Telemetry::builder().build().unwrap();
    assert_eq!(telemetry.health().catalog_problems.len(), problems.len());
    assert!(Telemetry::builder().strict_catalog(true).build().unwrap_err().to_string().contains("parcel.packet"));
}

#[test]
fn the_renderings_name_everything() {
    let (table, markdown, json) = (Catalog::table(), Catalog::markdown(), Catalog::json());
    for name in ["parcel.packed", "task.failed", "pack", "catalog::Warehouse"] {
        assert!(table.contains(name) && markdown.contains(name), "{name}");
    }
    assert!(table.contains("deliver_parcels"));
    assert_eq!(json["events"].as_array().unwrap().len(), 25);
    assert_eq!(json["steps"].as_array().unwrap().len(), 2);
    assert_eq!(json["tasks"][0]["name"], "deliver_parcels");
    assert_eq!(json["subscribers"][0]["patterns"][2], "invoice.*");
}

#[allow(dead_code, reason = "only its place in the catalog matters")]
fn keep_alive() -> (other::PackedToo, Packed) {
    (other::PackedToo, Packed { weight: 1, label: None })
}
