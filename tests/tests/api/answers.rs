//! What each answer means for the step.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tasker_telemetry::api::{ApiError, ApiResponse, ApiStepHandler, Connection};
use tasker_telemetry::handler::{Attempted, StepAttempt};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::record;

use crate::ask::{Ask, User, boxed};
use crate::service::{CANARY, Service};

/// What an attempt means: the error's variant and category, and the wait before the next attempt, if one follows.
type Meaning = (&'static str, &'static str, Option<std::ops::RangeInclusive<f64>>);

#[tokio::test]
async fn every_answer_has_its_meaning() {
    // The step's own backoff: 1 s, and at most a tenth.
    let own = || Some(1.0..=1.1);
    let exactly = |seconds: f64| Some(seconds..=seconds);
    let rows: [(&str, Meaning); 25] = [
        ("301", ("Status", "other", own())),
        ("302", ("Status", "other", own())),
        ("400", ("Rejected", "client_error", None)),
        ("401", ("Rejected", "auth", None)),
        ("403", ("Rejected", "auth", None)),
        ("404", ("Rejected", "not_found", None)),
        ("422", ("Rejected", "client_error", None)),
        ("405", ("Status", "client_error", own())),
        ("408", ("Status", "timeout", own())),
        ("409", ("Status", "client_error", own())),
        ("429-seconds", ("Busy", "rate_limit", exactly(7.0))),
        ("429-long", ("Busy", "rate_limit", exactly(300.0))),
        ("429-date", ("Busy", "rate_limit", Some(60.0..=90.0))),
        ("429-their-date", ("Busy", "rate_limit", exactly(30.0))),
        ("429-junk", ("Busy", "rate_limit", own())),
        ("429", ("Busy", "rate_limit", own())),
        ("500", ("Status", "server_error", own())),
        ("502", ("Status", "server_error", own())),
        ("503", ("Busy", "server_error", own())),
        ("503-seconds", ("Busy", "server_error", exactly(42.0))),
        ("junk", ("Decode", "server_error", own())),
        ("other-form", ("Decode", "server_error", own())),
        ("close", ("Transport", "network", own())),
        ("half", ("Transport", "network", own())),
        ("100mb", ("TooLarge", "server_error", own())),
    ];
    let service = Service::start().await;
    for (what, (variant, error_type, wait)) in rows {
        let ask = Ask::new(service.connection().response_limit(65_536).build().unwrap(), what);
        let run = record(ask.handle_attempt(StepAttempt::FIRST)).await;
        let failed = run.named("step.failed")[0].payload();
        assert_eq!(failed["error_class"], format!("tasker_telemetry::api::error::ApiError::{variant}"), "{what}");
        assert_eq!(run.named("step.failed")[0].error().error_type, error_type, "{what}: {failed}");
        assert_eq!(failed["retryable"], wait.is_some(), "{what}");
        match (&run.output, wait) {
            (Attempted::Failed(_), None) => assert_eq!(run.count("step.retry_requested"), 0, "{what}"),
            (Attempted::Retry { wait: seconds, next, .. }, Some(wait)) => {
                let seconds = seconds.as_secs_f64();
                assert!(wait.contains(&seconds), "{what}: {seconds} is not in {wait:?}");
                let told = run.named("step.retry_requested")[0].payload();
                let told_seconds = told["backoff_seconds"].as_f64().unwrap();
                assert!((told_seconds - seconds).abs() < 1e-9, "{what}: {told_seconds} instead of {seconds}");
                assert_eq!(next.attempt_number(), 2, "{what}");
                let by_server = !(1.0..=1.1).contains(&seconds);
                let strategy = if by_server { "server_requested" } else { "exponential" };
                assert_eq!(told["backoff_strategy"], strategy, "{what}");
                assert_eq!(run.named("observability.step.backoff")[0].payload()["backoff_type"], strategy, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    for (what, user) in [("200", Some(User { name: "Ada".to_owned() })), ("204", None)] {
        let ask = Ask::new(service.connection().build().unwrap(), what);
        let run = record(ask.handle()).await;
        assert_eq!(run.output.as_ref().unwrap(), &user, "{what}");
        assert_eq!(run.count("step.completed"), 1);
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let service = Service::start().await;
    let connection = service.connection().response_limit(1 << 20).build().unwrap();
    for what in ["100mb", "100mb-announced"] {
        let ask = Ask::new(connection.clone(), what);
        let run = record(ask.handle_attempt(StepAttempt::FIRST)).await;
        let Attempted::Retry { error: ApiError::TooLarge { limit }, .. } = run.output else {
            panic!("{:?}", run.output)
        };
        assert_eq!(limit, 1 << 20);
    }
    // What lies in the buffers of two sockets is sent, too; the rest is not even asked for.
    let sent = service.sent.load(Ordering::SeqCst);
    assert!(sent < 64 << 20, "{sent} of 200 MB were taken");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_costs_its_time_limit() {
    let service = Service::start().await;
    let ask = Ask::new(service.connection().timeout(Duration::from_secs(20)).build().unwrap(), "hang");
    let began = tokio::time::Instant::now();
    let run = record(ask.handle()).await;
    assert!(matches!(run.output, Err(ApiError::Timeout { limit }) if limit == Duration::from_secs(20)), "{run:?}");
    assert_eq!(run.named("step.failed")[0].error().error_type, "timeout");
    assert_eq!(run.named("step.failed")[0].payload()["error_message"], "the service did not answer within 20.000 s");
    assert_eq!((run.count("step.failed"), run.count("step.max_retries_reached")), (4, 1));
    let took = began.elapsed().as_secs_f64();
    assert!((80.0..=88.0).contains(&took), "four attempts, and 1, 2 and 4 s between them: {took}");
}

#[tokio::test]
async fn nobody_there_is_a_matter_of_the_network() {
    let [free] = trace_kit::ports::tcp();
    let ask = Ask::new(Connection::new(&format!("http://{free}")).unwrap(), "200");
    let run = record(ask.handle_attempt(StepAttempt::FIRST)).await;
    assert!(matches!(run.output, Attempted::Retry { error: ApiError::Connect(_), .. }));
    assert_eq!(run.named("step.failed")[0].error().error_type, "network");
}

#[tokio::test]
async fn a_service_that_recovers_is_waited_for() {
    tokio::time::pause();
    let service = Service::start().await;
    let ask = Ask { clock: true, ..Ask::new(service.connection().build().unwrap(), "recovers") };
    let began = tokio::time::Instant::now();
    let run = record(ask.handle()).await;
    assert_eq!(run.output.as_ref().unwrap(), &Some(User { name: "Ada".to_owned() }));
    let took = began.elapsed().as_secs_f64();
    assert!((44.0..50.0).contains(&took), "42 s as asked, then 2 s and a tenth, and what three calls take: {took}");
    let waits: Vec<_> =
        run.named("observability.step.backoff").iter().map(|e| e.payload()["backoff_type"].clone()).collect();
    assert_eq!(waits, ["server_requested", "exponential"]);
    assert_eq!(service.heads().len(), 3);
}

/// An error of the program's own around that of the call.
#[derive(Debug, thiserror::Error)]
#[error("the user is not to be had")]
struct NoUser(#[from] ApiError);

struct Wrapped(Ask);

impl ApiStepHandler for Wrapped {
    type Output = ();
    type Error = NoUser;

    fn connection(&self) -> &Connection {
        &self.0.service
    }

    #[step(name = "api.wrapped", retry_limit = 3)]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<ApiResponse, NoUser> {
        Ok(self.connection().get("/answer/{what}").param("what", self.0.what).send().await?)
    }

    fn process_results(&self, _: &StepScope, _: ApiResponse) -> Result<(), NoUser> {
        Ok(())
    }
}

#[tokio::test]
async fn an_error_around_it_is_judged_by_it() {
    let service = Service::start().await;
    let connection = service.connection().build().unwrap();
    for (what, retryable, wait, error_type) in
        [("404", false, None, "not_found"), ("503-seconds", true, Some(42), "server_error")]
    {
        let wrapped = Wrapped(Ask::new(connection.clone(), what));
        let run = record(wrapped.handle_attempt(StepAttempt::FIRST)).await;
        let failed = run.named("step.failed")[0];
        assert_eq!(failed.payload()["retryable"], retryable, "{what}");
        assert_eq!(failed.payload()["error_class"], "api::answers::NoUser");
        assert_eq!(failed.error().error_type, error_type);
        let asked = match run.output {
            Attempted::Retry { wait, .. } => Some(wait.as_secs()),
            _ => None,
        };
        assert_eq!(asked, wait, "{what}");
    }
    let run = record(boxed(connection, "404")).await;
    assert!(run.output.is_err());
    assert_eq!(run.count("step.failed"), 1, "in a box it is permanent, too");
    assert_eq!(run.named("step.failed")[0].error().error_type, "not_found");
}

#[test]
fn without_a_runtime_it_is_an_error_and_no_panic() {
    let connection = Connection::new("http://127.0.0.1:1").unwrap();
    let error = tasker_telemetry::testing::block_on(connection.get("/x").send()).unwrap_err();
    assert_eq!(error.to_string(), "the request cannot be sent: a call needs a tokio runtime");
}

#[test]
fn a_connection_that_cannot_be_is_refused_when_it_is_made() {
    for (base, why) in [
        ("users.example.com", "relative URL"),
        ("ftp://users.example.com", "`ftp` is not http or https"),
        ("http://h/?a=1", "a query"),
        ("http://", "empty host"),
    ] {
        let error = Connection::new(base).unwrap_err().to_string();
        assert!(error.contains(why), "{base}: {error}");
    }
    let error = Connection::builder("http://h").header("a b", CANARY).build().unwrap_err().to_string();
    assert_eq!(error, "the header `a b` has a name or a value that HTTP cannot carry");
    assert!(Connection::new("https://users.example.com").is_ok(), "with what TLS reqwest has");
}
