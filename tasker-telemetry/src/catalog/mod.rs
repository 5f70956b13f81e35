//! The catalog: every event, step, task, subscriber and metric that is linked into this binary.
//!
//! The macros leave one static each where it stands, `inventory` gathers them before `main`; here they are sorted, joined
//! and looked up. A crate that is linked but never named contributes nothing: see [`link!`](crate::link).

mod example;
mod other;
pub(crate) mod record;
mod render;
mod spec;
mod validate;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Serialize;
use serde_json::Value as Json;

pub use self::other::{OtherCatalog, Parts};
pub use self::record::{METRIC_RECORD, RECORD_VERSION, RecordPart, event_record, record, record_len};
pub use self::spec::{EventSpec, FieldSpec, Source, StepSpec, SubscriberSpec, TaskSpec, declare_step, declare_task};
pub use self::validate::CatalogProblem;
use crate::event::Category;
use crate::handler::{self, CatalogHandler};
use crate::metrics::{self, MetricInfo, MetricSpec};
use crate::subscriber::{Registration, pattern};

// The library's own record says that it is there, and in which version: its events and metrics are those of that version.
tasker_telemetry_macros::__library_record!();

/// A step, as generated code hands it in. Not public API.
#[doc(hidden)]
#[derive(Debug)]
pub struct StepEntry(pub &'static StepSpec);
/// A task, as generated code hands it in. Not public API.
#[doc(hidden)]
#[derive(Debug)]
pub struct TaskEntry(pub &'static TaskSpec);
/// An event, as generated code hands it in. Not public API.
#[doc(hidden)]
#[derive(Debug)]
pub struct EventEntry(pub &'static EventSpec);
/// A subscriber, as generated code hands it in. Not public API.
#[doc(hidden)]
#[derive(Debug)]
pub struct SubscriberEntry {
    /// What it is.
    pub spec: &'static SubscriberSpec,
    /// How it registers itself; `None` for `#[subscriber(manual)]`.
    pub make: Option<fn() -> Registration>,
}
inventory::collect!(StepEntry);
inventory::collect!(TaskEntry);
inventory::collect!(EventEntry);
inventory::collect!(SubscriberEntry);

/// Everything the program can emit, and who listens. Sorted by name, the same in debug and release builds.
///
/// ```
/// use tasker_telemetry::{Catalog, Category};
/// let failed = Catalog::get("task.failed").unwrap();
/// assert_eq!(failed.category, Category::Task);
/// assert!(failed.fields.iter().any(|field| field.name == "error_class"));
/// assert!(Catalog::search("retries").iter().any(|event| event.name == "step.max_retries_reached"));
/// ```
#[derive(Debug)]
pub struct Catalog {
    events: Vec<CatalogEvent>,
    steps: Vec<&'static StepSpec>,
    tasks: Vec<&'static TaskSpec>,
    subscribers: Vec<&'static SubscriberSpec>,
    handlers: Vec<CatalogHandler>,
    /// Every registration, duplicates included: `validate` looks for them.
    registered: Vec<&'static EventSpec>,
    metrics: Vec<MetricInfo>,
    /// The metrics of the program as they were declared: `validate` looks for mistakes in them.
    declared: Vec<MetricSpec>,
}

/// An event in the catalog.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct CatalogEvent {
    /// The event's name.
    pub name: &'static str,
    /// What it is about.
    pub category: Category,
    /// The doc comment.
    pub description: &'static str,
    /// The payload's fields.
    pub fields: Vec<CatalogField>,
    /// A payload as it might be.
    pub example: Json,
    /// Who fires it.
    pub fired_by: Vec<FiredBy>,
    /// The subscribers that get it.
    pub subscribers: Vec<&'static str>,
    /// What the program's source says of it.
    #[serde(skip)]
    pub spec: &'static EventSpec,
}

/// A field of an event's payload.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct CatalogField {
    /// The name as it is serialised.
    pub name: &'static str,
    /// The Rust type, as written.
    #[serde(rename = "type")]
    pub ty: &'static str,
    /// The JSON type: `string`, `integer`, `number`, `boolean`, `array`, `object`, or `any`.
    pub json_type: &'static str,
    /// The doc comment.
    pub description: &'static str,
    /// Whether it may be absent or null.
    pub optional: bool,
    /// Whether it is masked everywhere.
    pub sensitive: bool,
}

/// Who fires an event.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FiredBy {
    /// The library's own life cycle.
    LifeCycle,
    /// An engine's driver.
    Driver,
    /// A step that declares it (`publishes(..)`).
    Step {
        /// The step's name.
        name: &'static str,
        /// Where it stands.
        #[serde(flatten)]
        source: Source,
    },
    /// A task that declares it (`publishes(..)`).
    Task {
        /// The task's name.
        name: &'static str,
        /// Where it stands.
        #[serde(flatten)]
        source: Source,
    },
}

