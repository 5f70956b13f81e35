//! What a system event consists of, from one description.

/// Expands to: the struct (common fields, then its own), `Default`, `new(own fields)`, `Event`, and its place in the
/// catalog. `task` and `step` choose the common fields; `by_hand` makes it publishable by user code.
macro_rules! system_event {
    ($(#[doc = $doc:literal])+ $name:ident, $kind:ident, task $(, $by_hand:ident)? { $($own:tt)* }) => {
        system_event!(@define [$($doc)+] $name $kind [$($by_hand)?] {} {} { $($own)* });
    };
    ($(#[doc = $doc:literal])+ $name:ident, $kind:ident, step $(, $by_hand:ident)? { $($own:tt)* }) => {
        system_event!(@define [$($doc)+] $name $kind [$($by_hand)?] {
            /// The step's identity, the same for all its attempts.
            step_id: String,
            /// The step's name.
            step_name: String,
            /// Which attempt this is, from 1.
            attempt_number: u32,
            /// How many attempts the step gets in all.
            retry_limit: u32,
        } { step } { $($own)* });
    };
    (@define [$($doc:literal)+] $name:ident $kind:ident [$($by_hand:ident)?]
        { $($(#[doc = $sdoc:literal])+ $sfield:ident: $sty:ty,)* } { $($step:ident)? }
        { $($(#[doc = $fdoc:literal])+ $field:ident: $ty:ty,)* }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub struct $name {
            /// The event's name.
            pub event: &'static str,
            /// The event's own identity, a UUID (version 7).
            pub event_id: String,
            /// The last segment of the event's name.
            pub event_type: &'static str,
            /// When it happened.
            pub timestamp: Timestamp,
            /// The task's identity.
            pub task_id: String,
            /// The task's name.
            pub task_name: String,
            /// What ties together everything that one request caused; the trace id where the caller gave none.
            pub correlation_id: String,
            /// The W3C trace id, when traced.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub trace_id: Option<String>,
            /// The W3C span id, when traced.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub span_id: Option<String>,
            $($(#[doc = $sdoc])+ pub $sfield: $sty,)*
            $($(#[doc = $fdoc])+ pub $field: $ty,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    event: EventKind::$kind.name(),
                    event_id: String::new(),
                    event_type: const { event_type(EventKind::$kind.name()) },
                    timestamp: Timestamp::default(),
                    task_id: String::new(),
                    task_name: String::new(),
                    correlation_id: String::new(),
                    trace_id: None,
                    span_id: None,
                    $($sfield: <$sty>::default(),)*
                    $($field: <$ty>::default(),)*
                }
            }
        }

        impl $name {
            /// The event with these values of its own; ids and times are filled in when it is published.
            #[must_use]
            #[allow(clippy::too_many_arguments, clippy::new_without_default, reason = "one argument a field, in the order of the contract")]
            pub fn new($($field: $ty),*) -> Self {
                Self { $($field,)* ..Self::default() }
            }

            /// Says all that is its own, over what the last event said.
            #[allow(clippy::too_many_arguments, dead_code, reason = "as `new`; some events are published by hand alone")]
            pub(crate) fn say(&mut self, $($field: $ty),*) {
                $(self.$field = $field;)*
            }
        }

        impl Event for $name {
            const SPEC: &'static EventSpec = {
                static SPEC: EventSpec = EventSpec {
                    name: EventKind::$kind.name(),
                    description: concat!($($doc, "\n"),+).trim_ascii(),
                    type_name: concat!(module_path!(), "::", stringify!($name)),
                    fields: &[
                        FieldSpec { name: "event", ty: "String", description: "The event's name.", optional: false, sensitive: false },
                        FieldSpec { name: "event_id", ty: "String", description: "The event's own identity, a UUID (version 7).", optional: false, sensitive: false },
                        FieldSpec { name: "event_type", ty: "String", description: "The last segment of the event's name.", optional: false, sensitive: false },
                        FieldSpec { name: "timestamp", ty: "Timestamp", description: "When it happened (RFC 3339, UTC, microseconds).", optional: false, sensitive: false },
                        FieldSpec { name: "task_id", ty: "String", description: "The task's identity.", optional: false, sensitive: false },
                        FieldSpec { name: "task_name", ty: "String", description: "The task's name.", optional: false, sensitive: false },
                        FieldSpec { name: "correlation_id", ty: "String", description: "What ties together everything that one request caused.", optional: false, sensitive: false },
                        FieldSpec { name: "trace_id", ty: "Option<String>", description: "The W3C trace id, when traced.", optional: true, sensitive: false },
                        FieldSpec { name: "span_id", ty: "Option<String>", description: "The W3C span id, when traced.", optional: true, sensitive: false },
                        $(FieldSpec { name: stringify!($sfield), ty: stringify!($sty), description: concat!($($sdoc),+).trim_ascii(), optional: false, sensitive: false },)*
                        $(FieldSpec { name: stringify!($field), ty: stringify!($ty), description: concat!($($fdoc),+).trim_ascii(), optional: is_optional(stringify!($ty)), sensitive: false },)*
                    ],
                    source: Source { module: module_path!(), file: file!(), line: line!() },
                };
                &SPEC
            };

            // Those of the life cycle hold what the library itself measured, and texts that were masked where they were made;
            // the others what the author of a driver put in.
            #[allow(unused_imports, clippy::needless_borrow, reason = "the form of generated code, for any type of field")]
            fn __mask(&mut self, index: usize, mask: &str) -> bool {
                use crate::mask::{MaskByDefault as _, MaskByMask as _};
                let _ = mask;
                match Self::SPEC.fields.get(index).map(|field| field.name) {
                    $(Some(stringify!($field)) => (&mut &mut &mut Masked(&mut self.$field)).mask(mask),)*
                    _ => true,
                }
            }

            #[allow(unused_imports, clippy::needless_borrow, reason = "the form of generated code, for any type of field")]
            fn __shape(&self, index: usize) -> Shape {
                use crate::mask::{ShapeAny as _, ShapeKnown as _};
                match Self::SPEC.fields.get(index).map(|field| field.name) {
                    $(Some(stringify!($field)) => (&&Shaped(&self.$field)).shape(),)*
                    _ => Shape::Plain,
                }
            }

            fn __stamp(&mut self, stamp: &__Stamp<'_>) {
                let header = stamp.0;
                id::write(header.event_id, &mut self.event_id);
                self.timestamp = header.timestamp;
                if let Some(task) = &header.task
                    && self.task_id.is_empty()
                {
                    self.task_id.push_str(&task.id);
                    self.task_name.push_str(task.name);
                    self.correlation_id.push_str(&task.correlation_id);
                }
                write_option(&mut self.trace_id, header.trace_id.as_deref());
                write_option(&mut self.span_id, header.span_id.as_deref());
                $(
                    let $step = &header.step;
                    if let Some(step) = $step && self.step_id.is_empty() {
                        self.step_id.push_str(&step.id);
                        self.step_name.push_str(step.name);
                        self.attempt_number = step.attempt_number;
                        self.retry_limit = step.retry_limit;
                    }
                )?
            }
        }

        impl Rewrite for $name {
            fn rewrite(&mut self, header: &Header, is_same_task: bool) {
                id::write(header.event_id, &mut self.event_id);
                self.timestamp = header.timestamp;
                if !is_same_task {
                    let task = header.task.as_ref();
                    write_over(&mut self.task_id, task.map_or("", |task| &task.id));
                    write_over(&mut self.task_name, task.map_or("", |task| task.name));
                    write_over(&mut self.correlation_id, task.map_or("", |task| &task.correlation_id));
                    write_option(&mut self.trace_id, header.trace_id.as_deref());
                }
                write_option(&mut self.span_id, header.span_id.as_deref());
                $(
                    let $step = header.step.as_ref();
                    write_over(&mut self.step_id, $step.map_or("", |step| &step.id));
                    write_over(&mut self.step_name, $step.map_or("", |step| step.name));
                    self.attempt_number = $step.map_or(0, |step| step.attempt_number);
                    self.retry_limit = $step.map_or(0, |step| step.retry_limit);
                )?
            }
        }

        inventory::submit! { EventEntry(<$name as Event>::SPEC) }
        $(system_event!(@$by_hand $name);)?
    };
    (@by_hand $name:ident) => { impl ByHand for $name {} };
}
