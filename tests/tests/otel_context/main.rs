//! While a body is polled its span is the current OpenTelemetry context: what other libraries open inside becomes its children,
//! whatever threads and awaits lie between, and nothing stays behind.

mod around;
mod children;
mod left;
mod world;
