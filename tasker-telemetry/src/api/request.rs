//! One call: the request, and how its answer is read.

use std::fmt;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, Url};
use serde::Serialize;

use super::connection::Connection;
use super::error::ApiError;
use super::response::{self, ApiResponse};
use super::span::{self, CallSpan};

/// A request, made by [`Connection::get`] and its kin.
#[must_use = "a request does nothing until it is sent"]
pub struct ApiRequest {
    connection: Connection,
    method: Method,
    template: &'static str,
    params: Vec<(&'static str, String)>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<Body>,
    /// What was wrong with it so far; told when it is sent, so that calls can be chained.
    mistake: Option<String>,
}

impl ApiRequest {
    pub(super) fn new(connection: Connection, method: Method, template: &'static str) -> Self {
        let headers = connection.headers.clone();
        Self { connection, method, template, params: Vec::new(), query: Vec::new(), headers, body: None, mistake: None }
    }

    /// What stands in the path for `{name}`, percent-encoded.
    pub fn param(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.params.push((name, value.to_string()));
        self
    }

    /// One more `name=value` of the query, percent-encoded.
    pub fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// A header; it replaces those of that name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(header), Ok(mut value)) => {
                value.set_sensitive(true);
                self.headers.insert(header, value);
            }
            _ => self.mistake = Some(format!("the header `{name}` has a name or a value that HTTP cannot carry")),
        }
        self
    }

    /// The body: bytes or a text.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The body: this value as JSON, with its `Content-Type`.
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => {
                self.body = Some(json.into());
                self.headers.insert("content-type", HeaderValue::from_static("application/json"));
            }
            Err(error) => self.mistake = Some(format!("its body cannot be written as JSON: {error}")),
        }
        self
    }

    /// Sends it, and reads the answer to its end.
    ///
    /// # Errors
    /// [`ApiError`]: for every status but 2xx, and when there is no whole answer. It needs a tokio runtime, with its IO and timers.
    pub async fn send(self) -> Result<ApiResponse, ApiError> {
        let template = Template { template: self.template, params: &self.params };
        if let Some(mistake) = self.mistake {
            return Err(ApiError::Request(mistake));
        }
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ApiError::Request("a call needs a tokio runtime".to_owned()));
        }
        let url = template.url(&self.connection.base, &self.query, |_, value| encoded(value))?;
        let mut headers = self.headers;
        let span = CallSpan::begin(
            &self.method,
            self.template,
            &url,
            |shown| {
                let masked = |name: &str, value: &str| shown.param(name, value).unwrap_or_else(|| encoded(value));
                template.url(&self.connection.base, &[], masked).ok()
            },
            &self.query,
        );
        span::propagate(span.as_ref(), &mut headers);
        let Connection { client, timeout, response_limit, .. } = self.connection;
        let mut request = client.request(self.method, url).headers(headers).timeout(timeout);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let result = match request.send().await {
            Ok(response) => response::read(response, response_limit, timeout).await,
            Err(error) => Err(ApiError::of_client(error, timeout)),
        };
        if let Some(span) = span {
            span.end(&result);
        }
        result
    }
}

/// A path with places for parameters.
struct Template<'a> {
    template: &'static str,
    params: &'a [(&'static str, String)],
}

impl Template<'_> {
    /// The URL below `base`; `write` is how a parameter stands in it.
    fn url(
        &self,
        base: &Url,
        query: &[(String, String)],
        write: impl Fn(&str, &str) -> String,
    ) -> Result<Url, ApiError> {
        let mistake = |text: String| Err(ApiError::Request(format!("the path `{}` {text}", self.template)));
        let mut path = base.path().trim_end_matches('/').to_owned();
        let mut used = 0;
        let mut rest = self.template.trim_start_matches('/');
        path.push('/');
        while let Some((before, behind)) = rest.split_once('{') {
            path.push_str(before);
            let Some((name, after)) = behind.split_once('}') else {
                return mistake("has a `{` without its `}`".to_owned());
            };
            let Some((_, value)) = self.params.iter().find(|(param, _)| *param == name) else {
                return mistake(format!("has a parameter `{name}` that was not given"));
            };
            // A URL has no way to say these: they would name another path.
            if matches!(value.as_str(), "" | "." | "..") {
                return mistake(format!("cannot hold this value of `{name}`"));
            }
            path.push_str(&write(name, value));
            used += 1;
            rest = after;
        }
        path.push_str(rest);
        if used < self.params.len() {
            return mistake("has fewer parameters than were given".to_owned());
        }
        let mut url = base.clone();
        url.set_path(&path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

/// A value as a part of a path.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = fmt::Write::write_fmt(&mut text, format_args!("%{byte:02X}"));
        }
    }
    text
}

impl fmt::Debug for ApiRequest {
    /// What is called; no values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRequest").field("method", &self.method).field("path", &self.template).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, template: &'static str, params: &[(&'static str, &str)]) -> Result<String, String> {
        let params: Vec<_> = params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let base = Url::parse(base).unwrap();
        let url = Template { template, params: &params }.url(&base, &[], |_, value| encoded(value));
        url.map(Into::into).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_stay_in_their_place() {
        assert_eq!(
            url("http://h/v1/", "/users/{id}", &[("id", "a/b?c#d é")]).unwrap(),
            "http://h/v1/users/a%2Fb%3Fc%23d%20%C3%A9"
        );
        assert_eq!(url("http://h", "files/{name}.json", &[("name", "..x")]).unwrap(), "http://h/files/..x.json");
        assert_eq!(url("http://h", "", &[]).unwrap(), "http://h/");
    }

    #[test]
    fn what_a_path_cannot_hold_is_a_mistake() {
        for (template, params) in [
            ("/users/{id}", &[][..]),
            ("/users/{id", &[("id", "1")][..]),
            ("/users", &[("id", "1")][..]),
            ("/users/{id}", &[("id", "..")][..]),
            ("/users/{id}", &[("id", "")][..]),
        ] {
            let error = url("http://h", template, params).unwrap_err();
            assert!(error.contains("the path"), "{error}");
        }
    }
}
