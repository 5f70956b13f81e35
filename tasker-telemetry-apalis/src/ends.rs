//! Who tells that a task has ended, when several processes may think so.

use tasker_telemetry::driver::ResumedTask;
use tasker_telemetry::state::State;

/// Where the processes of a task agree on its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    store: Option<tasker_telemetry::store::Store>,
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Ends {
    pub(crate) const fn in_store(store: tasker_telemetry::store::Store) -> Self {
        Self { store: Some(store) }
    }

    /// Whether this process tells the end. A store that does not answer decides nothing: an end told twice can be recognised by
    /// its task, one that nobody tells cannot.
    pub(crate) async fn claim(&self, task: &ResumedTask, state: State) -> bool {
        let Some(store) = &self.store else { return true };
        store.claim_end(&task.carrier(), state).await.unwrap_or_else(|error| {
            tracing::warn!(target: "tasker_telemetry", %error, "whether the task had ended could not be asked");
            true
        })
    }

    /// Whether the task has ended already, so that nothing more of it is run.
    pub(crate) async fn has_ended(&self, task: &ResumedTask) -> bool {
        let Some(store) = &self.store else { return false };
        store.has_ended(&task.carrier()).await.unwrap_or(false)
    }
}

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
#[allow(clippy::unused_self, clippy::unused_async, reason = "there is no store to ask")]
impl Ends {
    pub(crate) async fn claim(&self, _: &ResumedTask, _: State) -> bool {
        true
    }

    pub(crate) async fn has_ended(&self, _: &ResumedTask) -> bool {
        false
    }
}
