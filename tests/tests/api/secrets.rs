//! Secrets in every place of a request and of an answer that has one.

use std::sync::{Arc, Mutex};

use integration_tests::store::Database;
use tasker_telemetry::api::{ApiError, ApiResponse, ApiStepHandler, Connection};
use tasker_telemetry::logs::LogLevel;
use tasker_telemetry::prelude::*;
use tasker_telemetry::subscribers::JsonLines;
use tasker_telemetry::testing::Recording;
use tasker_telemetry::trace::InMemorySpans;

use crate::ask::{User, boxed};
use crate::service::{CANARY, Service};

/// Asks with secrets in every place that has one.
struct Secretive(Connection);

impl ApiStepHandler for Secretive {
    type Output = ();
    type Error = ApiError;

    fn connection(&self) -> &Connection {
        &self.0
    }

    #[step(name = "api.secretive", retry_limit = 2, fields(token = CANARY.to_owned() + "-field"))]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<ApiResponse, ApiError> {
        self.connection()
            .post("/of/{token}/{plain}/answer/{what}")
            .param("token", CANARY)
            .param("plain", format!("{CANARY}-field")) // found again: `fields(..)` masked it
            .param("what", "other-form")
            .query("code", CANARY)
            .header("authorization", CANARY)
            .json(&serde_json::json!({"card": CANARY}))
            .send()
            .await
    }

    fn process_results(&self, _: &StepScope, response: ApiResponse) -> Result<(), ApiError> {
        assert!(format!("{:?}", response.header("set-cookie")).contains(CANARY), "the handler sees it");
        response.json::<User>().map(|_| ())
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_of_request_or_answer_is_seen() {
    let log = Log::default();
    let theirs = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || theirs.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let service = Service::start().await;
    let spans = InMemorySpans::default();
    let database = Database::sqlite();
    let lines = database.path().with_extension("jsonl");
    let builder = database.builder().in_memory_spans(spans.clone());
    let builder = builder.subscriber(JsonLines::new(&lines).unwrap()).log_level(LogLevel::Debug);
    let recording = Recording::with(builder).unwrap();
    let base = format!("http://user:{CANARY}@{}/v1", service.address);
    let connection = Connection::builder(&base).bearer_token(CANARY).header("x-api-key", CANARY).build().unwrap();
    let mut seen = vec![format!("{connection:?}")];
    let handler = Secretive(connection.clone());
    let error = recording.scope(handler.handle()).await.unwrap_err();
    seen.push(format!(
        "{error:?} {error} {}",
        std::error::Error::source(&error).map_or(String::new(), ToString::to_string)
    ));
    for what in ["404", "500", "close", "junk"] {
        let error = recording.scope(boxed(connection.clone(), what)).await;
        seen.push(format!("{error:?}"));
    }
    let error = connection.get("/answer/404").send().await.unwrap_err();
    assert!(
        String::from_utf8_lossy(error.as_status().unwrap().response().body()).contains(CANARY),
        "for the program's eyes"
    );
    seen.push(format!("{error:?} {error} {:?}", error.as_status().unwrap().response()));
    recording.telemetry().flush().await.unwrap();
    for span in spans.spans() {
        seen.push(format!("{span:?} {:?} {:?}", span.events(), span.status()));
    }
    for event in &recording.events() {
        seen.push(event.payload().to_string());
    }
    // The database, what it wrote ahead, and the file of lines, byte for byte.
    let mut stored = Vec::new();
    for file in std::fs::read_dir(database.path().parent().unwrap()).unwrap() {
        stored.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    let stored = String::from_utf8_lossy(&stored).into_owned();
    for there in ["api.secretive", "404 Not Found", "JSON of another form", "\"event\":\"step.failed\""] {
        assert!(stored.contains(there), "{there} was stored");
    }
    seen.push(stored);
    seen.push(String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned());
    let seen = seen.join("\n");
    assert!(
        seen.contains("/of/[FILTERED]/[FILTERED]/answer/other-form?code=REDACTED")
            || seen.contains("/of/%5BFILTERED%5D"),
        "{seen}"
    );
    assert!(service.heads()[0].contains(CANARY), "the service did get them");
    assert!(seen.contains("JSON of another form"), "{seen}");
    assert!(!seen.contains(CANARY), "{}", seen.lines().find(|line| line.contains(CANARY)).unwrap_or_default());
}
