//! A step that is a span, beside its peers, each with an exporter that does nothing.
//!
//! - `work.rs`: the work, which may really wait
//! - `peers.rs`: the work as a span of each peer, with eight attributes
//! - `ours.rs`: the work as a step of ours
//! - `exporter.rs`: the exporter that only counts
//! - `candidate.rs`: all of them, to be set up and run
//! - `burst.rs`: many at once into a real exporter, for `benches/otlp_burst.rs`

pub mod burst;
pub mod candidate;
pub mod exporter;
pub mod ours;
pub mod peers;
pub mod work;
