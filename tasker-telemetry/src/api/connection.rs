//! A service: where it is, how long it may take, how much it may send.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url, redirect};

use super::request::ApiRequest;

/// The way to one HTTP service. A copy shares its connections.
///
/// `https` needs a TLS of reqwest's, which the program chooses: `reqwest = { version = "0.13", features = ["rustls"] }` beside this crate
/// in its `Cargo.toml`, or [`ConnectionBuilder::client`].
#[derive(Clone)]
pub struct Connection {
    pub(super) client: Client,
    pub(super) base: Url,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) response_limit: usize,
}

impl Connection {
    /// A connection with the limits that [`ConnectionBuilder`] names.
    ///
    /// # Errors
    /// [`ConnectionError`]: the base URL is none, or not one of HTTP.
    pub fn new(base_url: &str) -> Result<Self, ConnectionError> {
        Self::builder(base_url).build()
    }

    /// A connection to be configured. Paths of requests are below the path of the base URL.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasker_telemetry::api::Connection;
    ///
    /// let users = Connection::builder("https://users.example.com/v1")
    ///     .bearer_token("..")
    ///     .timeout(Duration::from_secs(5))
    ///     .response_limit(64 * 1024)
    ///     .build()?;
    /// # Ok::<(), tasker_telemetry::api::ConnectionError>(())
    /// ```
    pub fn builder(base_url: &str) -> ConnectionBuilder {
        ConnectionBuilder {
            base_url: base_url.to_owned(),
            client: None,
            headers: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            response_limit: 10 * 1024 * 1024,
        }
    }

    /// A request with that method. The path is a template, `/users/{id}`, whose parameters [`ApiRequest::param`] fills in: it is
    /// known when the program is compiled, so that spans of one kind of call have one name.
    pub fn request(&self, method: Method, path: &'static str) -> ApiRequest {
        ApiRequest::new(self.clone(), method, path)
    }

    /// A `GET` of that path.
    pub fn get(&self, path: &'static str) -> ApiRequest {
        self.request(Method::GET, path)
    }

    /// A `POST` to that path.
    pub fn post(&self, path: &'static str) -> ApiRequest {
        self.request(Method::POST, path)
    }

    /// A `PUT` to that path.
    pub fn put(&self, path: &'static str) -> ApiRequest {
        self.request(Method::PUT, path)
    }

    /// A `PATCH` of that path.
    pub fn patch(&self, path: &'static str) -> ApiRequest {
        self.request(Method::PATCH, path)
    }

    /// A `DELETE` of that path.
    pub fn delete(&self, path: &'static str) -> ApiRequest {
        self.request(Method::DELETE, path)
    }
}

impl fmt::Debug for Connection {
    /// Where it leads; neither headers nor credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("host", &self.base.host_str().unwrap_or_default())
            .field("timeout", &self.timeout)
            .field("response_limit", &self.response_limit)
            .finish_non_exhaustive()
    }
}

/// The settings of a [`Connection`].
#[must_use]
pub struct ConnectionBuilder {
    base_url: String,
    client: Option<Client>,
    headers: Vec<(String, String)>,
    connect_timeout: Duration,
    timeout: Duration,
    response_limit: usize,
}

impl ConnectionBuilder {
    /// How long connecting may take. Default: 10 s. Without effect beside [`client`](Self::client).
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long a call may take in all, to the last byte of the answer. Default: 30 s.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How many bytes the body of an answer may have. Default: 10 MiB. A longer one is not read to its end. Of the body of an
    /// answer that is an error, at most 64 KiB are kept.
    pub const fn response_limit(mut self, bytes: usize) -> Self {
        self.response_limit = bytes;
        self
    }

    /// A header of every request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `Authorization: Bearer ..` on every request.
    pub fn bearer_token(self, token: &str) -> Self {
        let value = format!("Bearer {token}");
        self.header("authorization", &value)
    }

    /// A client of your own, for certificates, proxies and the like. It must follow no redirects: an answer that is one is told as
    /// what it is.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// The connection. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ConnectionError`]: the base URL is none, or not one of HTTP; a header is not one that HTTP can carry; or the client cannot
    /// be made.
    pub fn build(self) -> Result<Connection, ConnectionError> {
        // Without the text: a URL may hold a password.
        let base = Url::parse(&self.base_url).map_err(|error| ConnectionError::BaseUrl(error.to_string()))?;
        match base.scheme() {
            "http" | "https" => {}
            other => return Err(ConnectionError::BaseUrl(format!("`{other}` is not http or https"))),
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(ConnectionError::BaseUrl("it has a query or a fragment: add those to requests".to_owned()));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
            let (header, mut value) = parsed.ok_or(ConnectionError::Header(name))?;
            value.set_sensitive(true);
            headers.append(header, value);
        }
        let client = match self.client {
            Some(client) => client,
            None => client(self.connect_timeout)?,
        };
        Ok(Connection { client, base, headers, timeout: self.timeout, response_limit: self.response_limit })
    }
}

fn client(connect_timeout: Duration) -> Result<Client, ConnectionError> {
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .user_agent(concat!("tasker-telemetry/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|error| ConnectionError::Client(error.without_url().to_string()))
}

impl fmt::Debug for ConnectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionBuilder").finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The base URL is none, or none of HTTP.
    #[error("the base URL cannot be used: {0}")]
    BaseUrl(String),
    /// HTTP has no such header.
    #[error("the header `{0}` has a name or a value that HTTP cannot carry")]
    Header(String),
    /// The client cannot be made.
    #[error("there is no HTTP client: {0}")]
    Client(String),
}
