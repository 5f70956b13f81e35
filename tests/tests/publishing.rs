//! Events published by hand: where they belong, what is masked, what is refused.

use serde_json::json;
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, expect, record_sync};
use tasker_telemetry::{Catalog, PublishError, declare_event};

/// A payment needs a human.
#[derive(Debug, Clone, Serialize, Event)]
#[event("payment.risk_flagged")]
struct RiskFlagged {
    /// Our payment number.
    payment_id: String,
    risk_score: f64,
    #[event(sensitive)]
    card_number: String,
    /// Masked by its name.
    customer_email: Option<String>,
    /// Masked by its name, whatever its type.
    secret_code: u32,
}

fn flagged() -> RiskFlagged {
    RiskFlagged {
        payment_id: "p1".into(),
        risk_score: 0.75,
        card_number: "4111 1111 1111 1111".into(),
        customer_email: Some("ann@example.org".into()),
        secret_code: 4321,
    }
}

#[step(publishes(RiskFlagged))]
fn charge() {
    publish(flagged());
}

#[task(id = "order-1")]
fn order() {
    charge();
    publish(flagged());
}

#[test]
fn a_custom_event_belongs_to_where_it_was_published() {
    let recording = Recording::new();
    recording.in_scope(order);
    recording.in_scope(|| publish(flagged()));
    let events = recording.events();
    let seen = events.named("payment.risk_flagged");
    let places: Vec<_> = seen.iter().map(|event| (event.task_id(), event.step_name())).collect();
    assert_eq!(places, [(Some("order-1"), Some("charge")), (Some("order-1"), None), (None, None)]);
    let json = serde_json::to_value(seen[0]).unwrap();
    assert_eq!(json["event"], "payment.risk_flagged");
    assert_eq!(json["event_type"], "risk_flagged");
    assert_eq!(
        (&json["task_name"], &json["step_name"], &json["attempt_number"]),
        (&json!("order"), &json!("charge"), &json!(1))
    );
    assert_eq!((&json["payment_id"], &json["risk_score"]), (&json!("p1"), &json!(0.75)));
    assert!(seen[2].payload().get("task_id").is_none());
}

#[test]
fn sensitive_values_are_masked_in_every_form() {
    let run = record_sync(charge);
    let event = run.named("payment.risk_flagged")[0];
    let json = serde_json::to_string(event).unwrap();
    for secret in ["4111", "ann@", "4321"] {
        assert!(!json.contains(secret) && !format!("{event:?}").contains(secret), "{secret} in {json}");
    }
    assert_eq!(event.payload()["card_number"], "[FILTERED]");
    assert_eq!(event.payload()["customer_email"], "[FILTERED]");
    assert_eq!(event.payload()["secret_code"], "[FILTERED]");
    let typed: &RiskFlagged = event.downcast_ref().unwrap();
    assert_eq!(typed.card_number, "[FILTERED]");
    assert_eq!(typed.customer_email.as_deref(), Some("[FILTERED]"));
    assert_eq!(typed.secret_code, 0, "a number cannot hold the mask: it holds nothing");
}

#[test]
fn the_filter_is_the_users() {
    let recording = Recording::with(
        Telemetry::builder().auto_subscribers(false).filter_parameters(["payment_id"]).filter_mask("***"),
    )
    .unwrap();
    recording.in_scope(charge);
    let events = recording.events();
    let event = events.named("payment.risk_flagged")[0].payload().clone();
    assert_eq!(event["payment_id"], "***");
    assert_eq!(event["card_number"], "***", "sensitive whatever the filter says");
    assert_eq!(event["customer_email"], "ann@example.org");
}

#[step(fields(email = "ann@example.org", order = json!({"lines": [{"access_token": "t-1", "sku": "a"}]}), plain = 3))]
fn with_fields() {}

#[test]
fn fields_are_masked_by_their_names_at_any_depth() {
    let run = record_sync(with_fields);
    let inputs = &run.named("step.execution_requested")[0].payload()["step_inputs"];
    assert_eq!(
        inputs,
        &json!({"email": "[FILTERED]", "order": {"lines": [{"access_token": "[FILTERED]", "sku": "a"}]}, "plain": 3})
    );
}

declare_event!("import.line_skipped", "A line of an import could not be read.");

#[test]
fn events_known_by_name_only() {
    let run = record_sync(|| publish_event("import.line_skipped", json!({"line": 7, "password": "x"})));
    assert_eq!(run.output, Ok(()));
    let event = run.named("import.line_skipped")[0];
    assert_eq!((&event.payload()["line"], &event.payload()["password"]), (&json!(7), &json!("[FILTERED]")));
    assert!(event.downcast_ref::<RiskFlagged>().is_none());
    assert_eq!(Catalog::get("import.line_skipped").unwrap().description, "A line of an import could not be read.");
}

#[test]
fn what_cannot_be_published_by_name_is_an_error_value() {
    let error = |name: &str, payload| publish_event(name, payload).unwrap_err();
    assert_eq!(error("nothing", json!({})), PublishError::NoNamespace("nothing".into()));
    for reserved in ["task.failed", "step.done", "workflow.x", "observability.x.y", "test.event"] {
        assert_eq!(error(reserved, json!({})), PublishError::Reserved(reserved.into()));
    }
    assert_eq!(
        error("import.line_skiped", json!({})),
        PublishError::Unknown { name: "import.line_skiped".into(), nearest: Some("import.line_skipped") }
    );
    assert_eq!(error("import.line_skipped", json!([1])), PublishError::NotAnObject("import.line_skipped"));
    assert_eq!(
        error("import.line_skipped", json!({"task_id": 1})),
        PublishError::ReservedField { event: "import.line_skipped", field: "task_id" }
    );
}

#[task(id = "driven")]
fn driven() {
    publish(event::workflow::TaskStarted::new(4));
    publish(event::observability::TaskEnqueue::new("orders".into(), tasker_telemetry::Timestamp::now()));
}

#[test]
fn who_writes_a_driver_publishes_workflow_and_observability_events() {
    let run = record_sync(driven);
    run.assert_contains([
        expect("workflow.task_started").with("total_steps", 4).with("task_id", "driven").with("task_name", "driven"),
        expect("observability.task.enqueue").with("queue_name", "orders").with("event_type", "enqueue"),
    ]);
    let typed: &event::workflow::TaskStarted = run.named("workflow.task_started")[0].downcast_ref().unwrap();
    assert_eq!((typed.task_id.as_str(), typed.event_id.len()), ("driven", 36));
}
