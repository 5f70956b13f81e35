//! Holds received spans against the events of the run: nothing missing, nothing twice, every span as its events tell.
//!
//! ```no_run
//! use trace_kit::{Checker, Sink, checker};
//!
//! let sink = Sink::start();
//! // .. run `order_process --json --otlp <sink.endpoint()>`, its standard output in `printed`
//! # let printed = String::new();
//! let report = Checker::new().service("order_process").check(&sink.spans(), &checker::json_lines(&printed)).unwrap();
//! assert_eq!(report.tasks, 44);
//! ```
//!
//! What it expects by default is the contract: one `tasker.task.execution` for each task that ended, without parent, one
//! `tasker.step.execution` for each attempt that ended, below it, attempt n linked to attempt n - 1. A task or an attempt that
//! began and never ended has no span. The setters say where a run differs.

mod check;
mod mismatch;
mod one_span;
mod relations;
mod run;
mod values;

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

pub use self::mismatch::{Mismatch, Mismatches};
use self::run::Run;
use crate::span::{Fidelity, ReceivedSpan, StatusCode};

/// The name of the root span.
pub const TASK_SPAN: &str = "tasker.task.execution";
/// The name of the span of an attempt.
pub const STEP_SPAN: &str = "tasker.step.execution";

/// What the caller's own trace means for the root span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Caller {
    /// There is none: no parent, no link.
    #[default]
    None,
    /// The root links to that span.
    Linked {
        /// 32 hexadecimal digits.
        trace_id: String,
        /// 16 hexadecimal digits.
        span_id: String,
    },
    /// The root is a child of that span, in its trace.
    Parent {
        /// 32 hexadecimal digits.
        trace_id: String,
        /// 16 hexadecimal digits.
        span_id: String,
    },
}

/// How `fields(..)` appear as attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FieldNames {
    /// Under their own names.
    #[default]
    Plain,
    /// With this before their names.
    Prefixed(String),
    /// Not looked at.
    Ignored,
}

/// What was found when everything agreed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Root spans.
    pub tasks: usize,
    /// Spans of attempts.
    pub attempts: usize,
    /// Spans of other libraries.
    pub foreign: usize,
    /// Tasks without any span, where [`Checker::whole_or_absent`] allows them.
    pub absent: usize,
}

/// Holds spans against events.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "independent settings")]
pub struct Checker {
    tolerance: u64,
    fidelity: Fidelity,
    success: StatusCode,
    exceptions: bool,
    code: bool,
    foreign: bool,
    whole_or_absent: bool,
    resumed: HashSet<String>,
    nesting: HashMap<String, Vec<String>>,
    caller: Caller,
    fields: FieldNames,
    resource: Vec<(String, String)>,
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Checker {
    /// One that expects the contract's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            // Events tell microseconds, cut off; one more for whoever reads the clock twice.
            tolerance: 2_000,
            fidelity: Fidelity::FULL,
            success: StatusCode::Ok,
            exceptions: true,
            code: true,
            foreign: false,
            whole_or_absent: false,
            resumed: HashSet::new(),
            nesting: HashMap::new(),
            caller: Caller::None,
            fields: FieldNames::Plain,
            resource: vec![("service.framework".to_owned(), "tasker".to_owned())],
        }
    }

    /// What the receiver shows; [`Fidelity::FULL`] by default.
    #[must_use]
    pub fn fidelity(mut self, fidelity: Fidelity) -> Self {
        self.fidelity = fidelity;
        self
    }

    /// How far times of spans and events may be apart, in nanoseconds; 2,000 by default. The receiver's own error is added.
    #[must_use]
    pub fn tolerance_nanos(mut self, nanos: u64) -> Self {
        self.tolerance = nanos;
        self
    }

    /// The status of what went well; `Ok` by default.
    #[must_use]
    pub fn success(mut self, status: StatusCode) -> Self {
        self.success = status;
        self
    }

    /// Whether failed attempts carry an `exception` event, which is so by default. If not, they must not.
    #[must_use]
    pub fn exceptions(mut self, are_on_spans: bool) -> Self {
        self.exceptions = are_on_spans;
        self
    }

    /// Asks for no `code.*` attributes. Those that are there must have the right types all the same.
    #[must_use]
    pub fn without_code(mut self) -> Self {
        self.code = false;
        self
    }

    /// Lets spans of other names be there, as other libraries make them, as long as their parents are.
    #[must_use]
    pub fn with_foreign(mut self) -> Self {
        self.foreign = true;
        self
    }

    /// Lets tasks have no span at all, as sampling has it; the others must be whole.
    #[must_use]
    pub fn whole_or_absent(mut self) -> Self {
        self.whole_or_absent = true;
        self
    }

    /// These tasks were resumed from a carrier: their roots are of kind `Consumer`.
    #[must_use]
    pub fn resumed(mut self, task_ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.resumed.extend(task_ids.into_iter().map(Into::into));
        self
    }

    /// Steps called `inner` run inside those called `outer`, and not directly in the task. Said more than once, any of the
    /// outer ones will do; an empty `outer` is the task.
    #[must_use]
    pub fn nested(mut self, inner: &str, outer: &str) -> Self {
        self.nesting.entry(inner.to_owned()).or_default().push(outer.to_owned());
        self
    }

    /// What called the tasks; nothing by default.
    #[must_use]
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// How `fields(..)` appear; under their own names by default.
    #[must_use]
    pub fn fields(mut self, names: FieldNames) -> Self {
        self.fields = names;
        self
    }

    /// The resource has that `service.name`.
    #[must_use]
    pub fn service(self, name: &str) -> Self {
        self.resource("service.name", name)
    }

    /// The resource has that attribute. `service.framework` is always asked for.
    #[must_use]
    pub fn resource(mut self, name: &str, value: &str) -> Self {
        self.resource.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Compares span by span.
    ///
    /// # Errors
    /// Everything that does not agree, each with its span and with what was expected and seen.
    pub fn check(&self, spans: &[ReceivedSpan], events: &[Json]) -> Result<Report, Mismatches> {
        check::check(self, spans, &Run::from_events(events))
    }
}

/// The events that were printed as a line of JSON each.
///
/// # Panics
/// At a line that is no JSON.
#[must_use]
pub fn json_lines(text: &str) -> Vec<Json> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}
