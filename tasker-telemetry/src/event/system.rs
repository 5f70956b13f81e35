//! The payloads of the system events: one struct each, its JSON flat, with exactly the names of the contract.
//!
//! The structs are data. They are made by `lifecycle` (through `publisher::build`) and by those who write a driver.

use serde::Serialize;

use super::{__Stamp, ByHand, Event, EventKind, Header};
use crate::catalog::{EventEntry, EventSpec, FieldSpec, Source};
use crate::id;
use crate::mask::{Masked, Shape, Shaped};
use crate::time::Timestamp;

/// The values of `fields(..)`, by name.
type Map = serde_json::Map<String, serde_json::Value>;

/// Whether a field's type, as text, is an `Option`.
const fn is_optional(ty: &str) -> bool {
    let (ty, prefix) = (ty.as_bytes(), b"Option");
    let mut i = 0;
    while i < prefix.len() {
        if i >= ty.len() || ty[i] != prefix[i] {
            return false;
        }
        i += 1;
    }
    true
}

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

/// The last segment of an event's name.
pub(crate) const fn event_type(name: &'static str) -> &'static str {
    let bytes = name.as_bytes();
    let mut start = bytes.len();
    while start > 0 && bytes[start - 1] != b'.' {
        start -= 1;
    }
    name.split_at(start).1
}

/// A system event that can be written over one that nobody needs any more: an event has eight texts, and allocating and freeing
/// them takes longer than writing them.
pub(crate) trait Rewrite: Event + Clone + Default {
    /// Writes what every event has. `is_same_task`: what the last event said of its task holds for this one, too.
    fn rewrite(&mut self, header: &Header, is_same_task: bool);
}

fn write_over(to: &mut String, text: &str) {
    to.clear();
    to.push_str(text);
}

fn write_option(to: &mut Option<String>, text: Option<&str>) {
    match text {
        Some(text) => write_over(to.get_or_insert_default(), text),
        None => *to = None,
    }
}

/// Events of a task's life.
pub mod task {
    #[allow(clippy::wildcard_imports, reason = "what the macro needs")]
    use super::*;

    system_event! {
        /// A task is created.
        InitializeRequested, TaskInitializeRequested, task {
            /// The values of the task's `fields(..)`.
            context: Map,
        }
    }
    system_event! {
        /// A task's body is about to run.
        StartRequested, TaskStartRequested, task {
            /// When it starts.
            started_at: Timestamp,
        }
    }
    system_event! {
        /// A task ended well.
        Completed, TaskCompleted, task {
            /// When its body started.
            started_at: Timestamp,
            /// When its body ended.
            completed_at: Timestamp,
            /// The time between, in seconds.
            execution_duration: f64,
            /// How many steps began.
            total_steps: u64,
            /// How many of them ended well.
            completed_steps: u64,
            /// How many of them ended in failure, their retries included.
            failed_steps: u64,
        }
    }
    system_event! {
        /// A task ended with an error or a panic.
        Failed, TaskFailed, task {
            /// When its body started.
            started_at: Timestamp,
            /// When its body ended.
            completed_at: Timestamp,
            /// The time between, in seconds.
            execution_duration: f64,
            /// How many steps began.
            total_steps: u64,
            /// How many of them ended well.
            completed_steps: u64,
            /// How many of them ended in failure, their retries included.
            failed_steps: u64,
            /// What the error says.
            error_message: String,
            /// The error's type path, for enums with the variant; `panic` for a panic.
            error_class: String,
            /// The error's category: by its own word (`ErrorKind`), else by its class.
            error_type: String,
            /// What the causes of the error say, the nearest first.
            error_chain: Vec<String>,
            /// The innermost frames, ten at most; empty unless `RUST_BACKTRACE` asks for them.
            backtrace: Vec<String>,
        }
    }
    system_event! {
        /// A task will run again.
        RetryRequested, TaskRetryRequested, task {
            /// Which attempt follows, from 1.
            attempt_number: u32,
            /// Why.
            retry_reason: String,
        }
    }
    system_event! {
        /// A task was dropped or cancelled before it ended.
        Cancelled, TaskCancelled, task {
            /// Why.
            reason: String,
        }
    }
    system_event! {
        /// An operator closed a task.
        ResolvedManually, TaskResolvedManually, task {
            /// Who.
            resolved_by: String,
            /// Why.
            reason: String,
        }
    }
}

/// Events of a step's life: one set for each attempt.
pub mod step {
    #[allow(clippy::wildcard_imports, reason = "what the macro needs")]
    use super::*;

    system_event! {
        /// An attempt asks to run; it may wait for a permit before it starts.
        ExecutionRequested, StepExecutionRequested, step {
            /// The values of the step's `fields(..)`.
            step_inputs: Map,
        }
    }
    system_event! {
        /// A step's body is about to run.
        Started, StepStarted, step {
            /// When it starts.
            started_at: Timestamp,
            /// How long the attempt waited for a permit, in seconds.
            queue_time: f64,
        }
    }
    system_event! {
        /// A step ended well.
        Completed, StepCompleted, step {
            /// When the attempt's body started.
            started_at: Timestamp,
            /// When it ended.
            completed_at: Timestamp,
            /// The time between, in seconds.
            execution_duration: f64,
        }
    }
    system_event! {
        /// An attempt of a step ended with an error or a panic.
        Failed, StepFailed, step {
            /// When the attempt's body started.
            started_at: Timestamp,
            /// When it ended.
            completed_at: Timestamp,
            /// The time between, in seconds.
            execution_duration: f64,
            /// What the error says.
            error_message: String,
            /// The error's type path, for enums with the variant; `panic` for a panic.
            error_class: String,
            /// The error's category: by its own word (`ErrorKind`), else by its class.
            error_type: String,
            /// What the causes of the error say, the nearest first.
            error_chain: Vec<String>,
            /// The innermost frames, ten at most; empty unless `RUST_BACKTRACE` asks for them.
            backtrace: Vec<String>,
            /// Whether another attempt makes sense, by the error's own word, `retry_if`, or the step's retries.
            retryable: bool,
        }
    }
    system_event! {
        /// Another attempt of a step follows.
        RetryRequested, StepRetryRequested, step {
            /// What the error of the failed attempt says.
            retry_reason: String,
            /// How long the step waits before the next attempt.
            backoff_seconds: f64,
            /// `none`, `fixed`, `exponential`, `custom`, or `server_requested` when the error named the delay.
            backoff_strategy: String,
        }
    }
    system_event! {
        /// A step failed for good though its error was worth a retry: its attempts are used up.
        MaxRetriesReached, StepMaxRetriesReached, step {
            /// What the last error says.
            error_message: String,
        }
    }
    system_event! {
        /// A step was dropped or cancelled before it ended.
        Cancelled, StepCancelled, step {
            /// Why.
            reason: String,
        }
    }
    system_event! {
        /// An operator closed a step.
        ResolvedManually, StepResolvedManually, step {
            /// Why.
            reason: String,
        }
    }
}

/// Events of an engine that orchestrates steps; published by who writes a driver.
pub mod workflow {
    #[allow(clippy::wildcard_imports, reason = "what the macro needs")]
    use super::*;

    system_event! {
        /// An engine began to orchestrate a task.
        TaskStarted, WorkflowTaskStarted, task, by_hand {
            /// How many steps it will run.
            total_steps: u64,
        }
    }
    system_event! {
        /// An engine ended a task.
        TaskCompleted, WorkflowTaskCompleted, task, by_hand {
            /// How long it took, in seconds.
            total_duration: f64,
            /// Completed steps over all steps, from 0 to 1.
            success_rate: f64,
        }
    }
    system_event! {
        /// An engine found steps that can run.
        ViableStepsDiscovered, WorkflowViableStepsDiscovered, task, by_hand {
            /// Their ids.
            step_ids: Vec<String>,
            /// How many they are.
            step_count: u64,
            /// `concurrent` or `sequential`.
            processing_mode: String,
        }
    }
    system_event! {
        /// An engine found no step that can run.
        NoViableSteps, WorkflowNoViableSteps, task, by_hand {
            /// Why.
            reason: String,
        }
    }
    system_event! {
        /// An engine saw a step end.
        StepCompleted, WorkflowStepCompleted, task, by_hand {
            /// The step's identity.
            step_id: String,
            /// How many steps are left.
            remaining_steps: u64,
        }
    }
}

/// Measurements along the way; published by who writes a driver, `step.backoff` also by the embedded one.
pub mod observability {
    #[allow(clippy::wildcard_imports, reason = "what the macro needs")]
    use super::*;

    system_event! {
        /// A task was put into a queue.
        TaskEnqueue, ObservabilityTaskEnqueue, task, by_hand {
            /// The queue.
            queue_name: String,
            /// When.
            enqueued_at: Timestamp,
        }
    }
    system_event! {
        /// A worker picked a task up.
        TaskStart, ObservabilityTaskStart, task, by_hand {
            /// The worker.
            worker_id: String,
        }
    }
    system_event! {
        /// The resources that an attempt of a step used.
        StepProcessing, ObservabilityStepProcessing, step, by_hand {
            /// How long the body ran, in seconds.
            processing_time: f64,
            /// How long it waited before, in seconds.
            queue_time: f64,
            /// The processor time used, in seconds.
            cpu_time: Option<f64>,
            /// The memory used, in bytes.
            memory_usage: Option<u64>,
        }
    }
    system_event! {
        /// A step begins to wait for its next attempt.
        StepBackoff, ObservabilityStepBackoff, step, by_hand {
            /// How long, in seconds.
            backoff_seconds: f64,
            /// `fixed`, `exponential`, `custom`, or `server_requested` when the error named the delay.
            backoff_type: String,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_flat_with_the_names_of_the_contract() {
        let json = serde_json::to_value(step::Failed::default()).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        for name in "event event_id event_type timestamp task_id task_name correlation_id step_id step_name attempt_number \
                     retry_limit started_at completed_at execution_duration error_message error_class error_chain backtrace \
                     retryable"
            .split_whitespace()
        {
            assert!(names.contains(&name), "{name} is missing in {names:?}");
        }
        assert_eq!(json["event"], "step.failed");
        assert_eq!(json["event_type"], "failed");
        assert!(!names.contains(&"trace_id"), "absent when not traced");
    }

    #[test]
    fn specs_say_what_the_structs_hold() {
        let json = serde_json::to_value(observability::StepProcessing {
            trace_id: Some(String::new()),
            span_id: Some(String::new()),
            ..Default::default()
        })
        .unwrap();
        let spec = observability::StepProcessing::SPEC;
        let names: Vec<&str> = spec.fields.iter().map(|field| field.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let mut keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        keys.sort_unstable();
        assert_eq!(sorted, keys);
        assert!(spec.fields.iter().any(|field| field.name == "cpu_time" && field.optional));
        assert_eq!(spec.description, "The resources that an attempt of a step used.");
    }
}
