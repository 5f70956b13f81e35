//! One event on its way: header, payload, and its JSON when somebody asks for it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{Category, Event, EventKind};
use crate::catalog::EventSpec;
use crate::filter::MaskedFields;
use crate::id;
use crate::time::Timestamp;

/// Who and when: what every event carries beside its payload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Header {
    pub(crate) event_id: Uuid,
    pub(crate) timestamp: Timestamp,
    pub(crate) task: Option<TaskHeader>,
    pub(crate) step: Option<StepHeader>,
    pub(crate) trace_id: Option<Arc<str>>,
    pub(crate) span_id: Option<String>,
}

/// The task that an event belongs to.
#[derive(Debug, Clone)]
pub(crate) struct TaskHeader {
    pub(crate) id: Arc<str>,
    pub(crate) name: &'static str,
    pub(crate) correlation_id: Arc<str>,
}

/// The step that an event belongs to.
#[derive(Debug, Clone, Default)]
pub(crate) struct StepHeader {
    pub(crate) id: String,
    pub(crate) name: &'static str,
    pub(crate) attempt_number: u32,
    pub(crate) retry_limit: u32,
}

/// The names that every event's flat JSON has already.
pub(crate) const HEADER_FIELDS: [&str; 13] = [
    "event",
    "event_id",
    "event_type",
    "category",
    "timestamp",
    "task_id",
    "task_name",
    "step_id",
    "step_name",
    "attempt_number",
    "correlation_id",
    "trace_id",
    "span_id",
];

/// A typed event behind one pointer.
pub(crate) trait ErasedEvent: Any + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn to_json(&self) -> Result<Json, serde_json::Error>;
}

impl<E: Event> ErasedEvent for E {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn to_json(&self) -> Result<Json, serde_json::Error> {
        serde_json::to_value(self)
    }
}

/// A system event that the next one will be written over. It has one owner, who needs not ask whether somebody else kept it.
pub(crate) trait PassingEvent: ErasedEvent {
    /// A copy for who keeps it.
    fn kept(&self) -> Arc<dyn ErasedEvent>;
}

impl<E: Event + Clone> PassingEvent for E {
    fn kept(&self) -> Arc<dyn ErasedEvent> {
        Arc::new(self.clone())
    }
}

/// What an event says.
pub(crate) enum Payload {
    /// A system event: its struct holds the header's values too.
    System(Arc<dyn ErasedEvent>),
    /// The same, as long as nobody keeps it.
    Passing(Box<dyn PassingEvent>),
    /// A user's typed event, and what was masked in it. `mask`: what stands in the JSON of a masked field.
    Custom { event: Arc<dyn ErasedEvent>, masked: MaskedFields, mask: Arc<str> },
    /// An event published by name.
    Dynamic(Arc<Json>),
}

impl Clone for Payload {
    fn clone(&self) -> Self {
        match self {
            Self::System(event) => Self::System(Arc::clone(event)),
            Self::Passing(event) => Self::System(event.kept()),
            Self::Custom { event, masked, mask } => {
                Self::Custom { event: Arc::clone(event), masked: masked.clone(), mask: Arc::clone(mask) }
            }
            Self::Dynamic(json) => Self::Dynamic(Arc::clone(json)),
        }
    }
}

/// An event as subscribers to `*`, to `task.*`, or with a filter see it.
///
/// It is [`Serialize`]: the flat JSON of the event, the payload's fields beside `event`, `event_id`, `event_type`,
/// `timestamp`, `task_id`, `task_name`, `correlation_id`, and for what happens in a step `step_id`, `step_name`,
/// `attempt_number`.
///
/// ```
/// use tasker_telemetry::prelude::*;
///
/// #[derive(Default, Subscriber)]
/// #[subscribe("*")]
/// struct Log;
/// impl Log {
///     fn handle_event(&self, event: &EventRecord) {
///         println!("{} {} {}", event.timestamp(), event.category(), event.name());
///         println!("{}", serde_json::to_string(event).unwrap());
///     }
/// }
/// ```
#[derive(Clone)]
pub struct EventRecord {
    kind: EventKind,
    spec: &'static EventSpec,
    header: Header,
    payload: Payload,
    json: OnceLock<Json>,
}

impl EventRecord {
    pub(crate) const fn new(kind: EventKind, spec: &'static EventSpec, header: Header, payload: Payload) -> Self {
        Self { kind, spec, header, payload, json: OnceLock::new() }
    }

    /// What it is made of, to be written over by a system event of that kind. `None`: it does not pass.
    pub(crate) fn rewrite(
        &mut self,
        kind: EventKind,
        spec: &'static EventSpec,
    ) -> Option<(&mut Header, &mut Box<dyn PassingEvent>)> {
        let Payload::Passing(payload) = &mut self.payload else { return None };
        (self.kind, self.spec) = (kind, spec);
        self.json.take();
        Some((&mut self.header, payload))
    }

