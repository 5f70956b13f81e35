//! What stands in an apalis job's metadata: ours, and what we read of the graph's.

use apalis_core::task::ExecutionContext;
use apalis_core::task::metadata::{Metadata, MetadataStore};
use tasker_telemetry::Timestamp;
use tasker_telemetry::trace::Carrier;

const CARRIER: &str = "tasker_telemetry.carrier";
const ENQUEUED_AT: &str = "tasker_telemetry.enqueued_at";

// `GraphFlowContext` reads all of its metadata, maps of all nodes included; these three are enough.
const NODE: &str = "apalis_workflow.graph.current_node";
const NODE_BEFORE: &str = "apalis_workflow.graph.prev_node";
const ROOT: &str = "apalis_workflow.graph.root_task_id";

/// A task on its way, and since when it is.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) carrier: Carrier,
    pub(crate) enqueued_at: Timestamp,
}

impl Carried {
    pub(crate) fn now(carrier: Carrier) -> Self {
        Self { carrier, enqueued_at: Timestamp::now() }
    }

    /// What a job brought along. Its metadata are strings that anybody may have written: what cannot be read is not there.
    pub(crate) fn of(job: &ExecutionContext) -> Option<Self> {
        let carrier = serde_json::from_str(job.metadata().get(CARRIER)?).ok()?;
        let nanos = job.metadata().get(ENQUEUED_AT)?.parse().ok()?;
        // One that was to wait has waited in vain only since it could have run.
        let run_at = job.run_at().map_or(0, |seconds| seconds.saturating_mul(1_000_000_000));
        Some(Self { carrier, enqueued_at: Timestamp::from_unix_nanos(run_at.max(nanos)) })
    }
}

/// What is carried is read with [`Carried::of`], which knows the whole job.
#[derive(Debug, thiserror::Error)]
#[error("a carrier is read from the job, not from its metadata alone")]
pub(crate) struct OnlyWritten;

impl Metadata for Carried {
    type Error = OnlyWritten;

    fn extract(_: &MetadataStore) -> Result<Self, OnlyWritten> {
        Err(OnlyWritten)
    }

    fn inject(&self, metadata: &mut MetadataStore) -> Result<(), OnlyWritten> {
        let carrier = serde_json::to_string(&self.carrier).unwrap_or_default(); // texts and numbers: it cannot fail
        metadata.replace(CARRIER, carrier);
        metadata.replace(ENQUEUED_AT, self.enqueued_at.as_unix_nanos().to_string());
        Ok(())
    }
}

/// Where in its graph a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It begins a graph.
    Entry,
    /// It is that node, by its index.
    Node(usize),
}

impl Place {
    pub(crate) fn of(job: &ExecutionContext) -> Self {
        let node = job.metadata().get(NODE).and_then(|node| node.parse().ok());
        node.map_or(Self::Entry, Self::Node)
    }
}

/// The way from one node to the next, which each task goes once: the key under which the backend takes it once. `None` for
/// what is not on its way through a graph.
pub(crate) fn way(job: &ExecutionContext) -> Option<String> {
    let metadata = job.metadata();
    let (root, node) = (metadata.get(ROOT)?, metadata.get(NODE)?);
    Some(format!("{root}/{}-{node}", metadata.get(NODE_BEFORE).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use apalis_core::task::builder::TaskBuilder;
    use tasker_telemetry::driver;

    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let carrier = driver::begin(driver::NewTask::new("order_process").id("7")).hand_over();
        let sent = Carried { carrier, enqueued_at: Timestamp::from_unix_nanos(7_000_000_001) };
        let job = TaskBuilder::new(()).metadata(&sent).build();
        let read = Carried::of(job.ctx()).unwrap();
        assert_eq!((read.carrier, read.enqueued_at), (sent.carrier.clone(), sent.enqueued_at));
        let later = TaskBuilder::new(()).metadata(&sent).run_at_timestamp(9).build();
        assert_eq!(Carried::of(later.ctx()).unwrap().enqueued_at, Timestamp::from_unix_nanos(9_000_000_000));
    }

    #[test]
    fn metadata_of_others_are_no_carrier() {
        let mut metadata = MetadataStore::new();
        metadata.extend([(CARRIER, "{}"), (ENQUEUED_AT, "x"), (NODE, "-1")]);
        let job = TaskBuilder::new(()).with_metadata(metadata).build();
        assert!(Carried::of(job.ctx()).is_none());
        assert_eq!((Place::of(job.ctx()), way(job.ctx())), (Place::Entry, None));
    }

    #[test]
    fn each_way_through_a_graph_has_its_key() {
        let job = |before: &str, node: &str| {
            let mut metadata = MetadataStore::new();
            metadata.extend([(ROOT, "R"), (NODE_BEFORE, before), (NODE, node)]);
            way(TaskBuilder::new(()).with_metadata(metadata).build().ctx())
        };
        assert_eq!(job("1", "2").as_deref(), Some("R/1-2"));
        assert_ne!(job("1", "12"), job("11", "2"));
    }
}
