//! Calls over HTTP with a secret in every place of request and answer.

use serde_json::json;
use tasker_telemetry::api::{ApiError, ApiResponse, ApiStepHandler, Connection};
use tasker_telemetry::prelude::*;

use crate::garden::{Garden, Plant};
use crate::receiver::service;

struct Calls {
    connection: Connection,
    token: String,
    place: String,
    query: String,
    header: String,
    body: String,
}

impl ApiStepHandler for Calls {
    type Output = ();
    type Error = ApiError;

    fn connection(&self) -> &Connection {
        &self.connection
    }

    #[step(name = "canary.calls", fields(api_key = self.token, place = self.place))]
    async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<ApiResponse, ApiError> {
        self.connection()
            .post("/of/{token}/{place}")
            .param("token", &*self.token)
            .param("place", &*self.place)
            .query("code", &*self.query)
            .header("authorization", &self.header)
            .json(&json!({"card": self.body}))
            .send()
            .await
    }

    fn process_results(&self, _: &StepScope, response: ApiResponse) -> Result<(), ApiError> {
        response.json::<u64>().map(drop)
    }
}

/// One that is answered well but for the form of what was sent, and one that is refused.
pub(crate) async fn all(garden: &mut Garden) {
    for status in [200, 404] {
        let address = service(status, garden.plant(Plant::Always), garden.plant(Plant::Always));
        let base = format!("http://{}:{}@{address}", garden.plant(Plant::Always), garden.plant(Plant::Always));
        let connection = Connection::builder(&base)
            .bearer_token(&garden.plant(Plant::Always))
            .header("x-session", &garden.plant(Plant::Always))
            .build()
            .unwrap();
        let calls = Calls {
            connection,
            token: garden.plant(Plant::Filtered),
            place: garden.plant_bare(),
            query: garden.plant(Plant::Always),
            header: garden.plant(Plant::Always),
            body: garden.plant(Plant::Always),
        };
        calls.handle().await.unwrap_err();
    }
}
