//! The answer of a service, read to its end.

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode, Version};
use serde::de::DeserializeOwned;

use super::error::{ApiError, StatusError};
use super::retry_after;

/// An answer, with its whole body. Its `Debug` form shows neither headers nor body.
pub struct ApiResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    version: Version,
}

/// How much is kept of the body of an answer that is an error.
const MOST_OF_AN_ERROR: usize = 64 * 1024;

impl ApiResponse {
    /// The status, `200`.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header's value, if it is there and a text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, taken out.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`ApiError::Decode`] when it is no JSON, or not of that form. Its text shows nothing of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| ApiError::of_json(&error))
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }
}

impl fmt::Debug for ApiResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiResponse")
            .field("status", &self.status())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Reads an answer: the whole body of a good one, and what is worth keeping of another.
pub(super) async fn read(response: Response, limit: usize, timeout: Duration) -> Result<ApiResponse, ApiError> {
    let (status, headers, version) = (response.status(), response.headers().clone(), response.version());
    if status.is_success() {
        let body = read_whole(response, limit).await.map_err(|error| match error {
            Unread::TooLarge => ApiError::TooLarge { limit },
            Unread::Broken(error) => ApiError::of_client(error, timeout),
        })?;
        return Ok(ApiResponse { status, headers, body, version });
    }
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|value| {
        let here = || headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(retry_after::date);
        // A date is one of the server's clock.
        retry_after::wait(value, || here().unwrap_or_else(SystemTime::now))
    });
    // That the service said no is known already: a body that does not come changes nothing.
    let body = read_some(response, limit.min(MOST_OF_AN_ERROR)).await;
    let response = ApiResponse { status, headers, body, version };
    Err(ApiError::of_status(StatusError::new(response, retry_after)))
}

enum Unread {
    TooLarge,
    Broken(reqwest::Error),
}

async fn read_whole(mut response: Response, limit: usize) -> Result<Vec<u8>, Unread> {
    // An answer that says so is not even begun.
    let announced = response.content_length().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(Unread::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if chunk.len() > limit - body.len() {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn read_some(mut response: Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = limit - body.len();
        body.extend(chunk.iter().take(room));
        if chunk.len() >= room {
            break;
        }
    }
    body
}
