//! Steps that call an HTTP service, against a real server that answers well, badly, late, never, and without end.

mod answers;
mod ask;
mod secrets;
mod service;
mod spans;
