//! `/metrics` and `/health` over HTTP (feature `serve`).
//!
//! Either on a thread of its own, whatever runtime the program has:
//!
//! ```
//! use tasker_telemetry::Telemetry;
//! use tasker_telemetry::metrics::serve::Pages;
//!
//! let telemetry = Telemetry::builder().auto_subscribers(false).build()?;
//! let server = Pages::new(telemetry.metrics()).bearer_token("s3cret").serve("127.0.0.1:0")?;
//! println!("http://{}/metrics", server.local_addr());
//! drop(server); // stops it
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! or as [`Pages::router`] in an axum server that is there anyway.
//!
//! | page | answer |
//! | --- | --- |
//! | `/metrics` | Prometheus text, or `OpenMetrics` where the `Accept` header prefers it; 503 and a JSON reason when metrics are off |
//! | `/health` | [`Health`](crate::Health) as JSON |
//!
//! Answers are compressed where the client takes gzip. With a token, both pages answer 401 to whoever does not send it as
//! `Authorization: Bearer ..`. The connection itself is not encrypted: put a proxy before it, or listen on loopback.

mod negotiate;
mod pages;
mod server;

pub use self::pages::Pages;
pub use self::server::Server;
