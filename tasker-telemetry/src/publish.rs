//! Publishing by hand: typed events, and events known by their name at run time only.
//!
//! Here a user's payload is masked and bound to the scope it was published in. `task.*` and `step.*` cannot be published
//! here: they come from transitions alone.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::catalog::{Catalog, EventSpec};
use crate::event::{__Stamp, Category, ErasedEvent, EventKind, HEADER_FIELDS, Payload, Publishable};
use crate::id;
use crate::lifecycle::TaskCore;
use crate::publisher::{Fact, Published, Record, StepPlace, header};
use crate::scope::{self, Scope};
use crate::telemetry::{self, Core};
use crate::time::Moment;
use crate::trace::TaskTrace;

/// Publishes a typed event, in the context of the step or task that the calling code runs in, if any.
///
/// Does nothing when nobody subscribed to it. Never fails and never waits: what does not fit is counted in
/// [`Telemetry::health`](crate::Telemetry::health).
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// /// An order was checked.
/// #[derive(Serialize, Event)]
/// #[event("order.checked")]
/// struct Checked { lines: u32 }
///
/// #[step(publishes(Checked))]
/// fn check(lines: u32) {
///     publish(Checked { lines });
/// }
/// let run = tasker_telemetry::testing::record_sync(|| check(3));
/// assert_eq!(run.named("order.checked")[0].payload()["lines"], 3);
/// ```
pub fn publish<E: Publishable>(event: E) {
    publish_with(|| event);
}

/// As [`publish`], but the event is made only if somebody subscribed to it: for what is dear to make and often told.
pub fn publish_with<E: Publishable>(event: impl FnOnce() -> E) {
    let kind = match Category::of(E::NAME) {
        Category::Custom => EventKind::Custom,
        _ => EventKind::of_name(E::NAME).unwrap_or(EventKind::Custom),
    };
    let Some(here) = Here::find() else { return };
    if !here.is_wanted(kind, E::NAME) {
        return;
    }
    let mut record = here.record(kind);
    let (mut event, filter) = (event(), here.core.filter());
    let masked = filter.event(&mut event);
    let payload = if kind == EventKind::Custom {
        let event: Arc<dyn ErasedEvent> = Arc::new(event);
        Payload::Custom { event, masked, mask: filter.shared_mask() }
    } else {
        event.__stamp(&__Stamp(&header(&record)));
        let event: Arc<dyn ErasedEvent> = Arc::new(event);
        Payload::System(event)
    };
    record.fact = Fact::Published(Arc::new(Published { spec: E::SPEC, payload }));
    here.publish(record);
}