impl Catalog {
    pub(crate) fn global() -> &'static Self {
        static CATALOG: OnceLock<Catalog> = OnceLock::new();
        CATALOG.get_or_init(Self::gather)
    }

    fn gather() -> Self {
        Self::of(Parts {
            events: inventory::iter::<EventEntry>.into_iter().map(|entry| entry.0).collect(),
            steps: inventory::iter::<StepEntry>.into_iter().map(|entry| entry.0).collect(),
            tasks: inventory::iter::<TaskEntry>.into_iter().map(|entry| entry.0).collect(),
            subscribers: inventory::iter::<SubscriberEntry>.into_iter().map(|entry| entry.spec).collect(),
            metrics: metrics::registered(),
        })
    }

    fn of(parts: Parts) -> Self {
        let Parts { events: mut registered, mut steps, mut tasks, mut subscribers, metrics: mut declared } = parts;
        steps.sort_unstable_by_key(|step| (step.name, step.source));
        tasks.sort_unstable_by_key(|task| (task.name, task.source));
        subscribers.sort_unstable_by_key(|subscriber| (subscriber.name, subscriber.source));
        registered.sort_unstable_by_key(|event| (event.name, event.type_name, event.source));
        declared.sort_unstable_by_key(|metric| metric.name);

        let mut fired_by: BTreeMap<&str, Vec<FiredBy>> = BTreeMap::new();
        for step in &steps {
            for event in step.publishes {
                fired_by.entry(event.name).or_default().push(FiredBy::Step { name: step.name, source: step.source });
            }
        }
        for task in &tasks {
            for event in task.publishes {
                fired_by.entry(event.name).or_default().push(FiredBy::Task { name: task.name, source: task.source });
            }
        }
        let mut events: Vec<CatalogEvent> = Vec::with_capacity(registered.len());
        for spec in &registered {
            // Of two events of one name the first by type path is listed; `validate` names both.
            if events.last().is_some_and(|last| last.name == spec.name) {
                continue;
            }
            let category = Category::of(spec.name);
            let mut firing = fired_by.remove(spec.name).unwrap_or_default();
            match category {
                // Transitions that only an operator or an engine makes.
                _ if matches!(
                    spec.name,
                    "task.retry_requested" | "task.resolved_manually" | "step.resolved_manually"
                ) =>
                {
                    firing.insert(0, FiredBy::Driver);
                }
                Category::Task | Category::Step => firing.insert(0, FiredBy::LifeCycle),
                Category::Observability if spec.name.starts_with("observability.step.") => {
                    firing.insert(0, FiredBy::LifeCycle);
                }
                Category::Workflow | Category::Observability => firing.insert(0, FiredBy::Driver),
                Category::Custom => {}
            }
            events.push(CatalogEvent {
                name: spec.name,
                category,
                description: spec.description,
                fields: spec.fields.iter().map(CatalogField::of).collect(),
                example: example::payload(spec),
                fired_by: firing,
                subscribers: subscribers
                    .iter()
                    .filter(|subscriber| subscriber.patterns.iter().any(|pattern| pattern::matches(pattern, spec.name)))
                    .map(|subscriber| subscriber.name)
                    .collect(),
                spec,
            });
        }
        let metrics = metrics::catalog_with(&declared);
        let handlers = handler::gather();
        Self { events, steps, tasks, subscribers, handlers, registered, metrics, declared }
    }

    pub(crate) fn all_steps(&self) -> &[&'static StepSpec] {
        &self.steps
    }

    pub(crate) fn all_tasks(&self) -> &[&'static TaskSpec] {
        &self.tasks
    }

    pub(crate) fn all_metrics(&self) -> &[MetricInfo] {
        &self.metrics
    }

    /// Every event, by name.
    #[must_use]
    pub fn all() -> &'static [CatalogEvent] {
        &Self::global().events
    }

    /// The event of that name.
    #[must_use]
    pub fn get(name: &str) -> Option<&'static CatalogEvent> {
        let events = Self::all();
        events.binary_search_by(|event| event.name.cmp(name)).ok().map(|index| &events[index])
    }

    /// The events whose name or description contains the text, in any case.
    #[must_use]
    pub fn search(text: &str) -> Vec<&'static CatalogEvent> {
        let text = text.to_lowercase();
        Self::all()
            .iter()
            .filter(|event| event.name.contains(&text) || event.description.to_lowercase().contains(&text))
            .collect()
    }

    /// The events of a namespace: `payment` has `payment.risk_flagged`, not `payments.done`.
    #[must_use]
    pub fn by_namespace(namespace: &str) -> Vec<&'static CatalogEvent> {
        let within = |name: &str| name.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('.'));
        Self::all().iter().filter(|event| within(event.name)).collect()
    }

    /// The events of a category.
    #[must_use]
    pub fn by_category(category: Category) -> Vec<&'static CatalogEvent> {
        Self::all().iter().filter(|event| event.category == category).collect()
    }

    /// Every step, by name.
    #[must_use]
    pub fn steps() -> &'static [&'static StepSpec] {
        &Self::global().steps
    }

    /// Every task, by name.
    #[must_use]
    pub fn tasks() -> &'static [&'static TaskSpec] {
        &Self::global().tasks
    }

    /// Every subscriber, by name.
    #[must_use]
    pub fn subscribers() -> &'static [&'static SubscriberSpec] {
        &Self::global().subscribers
    }

    /// Every handler that [`register_handlers!`](crate::register_handlers) entered, by the name of its step.
    #[must_use]
    pub fn handlers() -> &'static [CatalogHandler] {
        &Self::global().handlers
    }

    /// The handler of the step of that name: what an engine asks that knows a name and an input. See
    /// [`register_handlers!`](crate::register_handlers).
    #[must_use]
    pub fn handler(step_name: &str) -> Option<&'static CatalogHandler> {
        let handlers = Self::handlers();
        let place = handlers.partition_point(|handler| handler.spec.name < step_name);
        handlers.get(place).filter(|handler| handler.spec.name == step_name)
    }

    /// Every metric, by name: those of the library, and those of yours that [`register_metrics!`](crate::register_metrics)
    /// entered. What is made at run time stands in no catalog.
    ///
    /// ```
    /// use tasker_telemetry::Catalog;
    /// use tasker_telemetry::metrics::Counter;
    ///
    /// static ORDERS: Counter<1> = Counter::with_labels("catalog_orders_total", "Orders taken.", ["country"]);
    /// tasker_telemetry::register_metrics!(ORDERS);
    ///
    /// let orders = Catalog::metrics().iter().find(|metric| metric.name == "catalog_orders_total").unwrap();
    /// assert_eq!((orders.help.as_str(), orders.labels.as_slice()), ("Orders taken.", &["country".to_owned()][..]));
    /// assert!(Catalog::table().contains("catalog_orders_total"));
    /// ```
    #[must_use]
    pub fn metrics() -> &'static [MetricInfo] {
        &Self::global().metrics
    }

    /// Looks for mistakes that only the finished program can show: two events, steps or metrics of one name, subscriptions to
    /// events that nobody declared, metrics with impossible names. Run when a telemetry is built; worth a test of your own:
    ///
    /// ```no_run
    /// # use tasker_telemetry::Catalog;
    /// // in a #[test]
    /// Catalog::validate().unwrap();
    /// ```
    ///
    /// # Errors
    /// Every mistake that was found, sorted.
    pub fn validate() -> Result<(), Vec<CatalogProblem>> {
        let catalog = Self::global();
        let problems = validate::problems(catalog);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The catalog as a table for a terminal.
    #[must_use]
    pub fn table() -> String {
        render::table(Self::global())
    }

    /// The catalog as JSON: `{events, steps, tasks, subscribers, handlers, metrics}`.
    #[must_use]
    pub fn json() -> Json {
        render::json(Self::global())
    }

    /// The catalog as Markdown.
    #[must_use]
    pub fn markdown() -> String {
        render::markdown(Self::global())
    }
}