    /// The event's name, `task.failed`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Which system event it is, or [`EventKind::Custom`].
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.kind
    }

    /// What it is about.
    #[must_use]
    pub fn category(&self) -> Category {
        Category::of(self.spec.name)
    }

    /// What the catalog knows of it.
    #[must_use]
    pub const fn spec(&self) -> &'static EventSpec {
        self.spec
    }

    /// The event's own identity, a UUID (version 7) as text.
    #[must_use]
    pub fn event_id(&self) -> String {
        id::text(self.header.event_id)
    }

    /// When it happened.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.header.timestamp
    }

    /// The task it belongs to; `None` for an event published outside any task.
    #[must_use]
    pub fn task_id(&self) -> Option<&str> {
        self.header.task.as_ref().map(|task| &*task.id)
    }

    /// The name of the task it belongs to.
    #[must_use]
    pub fn task_name(&self) -> Option<&'static str> {
        self.header.task.as_ref().map(|task| task.name)
    }

    /// The step it belongs to.
    #[must_use]
    pub fn step_id(&self) -> Option<&str> {
        self.header.step.as_ref().map(|step| step.id.as_str())
    }

    /// The name of the step it belongs to.
    #[must_use]
    pub fn step_name(&self) -> Option<&'static str> {
        self.header.step.as_ref().map(|step| step.name)
    }

    /// The attempt it belongs to, from 1.
    #[must_use]
    pub fn attempt_number(&self) -> Option<u32> {
        self.header.step.as_ref().map(|step| step.attempt_number)
    }

    /// The flat JSON of the event, an object. Made once, when first asked for.
    #[must_use]
    pub fn payload(&self) -> &Json {
        self.json.get_or_init(|| self.to_json())
    }

    /// The typed payload, when it is an `E`. `None` also for an event published by name.
    #[must_use]
    pub fn downcast_ref<E: Event>(&self) -> Option<&E> {
        self.value()?.downcast_ref()
    }

    /// The typed payload, whatever its type.
    pub(crate) fn value(&self) -> Option<&dyn Any> {
        match &self.payload {
            Payload::Custom { masked, .. } if masked.withheld => None,
            Payload::System(event) | Payload::Custom { event, .. } => Some((**event).as_any()),
            Payload::Passing(event) => Some((**event).as_any()),
            Payload::Dynamic(_) => None,
        }
    }

    fn to_json(&self) -> Json {
        let flat = |json: Result<_, _>| json.unwrap_or_else(|error| self.unserializable(&error));
        let fields = match &self.payload {
            Payload::System(event) => return flat((**event).to_json()),
            Payload::Passing(event) => return flat((**event).to_json()),
            Payload::Custom { masked: MaskedFields { json: Some(fields), .. }, .. } => (**fields).clone(),
            Payload::Custom { event, masked, mask } => match (**event).to_json() {
                Ok(Json::Object(mut fields)) => {
                    for name in &*masked.names {
                        if let Some(value) = fields.get_mut(*name) {
                            *value = Json::from(mask.as_ref());
                        }
                    }
                    fields
                }
                Ok(Json::Null) => Map::new(),
                Ok(other) => Map::from_iter([("value".to_owned(), other)]),
                Err(error) => return self.unserializable(&error),
            },
            Payload::Dynamic(json) => match &**json {
                Json::Object(fields) => fields.clone(),
                other => Map::from_iter([("value".to_owned(), other.clone())]),
            },
        };
        let mut flat = self.header_json();
        for (name, value) in fields {
            flat.entry(name).or_insert(value); // no field has such a name: the derive and `publish_event` refuse them
        }
        Json::Object(flat)
    }

    fn header_json(&self) -> Map<String, Json> {
        let header = &self.header;
        let mut json = Map::new();
        let mut put = |name: &str, value: Json| {
            json.insert(name.to_owned(), value);
        };
        put("event", self.spec.name.into());
        put("event_id", id::text(header.event_id).into());
        put("event_type", super::system::event_type(self.spec.name).into());
        put("timestamp", header.timestamp.to_string().into());
        if let Some(task) = &header.task {
            put("task_id", (*task.id).into());
            put("task_name", task.name.into());
            put("correlation_id", (*task.correlation_id).into());
        }
        if let Some(step) = &header.step {
            put("step_id", step.id.as_str().into());
            put("step_name", step.name.into());
            put("attempt_number", step.attempt_number.into());
        }
        if let Some(id) = &header.trace_id {
            put("trace_id", (**id).into());
        }
        if let Some(id) = &header.span_id {
            put("span_id", id.as_str().into());
        }
        json
    }

    /// What stands in for a payload whose own `Serialize` fails: the event is still seen, and says why it is empty.
    fn unserializable(&self, error: &serde_json::Error) -> Json {
        let mut json = self.header_json();
        json.insert("serialization_error".to_owned(), error.to_string().into());
        Json::Object(json)
    }
}

impl Serialize for EventRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.payload().serialize(serializer)
    }
}

impl fmt::Debug for EventRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventRecord").field(self.payload()).finish()
    }
}