/// Why an event was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The name has no namespace.
    #[error("`{0}` has no namespace: write `namespace.name`")]
    NoNamespace(String),
    /// The namespace is the library's.
    #[error("the namespace of `{0}` is reserved for the library's own events")]
    Reserved(String),
    /// The catalog does not have it.
    #[error("the catalog has no event `{name}`: {}", .nearest.map_or_else(|| "declare it with `#[derive(Event)]` or `declare_event!`".to_owned(), |nearest| format!("did you mean `{nearest}`?")))]
    Unknown {
        /// The name.
        name: String,
        /// The most similar name that it has.
        nearest: Option<&'static str>,
    },
    /// The payload is not a JSON object.
    #[error("the payload of `{0}` is not a JSON object")]
    NotAnObject(&'static str),
    /// The payload has a field that the library itself fills in.
    #[error("the payload of `{event}` has a field `{field}`, which the library fills in itself: rename it")]
    ReservedField {
        /// The event.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
}

/// Publishes an event whose name is known at run time only.
///
/// # Errors
/// [`PublishError`] when the name has no namespace, is reserved, or is not in the catalog, and when the payload is not an
/// object or has a field of the library's own. Whether somebody listens makes no difference.
///
/// ```
/// use tasker_telemetry::prelude::*;
/// use tasker_telemetry::declare_event;
///
/// declare_event!("order.archived", "An order went to the archive.");
///
/// publish_event("order.archived", serde_json::json!({"order": 7})).unwrap();
/// let error = publish_event("order.archive", serde_json::json!({})).unwrap_err();
/// assert!(error.to_string().contains("did you mean `order.archived`?"));
/// ```
pub fn publish_event(name: &str, payload: Json) -> Result<(), PublishError> {
    if !name.contains('.') {
        return Err(PublishError::NoNamespace(name.to_owned()));
    }
    if Category::of(name) != Category::Custom || name.starts_with("test.") {
        return Err(PublishError::Reserved(name.to_owned()));
    }
    let Some(known) = Catalog::get(name) else {
        return Err(PublishError::Unknown { name: name.to_owned(), nearest: crate::catalog::nearest(name) });
    };
    let spec = known.spec;
    let Json::Object(fields) = &payload else { return Err(PublishError::NotAnObject(spec.name)) };
    if let Some(field) = HEADER_FIELDS.into_iter().find(|field| fields.contains_key(*field)) {
        return Err(PublishError::ReservedField { event: spec.name, field });
    }
    if let Some(here) = Here::find() {
        here.publish_json(spec, payload);
    }
    Ok(())
}

/// Where something is published.
struct Here {
    core: Arc<Core>,
    task: Option<Arc<TaskCore>>,
    step: Option<StepPlace>,
}

impl Here {
    fn find() -> Option<Self> {
        let core = telemetry::current()?;
        if core.publisher().is_silent() {
            return None;
        }
        let (task, step) = match scope::current() {
            Scope::Task(task, step, _) => (Some(task), step),
            Scope::Empty | Scope::Telemetry(_) | Scope::Light(..) | Scope::Installed(..) => (None, None),
        };
        Some(Self { core, task, step })
    }

    fn record(&self, kind: EventKind) -> Record {
        Record {
            kind,
            sequence: self.task.as_ref().map_or_else(id::stray_sequence, |task| task.next_event(kind)),
            at: Moment::now().timestamp(),
            task: self.task.clone(),
            step: self.step,
            fact: Fact::Bare,
            follows: false,
        }
    }

    fn publish_json(&self, spec: &'static EventSpec, mut payload: Json) {
        if !self.is_wanted(EventKind::Custom, spec.name) {
            return;
        }
        let filter = self.core.filter();
        filter.json(&mut payload);
        if let Json::Object(fields) = &mut payload {
            for field in spec.fields.iter().filter(|field| field.sensitive) {
                if let Some(value) = fields.get_mut(field.name) {
                    *value = Json::from(filter.mask());
                }
            }
        }
        let mut record = self.record(EventKind::Custom);
        record.fact = Fact::Published(Arc::new(Published { spec, payload: Payload::Dynamic(Arc::new(payload)) }));
        self.publish(record);
    }

    /// Whether somebody subscribed to that event, or it is one of a span's.
    fn is_wanted(&self, kind: EventKind, name: &str) -> bool {
        let publisher = self.core.publisher();
        let subscribed = publisher.wants(kind) && (kind != EventKind::Custom || publisher.wants_custom(name));
        subscribed
            || (publisher.span_mask() & kind.bit() != 0
                && self.task.as_ref().and_then(|task| task.trace()).is_some_and(TaskTrace::is_recorded))
    }

    fn publish(&self, record: Record) {
        match &self.task {
            Some(task) => task.publish(record),
            None => self.core.publisher().publish(record),
        }
    }
}

/// Declares an event that has no type: one that [`publish_event`] publishes by its name.
///
/// ```
/// tasker_telemetry::declare_event!("import.line_skipped", "A line could not be read.");
/// assert!(tasker_telemetry::Catalog::get("import.line_skipped").is_some());
/// ```
#[macro_export]
macro_rules! declare_event {
    ($name:literal, $description:literal $(,)?) => {
        const _: () = {
            static SPEC: $crate::__private::EventSpec = $crate::__private::EventSpec {
                name: $name,
                description: $description,
                fields: &[],
                type_name: "",
                source: $crate::__private::Source {
                    module: ::core::module_path!(),
                    file: ::core::file!(),
                    line: ::core::line!(),
                },
            };
            $crate::__private::inventory::submit! { $crate::__private::EventEntry(&SPEC) }
            const PARTS: &[$crate::__private::RecordPart] = &$crate::__private::event_record(&SPEC);
            $crate::__catalog_record! {
                [::core::primitive::u8; $crate::__private::record_len(PARTS)] = $crate::__private::record(PARTS)
            }
        };
    };
}
