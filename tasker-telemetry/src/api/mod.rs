//! Steps that call an HTTP service (feature `api`).
//!
//! ```
//! use serde::Deserialize;
//! use tasker_telemetry::api::{ApiError, ApiResponse, ApiStepHandler, Connection};
//! use tasker_telemetry::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct User { name: String }
//!
//! struct FetchUser { users: Connection, id: u64 }
//!
//! impl ApiStepHandler for FetchUser {
//!     type Output = User;
//!     type Error = ApiError;
//!
//!     fn connection(&self) -> &Connection {
//!         &self.users
//!     }
//!
//!     /// Asks the user service.
//!     #[step(name = "fetch_user", retry_limit = 5, backoff = "exponential", fields(user = self.id))]
//!     async fn process(&self, _: &TaskScope, _: &StepScope) -> Result<ApiResponse, ApiError> {
//!         self.connection().get("/users/{id}").param("id", self.id).send().await
//!     }
//!
//!     fn process_results(&self, _: &StepScope, response: ApiResponse) -> Result<User, ApiError> {
//!         response.json()
//!     }
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let users = Connection::new("https://users.example.com/v1")?;
//! let user = FetchUser { users, id: 7 }.handle().await?;
//! println!("{}", user.name);
//! # Ok(())
//! # }
//! ```
//!
//! # What an answer means
//! | answer | the attempt | another attempt |
//! | --- | --- | --- |
//! | 2xx | completed | - |
//! | 429, 503 | failed ([`ApiError::Busy`]) | after `Retry-After` (seconds or an HTTP date, at most 300 s), else after the step's `backoff` |
//! | 400, 401, 403, 404, 422 | failed ([`ApiError::Rejected`]) | none: it would be the same |
//! | any other status, redirects included | failed ([`ApiError::Status`]) | after the step's `backoff` |
//! | none in time, no connection, a body over the limit, a body that is not what was expected | failed | after the step's `backoff` |
//!
//! An error of your own that has an [`ApiError`] among its causes is judged by that one, unless it says of itself
//! ([`Retryable`](crate::Retryable)) what it is.
//!
//! # What is seen of a call
//! Where the task is traced: a span of kind client below the attempt's, by OpenTelemetry's conventions for HTTP, named by method and
//! path template (`GET /users/{id}`); `traceparent` and `tracestate` go with the request. In its `url.full` neither user nor password
//! stand, no value of the query, and no parameter whose name the filter masks. Headers and bodies, of the request or of the answer,
//! stand in no event, span or log: the texts of [`ApiError`] hold none of them.

mod connection;
mod error;
mod request;
mod response;
mod retry_after;
mod span;

use std::future::Future;

pub use self::connection::{Connection, ConnectionBuilder, ConnectionError};
pub(crate) use self::error::kind_of;
pub use self::error::{ApiError, StatusError};
pub use self::request::ApiRequest;
pub use self::response::ApiResponse;
use crate::handler::{DeclaredStep, StepHandler};
use crate::scope::{StepScope, TaskScope};
use crate::value::Fields;
/// The HTTP client underneath.
pub use reqwest;

/// A step that is a call to an HTTP service: a [`StepHandler`], whose attempts end as the answers say. See the [module](self).
///
/// Such a type is a `StepHandler`, too: what runs one, runs the other.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of an HTTP service",
    label = "does not implement `ApiStepHandler`"
)]
pub trait ApiStepHandler: Send + Sync {
    /// What the step gives.
    type Output;
    /// What it fails with; [`ApiError`], or an error of your own that has one as its cause.
    type Error;

    /// The service that it calls.
    fn connection(&self) -> &Connection;

    /// One attempt: the call. Declared with `#[step(name = "..")]`, as any handler's.
    fn process(
        &self,
        task: &TaskScope,
        step: &StepScope,
    ) -> impl Future<Output = Result<ApiResponse, Self::Error>> + Send;

    /// What the step gives, of the answer. A part of the attempt, so an error here is one of the attempt.
    ///
    /// # Errors
    /// When the answer is not what was expected.
    fn process_results(&self, step: &StepScope, response: ApiResponse) -> Result<Self::Output, Self::Error>;

    /// Made by `#[step]` on `process`: where this one is missing, the attribute is.
    #[doc(hidden)]
    fn declared_by_step() -> DeclaredStep<Self>
    where
        Self: Sized;

    /// Made by `fields(..)`.
    #[doc(hidden)]
    fn fields_of_step(&self) -> Fields {
        None
    }
}

impl<H: ApiStepHandler> StepHandler for H {
    type Output = H::Output;
    type Error = H::Error;

    async fn process(&self, task: &TaskScope, step: &StepScope) -> Result<H::Output, H::Error> {
        let response = ApiStepHandler::process(self, task, step).await?;
        ApiStepHandler::process_results(self, step, response)
    }

    fn declared_by_step() -> DeclaredStep<Self> {
        <H as ApiStepHandler>::declared_by_step()
    }

    fn fields_of_step(&self) -> Fields {
        ApiStepHandler::fields_of_step(self)
    }
}
