//! What generated code names. Not public API: everything here may change in any release.

pub use inventory;
pub use serde::Serialize;

pub use crate::capture::{Capture, CaptureValue, debug as capture_debug, display as capture_display};
pub use crate::catalog::{
    EventEntry, EventSpec, FieldSpec, METRIC_RECORD, OtherCatalog, Parts, RECORD_VERSION, RecordPart, Source,
    StepEntry, StepSpec, SubscriberEntry, SubscriberSpec, TaskEntry, TaskSpec, declare_step, declare_task,
    event_record, record, record_len,
};
pub use crate::classify::{
    Classify, FailureOf, Probe, Returned, ReturnedValue, Words, WordsOf, advice, future, hint, once,
};
pub use crate::event::{self, __Stamp, ByHand, Event, EventRecord};
pub use crate::handler::{DeclaredStep, HandlerEntry, ResultOf, made};
pub use crate::lifecycle::{
    StepRetry, TaskIdArg, correlated, display, run_step, run_step_sync, run_step_with, run_task, run_task_sync,
    step_fields, task_fields, task_id,
};
pub use crate::mask::*;
pub use crate::retry::Backoff;
pub use crate::retry_arg::{at_least_one, keep};
pub use crate::subscriber::*;
pub use crate::value::{Fields, Value};
pub use crate::{__capture as capture, __classify as classify};