impl CatalogField {
    fn of(spec: &FieldSpec) -> Self {
        Self {
            name: spec.name,
            ty: spec.ty,
            json_type: example::json_type(spec.ty),
            description: spec.description,
            optional: spec.optional,
            sensitive: spec.sensitive,
        }
    }
}

/// The task of that name that a function of this program is, if there is one.
pub(crate) fn task_named(name: &str) -> Option<&'static TaskSpec> {
    inventory::iter::<TaskEntry>.into_iter().map(|entry| entry.0).find(|spec| spec.name == name)
}

/// The subscribers that register themselves, by name.
pub(crate) fn auto_subscribers() -> Vec<Registration> {
    let mut entries: Vec<_> = inventory::iter::<SubscriberEntry>.into_iter().collect();
    entries.sort_unstable_by_key(|entry| (entry.spec.name, entry.spec.source));
    entries.into_iter().filter_map(|entry| entry.make).map(|make| make()).collect()
}

/// The custom event whose name is most like that one.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    Catalog::global().nearest(name)
}

impl Catalog {
    fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest_of(name, self.events.iter().filter(|event| event.category == Category::Custom).map(|event| event.name))
    }
}

/// The name that is most like that one, if any is like it.
fn nearest_of<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|other| (distance(name, other), other))
        .filter(|(distance, _)| *distance <= name.len() / 3 + 1)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

/// Brings the steps, events and subscribers of crates that nothing else names into this binary.
///
/// A crate that stands in `Cargo.toml` but is named nowhere in the code is left out by the linker, and its entries with it.
///
/// ```
/// tasker_telemetry::link!(serde_json);
/// ```
#[macro_export]
macro_rules! link {
    ($($name:ident),+ $(,)?) => {
        $(#[allow(unused_imports)] use $name as _;)+
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sorted_and_found() {
        let names: Vec<_> = Catalog::all().iter().map(|event| event.name).collect();
        assert!(names.is_sorted());
        assert_eq!(Catalog::by_category(Category::Task).len(), 7);
        assert_eq!(Catalog::by_category(Category::Step).len(), 8);
        assert_eq!(Catalog::by_namespace("workflow").len(), 5);
        assert_eq!(Catalog::by_namespace("observability.task").len(), 2);
        assert!(Catalog::by_namespace("observ").is_empty());
        assert!(Catalog::get("task.nothing").is_none());
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(
            (distance("abc", "abc"), distance("abc", "abd"), distance("", "abc"), distance("kitten", "sitting")),
            (0, 1, 3, 3)
        );
    }
}
