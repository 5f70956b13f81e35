//! What a step costs: the same work under every candidate, and the telemetry it runs under.
//!
//! - `work.rs`: the work, the same for all
//! - `steps.rs`: the work as a step of each candidate
//! - `candidate.rs`: each candidate with its set-up, to be run so many times
//! - `report.rs`: medians and the table
//! - `spans`: the same with everything on, beside peers that make spans; `turns.rs` runs its samples
//!
//! `benches/step.rs` takes times, `bin/instructions.rs` counts instructions (under callgrind) and allocations.

pub mod candidate;
pub mod report;
pub mod spans;
pub mod steps;
pub mod turns;
pub mod work;
