//! The catalog of another program: made of what its binary holds, not of what is linked here. For `cargo-tasker`; not public API.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    Catalog, CatalogEvent, CatalogProblem, EventEntry, EventSpec, StepSpec, SubscriberSpec, TaskSpec, nearest_of,
    render, validate,
};
use crate::event::Category;
use crate::metrics::{MetricInfo, MetricKind, MetricSpec};
use crate::observe::{Dashboard, Rules};
use crate::retry::Backoff;

/// What a catalog is made of, in any order.
#[derive(Debug, Default)]
pub struct Parts {
    /// The events.
    pub events: Vec<&'static EventSpec>,
    /// The steps.
    pub steps: Vec<&'static StepSpec>,
    /// The tasks.
    pub tasks: Vec<&'static TaskSpec>,
    /// The subscribers.
    pub subscribers: Vec<&'static SubscriberSpec>,
    /// The metrics of the program's own.
    pub metrics: Vec<MetricSpec>,
}

/// A catalog, and what can be made of it.
#[derive(Debug)]
pub struct OtherCatalog(Catalog);

impl OtherCatalog {
    /// The catalog of a program with these parts and the library's own events and metrics, which are those of this version.
    #[must_use]
    pub fn new(mut parts: Parts) -> Self {
        let own = inventory::iter::<EventEntry>.into_iter().map(|entry| entry.0);
        parts.events.extend(own.filter(|event| Category::of(event.name) != Category::Custom));
        Self(Catalog::of(parts))
    }

    /// The events of the library.
    #[must_use]
    pub fn system_events() -> Vec<&'static str> {
        Self::new(Parts::default()).0.events.iter().map(|event| event.name).collect()
    }

    /// The backoff of that [strategy](Backoff::strategy); its figures are not known here.
    #[must_use]
    pub fn backoff(strategy: &str) -> Backoff {
        match strategy {
            "none" => Backoff::none(),
            "fixed" => Backoff::fixed(),
            "exponential" => Backoff::exponential(),
            _ => Backoff::custom(|_| Duration::ZERO),
        }
    }

    /// A metric as it was declared; `None` for a kind that this version does not know.
    #[must_use]
    pub fn metric(
        name: &'static str,
        kind: &str,
        unit: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Option<MetricSpec> {
        let kinds = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram];
        let kind = kinds.into_iter().find(|known| known.name() == kind)?;
        Some(MetricSpec { name, kind, unit, help, labels })
    }

    /// Every event, by name.
    #[must_use]
    pub fn events(&self) -> &[CatalogEvent] {
        &self.0.events
    }

    /// Every step, by name.
    #[must_use]
    pub fn steps(&self) -> &[&'static StepSpec] {
        &self.0.steps
    }

    /// Every task, by name.
    #[must_use]
    pub fn tasks(&self) -> &[&'static TaskSpec] {
        &self.0.tasks
    }

    /// Every subscriber, by name.
    #[must_use]
    pub fn subscribers(&self) -> &[&'static SubscriberSpec] {
        &self.0.subscribers
    }

    /// Every metric, by name.
    #[must_use]
    pub fn metrics(&self) -> &[MetricInfo] {
        &self.0.metrics
    }

    /// Leaves out the events for which `keep` says no.
    pub fn retain_events(&mut self, keep: impl FnMut(&CatalogEvent) -> bool) {
        self.0.events.retain(keep);
    }

    /// What [`Catalog::validate`] says of that program.
    #[must_use]
    pub fn problems(&self) -> Vec<CatalogProblem> {
        validate::problems(&self.0)
    }

    /// The event whose name is most like that one, if any is like it.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest_of(name, self.0.events.iter().map(|event| event.name))
    }

    /// [`Catalog::table`].
    #[must_use]
    pub fn table(&self) -> String {
        render::table(&self.0)
    }

    /// [`Catalog::json`], without `handlers`: which handler runs a step is known to the running program alone.
    #[must_use]
    pub fn json(&self) -> Json {
        let mut json = render::json(&self.0);
        if let Some(fields) = json.as_object_mut() {
            fields.remove("handlers");
        }
        json
    }

    /// [`Catalog::markdown`].
    #[must_use]
    pub fn markdown(&self) -> String {
        render::markdown(&self.0)
    }

    /// [`Dashboard::json`].
    #[must_use]
    pub fn dashboard(&self, dashboard: &Dashboard) -> Json {
        dashboard.json_of(&self.0)
    }

    /// [`Rules::yaml`].
    #[must_use]
    pub fn rules(&self, rules: &Rules) -> String {
        rules.yaml_of(&self.0)
    }
}
