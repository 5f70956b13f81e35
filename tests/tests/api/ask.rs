//! The handler that the tests run.

use tasker_telemetry::api::{ApiError, ApiResponse, ApiStepHandler, Connection};
use tasker_telemetry::prelude::*;

use crate::service::CANARY;

#[derive(Debug, PartialEq, serde::Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
}

/// Asks for `/v1/answer/{what}`.
pub(crate) struct Ask {
    pub(crate) service: Connection,
    pub(crate) what: &'static str,
    /// The clock stands still but for the time of a call: waits cost nothing, and calls are real.
    pub(crate) clock: bool,
}

impl Ask {
    pub(crate) const fn new(service: Connection, what: &'static str) -> Self {
        Self { service, what, clock: false }
    }
}

impl ApiStepHandler for Ask {
    type Output = Option<User>;
    type Error = ApiError;

    fn connection(&self) -> &Connection {
        &self.service
    }

    #[step(name = "api.ask", retry_limit = 4, backoff = "exponential", fields(what = self.what))]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<ApiResponse, ApiError> {
        if self.clock {
            tokio::time::resume();
        }
        let call = self
            .connection()
            .get("/answer/{what}")
            .param("what", self.what)
            .query("q", CANARY)
            .query("api_key", CANARY)
            .header("x-token", CANARY)
            .body(CANARY)
            .send();
        let answer = call.await;
        if self.clock {
            tokio::time::pause();
        }
        answer
    }

    fn process_results(&self, _: &StepScope, response: ApiResponse) -> Result<Option<User>, ApiError> {
        if response.status() == 204 { Ok(None) } else { response.json().map(Some) }
    }
}

/// A call in a plain step.
#[step(name = "api.boxed", retry_limit = 3)]
pub(crate) async fn boxed(service: Connection, what: &'static str) -> anyhow::Result<()> {
    service.get("/answer/{what}").param("what", what).query("code", CANARY).send().await?;
    Ok(())
}
